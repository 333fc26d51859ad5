"""Reading a job's history: what the server knows of it, for when no worker is there to be asked.

The plan is the result of an activity, a finished shard's state the result of its workflow; what a shard under
way has done is its input plus the results of its rounds and records since.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from typing import TypeVar

from pydantic import BaseModel
from temporalio.api.common.v1 import Payloads
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client, WorkflowExecutionDescription, WorkflowHandle

from reindexer.models import Plan, RecordResult, RoundResult, ShardInput, ShardReport, ShardState, Stop
from reindexer.tally import Outcome

M = TypeVar("M", bound=BaseModel)

#: Histories that are read at the same time.
_AT_ONCE = 8


@dataclass
class Told:
    """What the histories of a job and its shards tell. `plan` None: not made yet."""

    plan: Plan | None = None
    states: dict[int, ShardState] = field(default_factory=dict)  # by shard; those that never began are missing


async def told(client: Client, description: WorkflowExecutionDescription) -> Told:
    """Read the histories of the job and of its open shards: seconds for a job of days."""
    reader = _Reader(client)
    found = await reader.job(client.get_workflow_handle(description.id, run_id=description.run_id))
    gate = asyncio.Semaphore(_AT_ONCE)

    async def shard(workflow_id: str, run_id: str) -> tuple[int, ShardState] | None:
        async with gate:
            return await reader.shard(client.get_workflow_handle(workflow_id, run_id=run_id or None))

    children = description.raw_description.pending_children
    open_ = await asyncio.gather(*(shard(child.workflow_id, child.run_id) for child in children))
    found.states.update(entry for entry in open_ if entry is not None)
    return found


class _Reader:
    def __init__(self, client: Client) -> None:
        self._converter = client.data_converter

    async def job(self, handle: WorkflowHandle[object, object]) -> Told:
        """The plan, the results of closed shards, and the last reports of those that were ended by force."""
        found = Told()
        seqs: dict[int, int] = {}
        async for kind, event in _events(handle):
            if kind == "make_plan":
                found.plan = await self._read(event.activity_task_completed_event_attributes.result, Plan)
            signal = event.workflow_execution_signaled_event_attributes
            if signal.signal_name == "shard_report":
                report = await self._read(signal.input, ShardReport)
                if report and report.seq > seqs.get(report.index, -1):
                    found.states[report.index], seqs[report.index] = report.progress, report.seq
            child = event.child_workflow_execution_completed_event_attributes
            state = await self._read(child.result, ShardState) if child.HasField("result") else None
            if state is not None:
                # <job>/<run>/shard-003, with -again-2 at the end where it was started anew
                index = int(child.workflow_execution.workflow_id.rsplit("/shard-", 1)[-1].split("-")[0])
                found.states[index], seqs[index] = state, 2**63  # nothing that comes after a result is newer
        return found

    async def shard(self, handle: WorkflowHandle[object, object]) -> tuple[int, ShardState] | None:
        """Index and state of a shard; None where its history cannot be read."""
        given: ShardInput | None = None
        state = ShardState()
        async for kind, event in _events(handle):
            started = event.workflow_execution_started_event_attributes
            if started.HasField("input"):
                given = await self._read(started.input, ShardInput)
                state = given.state if given else state
            result = event.activity_task_completed_event_attributes.result
            if kind == "reindex_round":
                state = _with_round(state, await self._read(result, RoundResult))
            elif kind in ("reindex_record", "quarantine_record"):
                state = _with_record(state, await self._read(result, RecordResult))
        return (given.index, state) if given else None

    async def _read(self, payloads: Payloads, model: type[M]) -> M | None:
        """None where there is nothing, or where it was written by another version."""
        if not payloads.payloads:
            return None
        try:
            value: M = (await self._converter.decode(payloads.payloads, [model]))[0]
        except (ValueError, RuntimeError):  # pydantic's errors are ValueErrors
            return None
        return value


async def _events(handle: WorkflowHandle[object, object]) -> AsyncIterator[tuple[str, HistoryEvent]]:
    """The events, an activity's completion with the activity's name."""
    names: dict[int, str] = {}
    async for event in handle.fetch_history_events():
        scheduled = event.activity_task_scheduled_event_attributes
        if scheduled.activity_type.name:
            names[event.event_id] = scheduled.activity_type.name
        completed = event.activity_task_completed_event_attributes
        yield names.get(completed.scheduled_event_id, ""), event


def _with_round(state: ShardState, result: RoundResult | None) -> ShardState:
    if result is None:
        return state
    progress = result.progress
    return state.model_copy(
        update={
            "tally": state.tally + progress.tally,
            "attempts": state.attempts + progress.attempts,
            "isolated": [*state.isolated, *progress.isolated],
            "done": result.stop is Stop.DONE,
        }
    )


def _with_record(state: ShardState, result: RecordResult | None) -> ShardState:
    if result is None:
        return state
    attempts = state.attempts + result.attempts
    if result.outcome is None:
        return state.model_copy(update={"attempts": attempts})
    others = [record for record in state.isolated if record.key != result.record.key]
    tally = state.tally.plus(Outcome(result.outcome))
    return state.model_copy(update={"attempts": attempts, "isolated": others, "tally": tally})


def finished(states: Iterable[ShardState]) -> int:
    """How many shards are done, isolated records included."""
    return sum(1 for state in states if state.done and not state.isolated)
