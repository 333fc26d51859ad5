"""Reading a job's history: what the server knows of it, for when no worker is there to be asked.

Of the root's runs the last is enough: it begins with what the one before it handed over. The plan is that, or
the result of an activity; what a shard has come to is its hand-back, or what was last seen of it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from google.protobuf.message import DecodeError
from pydantic import BaseModel
from temporalio.api.common.v1 import Payload
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client

from activities.look import shard_name
from reindexer.models import READING, Carried, Counts, HandBack, Looked, Plan, Seen, ShardReport, ShardSummary

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True)
class Shard:
    """A shard as the root's history shows it."""

    summary: ShardSummary
    done: bool = False
    open: bool = False  # begun and, by this history, not ended


@dataclass
class History:
    """What the history of a job's current run says. `plan` None: not made yet."""

    plan: Plan | None = None
    started_at: datetime | None = None  # of the job; None: that of this run, which is the first
    cycle: int = 0
    #: By the end of the workflow id without what follows the number: `shard-007`, `verify-012`.
    shards: dict[str, Shard] = field(default_factory=dict)


async def run_stamp(client: Client, job: str) -> str | None:
    """The run stamp of a job's newest chain, by its history; None: it is not planned yet."""
    plan = await plan_of(client, job)
    return plan.run if plan else None


async def plan_of(client: Client, job: str) -> Plan | None:
    """The plan of a job's newest chain, by its history; None: it is not made yet."""
    reader = _Reader(client)
    async for event in client.get_workflow_handle(job).fetch_history_events():
        await reader.read(event)
        if reader.known.plan:
            return reader.known.plan
    return None


async def kind_of(client: Client, job: str) -> str | None:
    """The kind of a job's operation as its input says it; None: it says none."""
    async for event in client.get_workflow_handle(job).fetch_history_events():
        payloads = event.workflow_execution_started_event_attributes.input.payloads
        [given, *_] = await client.data_converter.decode(payloads[:1]) or [None]
        operation = given.get("operation") if isinstance(given, dict) else None
        return operation.get("kind") if isinstance(operation, dict) else None
    return None


async def history_of(client: Client, job: str) -> History:
    """Read the history of a job's current run, at most 10,000 events."""
    reader = _Reader(client)
    async for event in client.get_workflow_handle(job).fetch_history_events():
        await reader.read(event)
    return reader.known


class _Reader:
    def __init__(self, client: Client) -> None:
        self._converter = client.data_converter
        self.known = History()
        self._activities: dict[int, str] = {}  # names of the activities asked for, by event
        self._names: dict[int, str] = {}  # of the shard that was started last under a number

    async def read(self, event: HistoryEvent) -> None:
        """Take what the event says."""
        known = self.known
        started = event.workflow_execution_started_event_attributes.input.payloads
        if len(started) > 1 and (carried := await self._decode(started[1], Carried)):
            self._carried(carried)
        scheduled = event.activity_task_scheduled_event_attributes
        if scheduled.activity_type.name in ("make_plan", "look"):
            self._activities[event.event_id] = scheduled.activity_type.name
        await self._activity(event)
        signal = event.workflow_execution_signaled_event_attributes
        if signal.signal_name == "shard_report" and signal.input.payloads:
            report = await self._decode(signal.input.payloads[0], ShardReport)
            if report:
                self._seen(report.index, Seen(situation=report.situation))
        begun = event.start_child_workflow_execution_initiated_event_attributes
        if begun.workflow_id:
            name, number = shard_name(begun.workflow_id)
            self._names[number] = name
            before = known.shards.get(name, Shard(ShardSummary()))
            known.shards[name] = Shard(before.summary, open=True)
        ended = event.child_workflow_execution_completed_event_attributes
        if ended.result.payloads:
            back = await self._decode(ended.result.payloads[0], HandBack)
            if back:
                name, _ = shard_name(ended.workflow_execution.workflow_id)
                known.shards[name] = Shard(back.summary, back.how == "done")

    def _carried(self, carried: Carried) -> None:
        run = carried.run
        self.known.plan, self.known.started_at, self.known.cycle = run.plan, run.started_at, run.cycle
        for shard in run.shards:
            kind = "compare" if shard.phase == "comparing" else "verify" if shard.phase in READING else "shard"
            name = f"{kind}-{shard.index:03d}"
            self._names[shard.index] = name
            self.known.shards[name] = Shard(shard.summary, shard.done)

    async def _activity(self, event: HistoryEvent) -> None:
        completed = event.activity_task_completed_event_attributes
        name = self._activities.pop(completed.scheduled_event_id, "")
        if not name or not completed.result.payloads:
            return
        if name == "make_plan":
            self.known.plan = await self._decode(completed.result.payloads[0], Plan) or self.known.plan
        elif looked := await self._decode(completed.result.payloads[0], Looked):
            for index, seen in looked.shards.items():
                self._seen(index, seen)

    def _seen(self, index: int, seen: Seen) -> None:
        """What was seen of a shard, unless it has handed back meanwhile: that is newer."""
        name = self._names.get(index)
        if name and self.known.shards[name].open:
            self.known.shards[name] = Shard(with_round(seen), open=True)

    async def _decode(self, payload: Payload, model: type[M]) -> M | None:
        """None where it was written by another version."""
        try:
            value: M = (await self._converter.decode([payload], [model]))[0]
        except (ValueError, RuntimeError, DecodeError):  # pydantic's errors are ValueErrors
            return None
        return value


def with_round(seen: Seen) -> ShardSummary:
    """What an open shard has come to, its running round included."""
    summary = seen.situation.summary
    counts: Counts = summary.counts + seen.running
    return summary.model_copy(update={"counts": counts})
