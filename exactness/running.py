"""Running one cell: a real job, disturbed at its moment, then held against the proxy's ground truth."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Mapping
from typing import Any

from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ApplicationError

from deploy.faults import Fault, FaultKind, FaultPlan
from exactness import tables
from exactness.cell import Cell, Evidence
from exactness.judging import judged
from exactness.kinds import PARTS, Moment
from exactness.row import Row
from exactness.stand import QUEUE, Stand
from exactness.verbs import Item

#: Until its moment a job is held back, so that there is a middle: a batch takes so long.
_HELD_BACK = 0.1  # seconds
_LONGEST = 900.0  # seconds; the storm of 100,000 records takes one to six minutes on two cores
_LATE = 8.0  # seconds; the latest of the late writes comes 6 s after its call
_LOOK = 0.05  # seconds between two looks at a running job


async def run(cell: Cell, stand: Stand) -> Row:
    """The row of a cell; tried anew where the dice let every call of so small a job through."""
    for _ in range(4):  # with a quarter of some ten calls, one such job in twenty goes unharmed
        row = await _once(cell, stand)
        if row.injected or not cell.strikes:
            return row
    row.wrong.append("nothing was injected")
    return row


async def _once(cell: Cell, stand: Stand) -> Row:
    stand.quiet()
    table = await asyncio.to_thread(tables.make, stand.direct, cell.records, cell.verb.before)
    slow = Fault(kind=FaultKind.SLOW, seconds=_HELD_BACK, operations="writes", tables=frozenset((table,)))
    faults = FaultPlan(faults=(*cell.faults(table), *((slow,) if cell.held_back else ())))
    stand.proxy.set_plan(faults if cell.moment is Moment.START else FaultPlan(faults=(slow,)))
    began = time.monotonic()
    handle = await _start(cell, stand, table)
    if cell.moment is not Moment.START:
        await _written(stand, table, PARTS[cell.moment] * cell.records * cell.verb.writes)
        stand.proxy.set_plan(faults)
    others: Mapping[int, Item] = {}
    if cell.disturb:
        others = await cell.disturb(stand, cell, table)
    if cell.parks:
        await _mended(stand, handle)
    report = await _report(handle)
    seconds = time.monotonic() - began
    truth = await asyncio.to_thread(stand.proxy.truth, _LATE)
    restarts = await _restarts(handle)
    rows = {row["id"]["S"]: row for row in await asyncio.to_thread(lambda: [*tables.rows(stand.direct, table)])}
    stand.direct.delete_table(TableName=table)
    return judged(cell, Evidence(report, truth, rows, others, restarts, seconds))


async def _start(cell: Cell, stand: Stand, table: str) -> WorkflowHandle[Any, Any]:
    job = {"table": table, "total_segments": cell.shards, **cell.verb.job, **cell.job}
    client = await stand.connect()
    name = f"{table}-{uuid.uuid4().hex[:6]}"
    return await client.start_workflow("ReindexTable", job, id=name, task_queue=QUEUE)


async def _written(stand: Stand, table: str, writes: float) -> None:
    """Return once so many writes were applied, or after a minute: then the job's own account tells why."""
    deadline = time.monotonic() + 60  # seconds
    while time.monotonic() < deadline:
        truth = await asyncio.to_thread(stand.proxy.truth)
        if truth.applied(table) >= writes:
            return
        await asyncio.sleep(_LOOK)


async def _mended(stand: Stand, handle: WorkflowHandle[Any, Any]) -> None:
    """Wait until the job has parked itself, mend what was broken, resume."""
    deadline = time.monotonic() + 60  # seconds; it takes one call
    while time.monotonic() < deadline:
        state = (await handle.query("progress"))["state"]
        if state in ("parked", "done"):
            break
        await asyncio.sleep(_LOOK)
    stand.proxy.set_plan(FaultPlan())
    await handle.signal("resume")


async def _report(handle: WorkflowHandle[Any, Any]) -> dict[str, Any]:
    """The job's own account, complete or not. A job that gives none has failed its row."""
    try:
        report: dict[str, Any] = await asyncio.wait_for(handle.result(), _LONGEST)
        return report
    except WorkflowFailureError as error:
        if isinstance(error.cause, ApplicationError) and error.cause.type == "Incomplete":
            return dict(error.cause.details[0])
        raise RuntimeError(f"{handle.id}: {error.cause}") from error


async def _restarts(handle: WorkflowHandle[Any, Any]) -> int:
    """Shard workflows started beyond one for each shard, and those that ended otherwise than normally."""
    started: list[str] = []
    ended_badly = 0
    bad = (
        EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_FAILED,
        EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_TERMINATED,
        EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_TIMED_OUT,
        EventType.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_FAILED,
    )
    async for event in handle.fetch_history_events():
        if event.event_type == EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_STARTED:
            child = event.child_workflow_execution_started_event_attributes.workflow_execution
            started.append(child.workflow_id.split("-again-")[0])
        ended_badly += event.event_type in bad
    return len(started) - len(set(started)) + ended_badly
