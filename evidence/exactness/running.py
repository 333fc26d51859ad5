"""Running one cell: a real job, disturbed at its moment, then held against the proxy's ground truth."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Mapping
from typing import Any

from temporalio.api.enums.v1 import EventType
from temporalio.service import RPCError

from evidence.exactness import tables
from evidence.exactness.cell import Cell, Evidence, Handle, Happened
from evidence.exactness.judging import failed, judged
from evidence.exactness.kinds import PARTS, Moment, refused
from evidence.exactness.row import Row
from evidence.exactness.scenes import Item, wire
from evidence.exactness.stand import Stand
from testbed.embedded import ServerUnavailable
from testbed.faults import Fault, FaultKind, FaultPlan, key_text
from testbed.job import outcome, progress

#: Until its moment a job is held back, so that there is a middle: a batch takes so long.
_HELD_BACK = 0.1  # seconds
_LONGEST = 900.0  # seconds; the storm of 100,000 records takes one to six minutes on two cores
_LATE = 8.0  # seconds; the latest of the late writes comes 6 s after its call
_LOOK = 0.05  # seconds between two looks at a running job


async def run(cell: Cell, stand: Stand) -> Row:
    """The row of a cell; tried again where the dice let every call of so small a job through."""
    for _ in range(4):  # with a quarter of some ten calls, one such job in twenty goes unharmed
        try:
            with cell.around(stand) as around:
                row = await _once(cell, around)
        except (RuntimeError, TimeoutError, ServerUnavailable, RPCError) as error:
            await asyncio.to_thread(stand.recover)
            return failed(cell, error)
        if row.injected:
            break
    return row


async def _once(cell: Cell, stand: Stand) -> Row:
    stand.quiet()
    rows = map(cell.row, range(cell.records))
    table = await asyncio.to_thread(tables.make, stand.direct, cell.scene, rows)
    scope, stamp = await _scope(cell, stand, table)
    slow = Fault(kind=FaultKind.SLOW, seconds=_HELD_BACK, operations="writes", tables=frozenset((table,)))
    standing = cell.standing(table)
    during = FaultPlan(faults=(*cell.plan(table), *standing, *((slow,) if cell.held_back else ())))
    before = FaultPlan(faults=(*standing, slow))
    await asyncio.to_thread(stand.proxy.set_plan, during if cell.moment is Moment.START else before)
    began = time.monotonic()
    applied = (await asyncio.to_thread(stand.proxy.truth)).applied(table)
    handle = await _start(cell, stand, table, scope)
    if cell.moment is not Moment.START:
        await _written(stand, table, applied + PARTS[cell.moment] * cell.writes)
        await asyncio.to_thread(stand.proxy.set_plan, during)
    happened = Happened()
    if cell.disturb:
        happened = await cell.disturb(stand, cell, table, handle)
    if cell.parks:
        await repaired(stand, handle, FaultPlan(faults=standing))
    report = await report_of(stand, handle)
    seconds = time.monotonic() - began
    truth = await asyncio.to_thread(stand.proxy.truth, _LATE)
    evidence = Evidence(
        report=report,
        truth=truth,
        rows=await asyncio.to_thread(_rows, cell, stand, table),
        happened=happened,
        restarts=await restarts(handle),
        lost=await lost_attempts(stand, handle, report["run"]) if cell.crash else 0,
        stamp=stamp or report["run"],
        visits=stand.visits(),
        seconds=seconds,
    )
    stand.direct.delete_table(TableName=table)
    return judged(cell, evidence)


async def _scope(cell: Cell, stand: Stand, table: str) -> tuple[Mapping[str, Any], str | None]:
    """What the job is for, and of a redrive the stamp that it writes: that of the job which gave records up."""
    if not cell.scene.redrive:
        return cell.scene.scope(cell.records), None
    given_up = refused(table, cell.keys(cell.numbers))
    await asyncio.to_thread(stand.proxy.set_plan, FaultPlan(faults=(*cell.standing(table), *given_up)))
    handle = await _start(cell, stand, table, {"kind": "complete"})
    report = await report_of(stand, handle)
    if report["tally"]["quarantined"] != len(cell.numbers):
        raise RuntimeError(f"{handle.id} should have given up {len(cell.numbers)} records: {report['tally']}")
    return {"kind": "quarantined", "job": handle.id, "run": report["run"]}, report["run"]


def _rows(cell: Cell, stand: Stand, table: str) -> dict[str, Item]:
    rows = tables.rows(stand.direct, table)
    return {key_text(wire({name: row[name] for name in cell.scene.types})): row for row in rows}


async def _start(cell: Cell, stand: Stand, table: str, scope: Mapping[str, Any]) -> Handle:
    job = {"table": table, "scope": scope, "total_segments": cell.shards, **cell.verb.job, **cell.job}
    return await stand.start(job, f"{table}-{uuid.uuid4().hex[:6]}")


async def _written(stand: Stand, table: str, writes: float) -> None:
    """Return once this many writes were applied, or after a minute: then the job's own account tells why."""
    deadline = time.monotonic() + 60  # seconds
    while time.monotonic() < deadline:
        truth = await asyncio.to_thread(stand.proxy.truth)
        if truth.applied(table) >= writes:
            return
        await asyncio.sleep(_LOOK)


async def repaired(stand: Stand, handle: Handle, plan: FaultPlan) -> None:
    """Wait until the job has parked itself, repair what was broken, resume."""
    deadline = time.monotonic() + 60  # seconds; it takes one call
    while time.monotonic() < deadline:
        if (await progress(handle))["state"] in ("parked", "done"):
            break
        await asyncio.sleep(_LOOK)
    await asyncio.to_thread(stand.proxy.set_plan, plan)
    await handle.signal("resume")


async def report_of(stand: Stand, handle: Handle) -> dict[str, Any]:
    """The job's own account, complete or not. A job that gives none has failed its row."""
    kind, report = await outcome(handle, _LONGEST)
    if kind in ("complete", "Incomplete"):
        return report
    if kind == "CancelledError":
        kept = await asyncio.to_thread(stand.ledger().reports.find, handle.id)
        if kept is not None:
            return kept.model_dump(mode="json")
    raise RuntimeError(f"{handle.id}: {kind}, {report}")


async def lost_attempts(stand: Stand, handle: Handle, run: str) -> int:
    """Attempts of the shards' activities that ended by a time-out: whoever made them did not end them."""
    client, lost = await stand.connect(), 0
    query = f'WorkflowType="ReindexShard" AND WorkflowId STARTS_WITH "{handle.id}/{run}/"'
    async for child in client.list_workflows(query):
        shard = client.get_workflow_handle(child.id, run_id=child.run_id)
        async for event in shard.fetch_history_events():
            before = event.activity_task_started_event_attributes.last_failure
            lost += event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT
            lost += before.HasField("timeout_failure_info")
    return lost


async def restarts(handle: Handle) -> int:
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
