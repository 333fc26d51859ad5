"""One cell of the matrix: a real job, disturbed at its moment, then held against the proxy's ground truth."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ApplicationError

from deploy.faults import Fault, FaultKind, FaultPlan, Truth
from exactness import tables
from exactness.kinds import PARTS, Faults, Moment
from exactness.row import Row
from exactness.stand import QUEUE, Stand

#: Until its moment a job is held back, so that there is a middle: a batch takes so long.
_HELD_BACK = 0.1  # seconds
_LONGEST = 400.0  # seconds; the storm of 100,000 records takes one to three minutes on two cores
_LATE = 8.0  # seconds; the latest of the late writes comes 6 s after its call
_LOOK = 0.05  # seconds between two looks at a running job

Disturb = Callable[[Stand, str, int], Awaitable[None]]


@dataclass(frozen=True)
class Cell:
    """What is done to a job over a table of its own. `disturb` runs at the moment, after `faults` are set."""

    fault: str
    moment: Moment
    records: int
    faults: Callable[[str], Faults] = lambda _table: ()
    disturb: Disturb | None = None
    operation: str = "touch"
    job: dict[str, Any] = field(default_factory=dict)
    parks: bool = False
    given_up: int = 0
    edge: bool = False  # changed twice is expected, and so is a table that others left behind
    held_back: bool = False  # also after its moment, so that a crash meets work under way
    strikes: bool = True  # something must have been injected
    shards: int = 4


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
    table = await asyncio.to_thread(tables.make, stand.direct, cell.records)
    slow = Fault(kind=FaultKind.SLOW, seconds=_HELD_BACK, operations="writes", tables=frozenset((table,)))
    faults = FaultPlan(faults=(*cell.faults(table), *((slow,) if cell.held_back else ())))
    stand.proxy.set_plan(faults if cell.moment is Moment.START else FaultPlan(faults=(slow,)))
    began = time.monotonic()
    handle = await _start(cell, stand, table)
    if cell.moment is not Moment.START:
        await _written(stand, table, PARTS[cell.moment] * cell.records)
        stand.proxy.set_plan(faults)
    if cell.disturb:
        await cell.disturb(stand, table, cell.records)
    if cell.parks:
        await _mended(stand, handle)
    report = await _report(handle)
    seconds = time.monotonic() - began
    truth = await asyncio.to_thread(stand.proxy.truth, _LATE)
    restarts = await _restarts(handle, report)
    behind = await asyncio.to_thread(_behind, stand, table, report)
    stand.direct.delete_table(TableName=table)
    return _judged(cell, _row(cell, report, truth, restarts, behind, seconds))


async def _start(cell: Cell, stand: Stand, table: str) -> WorkflowHandle[Any, Any]:
    job = {"table": table, "operation": {"kind": cell.operation}, "total_segments": cell.shards, **cell.job}
    client = await stand.connect()
    name = f"{table}-{uuid.uuid4().hex[:6]}"
    return await client.start_workflow("ReindexTable", job, id=name, task_queue=QUEUE)


async def _written(stand: Stand, table: str, records: float) -> None:
    """Return once so many writes were applied, or after a minute: then the job's own account tells why."""
    deadline = time.monotonic() + 60  # seconds
    while time.monotonic() < deadline:
        truth = await asyncio.to_thread(stand.proxy.truth)
        if truth.applied(table) >= records:
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


async def _restarts(handle: WorkflowHandle[Any, Any], report: dict[str, Any]) -> int:
    """Shard workflows started beyond one for each shard, and those that ended otherwise than normally."""
    started = ended_badly = 0
    bad = (
        EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_FAILED,
        EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_TERMINATED,
        EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_TIMED_OUT,
        EventType.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_FAILED,
    )
    async for event in handle.fetch_history_events():
        started += event.event_type == EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_STARTED
        ended_badly += event.event_type in bad
    return started - int(report["shards"]) + ended_badly


def _behind(stand: Stand, table: str, report: dict[str, Any]) -> int:
    """Rows that are not at the target, by a look at the table itself."""
    target = int(report["version"])
    return sum(
        1
        for item in tables.rows(stand.direct, table)
        if int(item.get("reindexVersion", {}).get("N", 0)) != target
    )


def _row(cell: Cell, report: dict[str, Any], truth: Truth, restarts: int, behind: int, seconds: float) -> Row:
    tally = report["tally"]
    kinds = {str(fault.kind) for fault in cell.faults(report["table"])}
    found = report["verification"]
    return Row(
        operation=cell.operation,
        fault=cell.fault,
        moment=cell.moment,
        records=cell.records,
        # What only held the job back is none of them.
        injected={kind: count for kind, count in truth.injected.items() if kind in kinds},
        ambiguous=report["attempts"]["ambiguous"],
        outcomes={name: count for name, count in tally.items() if count and name != "scanned"},
        balanced=report["balanced"] and tally["scanned"] == sum(tally.values()) - tally["scanned"],
        verification=f"{found['scanned']:,} read, {found['behind']:,} behind" if found else "none",
        changed_twice=len(truth.changed_twice(report["run"])),
        lost=behind - cell.given_up,
        restarts=restarts,
        seconds=seconds,
        edge=cell.edge,
    )


def _judged(cell: Cell, row: Row) -> Row:
    """The row with what did not hold."""
    expected = {"updated": cell.records - cell.given_up}
    if cell.given_up:
        expected["quarantined"] = cell.given_up
    musts = {
        f"outcomes should be {expected}": row.outcomes == expected,
        "not balanced": row.balanced,
        "a shard was started again": row.restarts == 0,
    }
    if cell.edge:
        musts["the writer that drops the stamp was not seen"] = row.changed_twice > 0
    else:
        verified = f"{cell.records:,} read, {cell.given_up:,} behind"
        musts |= {
            "records were changed twice": row.changed_twice == 0,
            "records were lost": row.lost == 0,
            f"verification should be {verified}": row.verification == verified,
        }
    row.wrong += [what for what, held in musts.items() if not held]
    return row
