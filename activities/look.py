"""look: what the open shards of a job do now, from what the Temporal server has of them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from pydantic import ValidationError
from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory
from temporalio.service import RPCError, RPCStatusCode

from activities.clients import Clients
from reindexer.models import CompareResult, Counts, Looked, LookInput, Progress, Seen, Situation, VerifyResult
from reindexer.planning.capacity import changed_capacity

if TYPE_CHECKING:
    from temporalio.client import Client, WorkflowExecutionDescription

#: Shards asked about at the same time: 32 take 0.08 s, 400 a second.
_AT_ONCE = 16
#: What a running round sends with its heartbeats, by the name of its activity.
_HEARTBEATS: Mapping[str, type[Progress | VerifyResult | CompareResult]] = {
    "reindex_round": Progress,
    "verify_segment": VerifyResult,
    "compare_segment": CompareResult,
}


class LookActivities:
    """Asks the Temporal server, and now and then DynamoDB. No shard is woken by it."""

    def __init__(self, clients: Clients, client: Client) -> None:
        self._clients, self._client = clients, client

    @activity.defn
    async def look(self, request: LookInput) -> Looked:
        """Wait for `seconds`, then look.

        The wait is the first attempt's failure `NotYet` and the delay of the second one: meanwhile the activity
        takes no slot, sends no heartbeat and adds no event to the history.
        """
        if request.seconds and activity.info().attempt == 1:
            raise ApplicationError(
                f"looks in {request.seconds:g} s",
                type="NotYet",
                next_retry_delay=timedelta(seconds=request.seconds),
                category=ApplicationErrorCategory.BENIGN,  # not logged, not counted as a failure
            )
        looked = await look_at(self._client, request.job, request.run, request.names)
        if asked := request.capacity:
            capacity = await asyncio.to_thread(changed_capacity, asked, self._clients.table(asked))
            looked = looked.model_copy(update={"capacity": capacity})
        return looked


def shard_name(workflow_id: str) -> tuple[str, int]:
    """(`shard-007`, 7) of the workflow id `job/run/shard-007-again-2`. Raises `ValueError` for another's."""
    kind, number = workflow_id.rsplit("/", 1)[-1].split("-")[:2]
    return f"{kind}-{number}", int(number)


def open_shards(description: WorkflowExecutionDescription) -> tuple[str, dict[int, str]]:
    """(the run, the end of each open shard's workflow id by its index), as the server knows of a job."""
    children = [child.workflow_id for child in description.raw_description.pending_children]
    run = children[0].rsplit("/", 2)[1] if children else ""  # <job>/<run>/shard-007
    return run, {shard_name(child)[1]: child.rsplit("/", 1)[1] for child in children}


async def look_at(client: Client, job: str, run: str, names: Mapping[int, str]) -> Looked:
    """What the shards of a job do, by index; `names` are the ends of their workflow ids.

    Those whose situation cannot be read are left out. Raises `RPCError` where the server does not answer.
    """
    gate, ended = asyncio.Semaphore(_AT_ONCE), list[int]()

    async def one(index: int, name: str) -> Seen | None:
        async with gate:
            try:
                description = await client.get_workflow_handle(f"{job}/{run}/{name}").describe()
            except RPCError as error:
                if error.status is not RPCStatusCode.NOT_FOUND:
                    raise
                ended.append(index)
                return None
        if description.close_time is not None:
            ended.append(index)
            return None
        return await _seen(description)

    at = datetime.now(UTC)
    found = await asyncio.gather(*(one(index, name) for index, name in names.items()))
    shards = {index: seen for index, seen in zip(names, found, strict=True) if seen}
    return Looked(at=at, shards=shards, ended=sorted(ended))


async def _seen(description: WorkflowExecutionDescription) -> Seen | None:
    try:
        situation = await description.memo_value("shard", Situation(), type_hint=Situation)
    except (ValidationError, RuntimeError):  # of a newer version: what was seen before holds
        return None
    return Seen(situation=situation, running=await _running(description))


async def _running(description: WorkflowExecutionDescription) -> Counts:
    """What the round under way has done, by its last heartbeat; nothing where that cannot be read."""
    for pending in description.raw_description.pending_activities:
        kind = _HEARTBEATS.get(pending.activity_type.name)
        if kind is None or not pending.heartbeat_details.payloads:
            continue
        try:
            [progress] = await description.data_converter.decode(pending.heartbeat_details.payloads, [kind])
        except (ValidationError, RuntimeError):
            return Counts()
        return Counts.of(progress)
    return Counts()
