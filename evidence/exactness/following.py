"""Running one follow of the matrix beside other writers, and what proxies, stream layer and judge say of it."""

from __future__ import annotations

import asyncio
import time
import uuid
from dataclasses import dataclass
from typing import Any

from activities.look import look_at
from evidence.exactness import tables
from evidence.exactness.cell import Handle, Happened
from evidence.exactness.crashes import until
from evidence.exactness.follows import RECORDS, Follow
from evidence.exactness.indexes import MAPPING
from evidence.exactness.kinds import Moment
from evidence.exactness.row import Row
from evidence.exactness.running import report_of, restarts
from evidence.exactness.scenes import COMPLETE
from evidence.exactness.search_stand import SearchStand
from evidence.exactness.stand import Stand
from evidence.exactness.two_tables import dropped, injected, row_of, tried
from evidence.exactness.writers import Writers
from reindexer.tally import Outcome, Tally
from testbed.faults import FaultPlan
from testbed.faults.lineages.control import LineageControl
from testbed.faults.search import SearchFaultPlan, SearchTruth
from testbed.judge_index import Difference, differences

#: Ten seconds for the scan and what changes meanwhile.
HELD_BACK = {"records_per_second": 100, "read_units_per_second": 10}
LET_GO = dict.fromkeys(HELD_BACK, "unlimited")
KEYS = RECORDS + 100  # rows that others write: some are new
STEADY = 100  # rows that they never delete: a consistent scan hands each of them out
_LOOK = 0.1  # seconds between two looks at what was written
AFTER = 2.0  # seconds of writing once readers have the index, and again after what happens then
_LATE = 12.0  # seconds; the latest of the late requests comes 10 s after it was sent
_CATCHES_UP = 90.0  # seconds for the last changes to arrive; it takes two, and 60 where retries wait longest


@dataclass(frozen=True)
class _Running:
    """A follow under way, and what is known of its surroundings."""

    cell: Follow
    stand: Stand
    search: SearchStand
    table: str
    control: LineageControl
    handle: Handle


async def run_follow(cell: Follow, stand: Stand, search: SearchStand) -> Row:
    """The row of a follow."""
    return await tried(cell, stand, lambda: _once(cell, stand, search))


async def _once(cell: Follow, stand: Stand, search: SearchStand) -> Row:
    stand.quiet()
    search.quiet()
    rows = map(cell.row, range(RECORDS))
    table = await asyncio.to_thread(tables.make, stand.direct, COMPLETE, rows, stream=True)
    stream = stand.direct.describe_table(TableName=table)["Table"]["LatestStreamArn"]
    control = await asyncio.to_thread(stand.proxy.lineages, stream)
    began = time.monotonic()
    operation = {
        "kind": "index",
        "to": {"search": search.proxy.endpoint_url, "alias": table},
        "mapping": MAPPING,
    }
    job = {"table": table, "operation": operation, "total_segments": 4, "limits": HELD_BACK}
    if cell.moment is Moment.START:
        await asyncio.to_thread(_break, cell, stand, search)
    with Writers(stand.direct, table, cell.row, KEYS, STEADY).at_work() as writers:
        client = await stand.connect()
        name = f"follow-{table}-{uuid.uuid4().hex[:6]}"
        handle = await client.start_workflow("FollowTable", job, id=name, task_queue=stand.queue)
        running = _Running(cell, stand, search, table, control, handle)
        happened = await _happens(running)
        await until(handle, lambda seen: bool(seen.get("drained")))
        await asyncio.sleep(AFTER)
        writers.stop()
        counted = await caught_up(stand, handle, control)
    truth = await asyncio.to_thread(search.proxy.truth, _LATE)
    left = await _left(running)
    await handle.cancel()
    report = await report_of(stand, handle)
    row = await _judged(running, report, truth, left, counted, happened)
    row.restarts, row.seconds = await restarts(handle), time.monotonic() - began
    dropped(stand, table)
    await asyncio.to_thread(search.server.ask, "DELETE", f"/{table}-*")
    return row


async def _happens(running: _Running) -> Happened:
    """What the cell is about, at its moment; afterwards the follow is held back no more."""
    cell, handle = running.cell, running.handle
    if cell.moment is Moment.MIDDLE:
        await _written(running, RECORDS / 2)
    elif cell.moment is Moment.END:
        await handle.execute_update("set_limits", LET_GO)
        await until(handle, lambda seen: bool(seen.get("drained")))
    await asyncio.to_thread(_break, cell, running.stand, running.search)
    happened = Happened()
    if cell.divide:
        happened = Happened(injected=await asyncio.to_thread(cell.divide, running.control))
    if cell.disturb:
        more = await cell.disturb(running.stand, running.search, running.table, handle)
        happened = Happened(injected={**happened.injected, **more.injected}, musts=more.musts)
    if cell.parks:
        await until(handle, lambda seen: seen["state"] == "parked")
        await asyncio.to_thread(running.stand.proxy.set_plan, FaultPlan())
        await asyncio.to_thread(running.search.proxy.set_plan, SearchFaultPlan())
        await handle.signal("resume")
    if cell.moment is Moment.END:
        await asyncio.sleep(AFTER)
    else:
        await handle.execute_update("set_limits", LET_GO)
    return happened


async def _written(running: _Running, documents: float) -> None:
    """Return once this many were accepted, or after a minute: then the follow's own account tells why."""
    deadline = time.monotonic() + 60  # seconds
    while await asyncio.to_thread(running.search.accepted, running.table) < documents:
        if time.monotonic() > deadline:
            return
        await asyncio.sleep(_LOOK)


def _break(cell: Follow, stand: Stand, search: SearchStand) -> None:
    stand.proxy.set_plan(FaultPlan(faults=tuple(cell.calls)))
    search.proxy.set_plan(SearchFaultPlan(faults=tuple(cell.writes)))


async def caught_up(stand: Stand, handle: Handle, control: LineageControl) -> int:
    """Changes that the shard which follows has counted: as many as there are, or as of the end of patience."""
    deadline = time.monotonic() + _CATCHES_UP
    run = (await until(handle, lambda seen: bool(seen.get("run"))))["run"]
    changes = len((await asyncio.to_thread(control.truth)).written)
    client = await stand.connect()
    while True:
        looked = await look_at(client, handle.id, run, {0: "shard-000"})
        seen = looked.shards.get(0)
        counted = seen.situation.summary.counts + seen.running if seen else None
        if counted and counted.tally.scanned >= changes and not counted.isolated:
            return counted.tally.scanned
        if time.monotonic() > deadline:
            return counted.tally.scanned if counted else 0
        await asyncio.sleep(_LOOK)


async def _left(running: _Running) -> list[Difference]:
    """What the judge finds; looked for again while a scan of the index may be behind its last refresh."""
    return await asyncio.to_thread(
        lambda: list(differences(running.stand.direct, running.table, running.search.server.url, running.table))
    )


def counts(report: dict[str, Any], counted: int, changes: int, accepted: int | None) -> dict[str, bool]:
    """What must hold of the numbers of a follow. `counted` of `changes`: by the shard that follows.

    `accepted`: writes that the destination took; None: it does not know any more.
    """
    tally = Tally.model_validate(report["tally"])
    scanned = tally.scanned - counted
    wrote = sum(tally[each] for each in (Outcome.UPDATED, Outcome.DELETED, Outcome.VANISHED))
    # Of a change whose answer was lost, a newer one that landed meanwhile leaves nothing: it is superseded.
    between = accepted is None or wrote <= accepted <= wrote + tally[Outcome.SUPERSEDED]
    return {
        "not balanced": report["balanced"],
        "records were given up": not tally[Outcome.QUARANTINED],
        f"{counted:,} of {changes:,} changes were counted": counted == changes,
        f"the scan counted {scanned:,} rows": STEADY <= scanned <= KEYS,
        f"{accepted or 0:,} writes were accepted, and {wrote:,} counted": between,
    }


async def _judged(
    running: _Running,
    report: dict[str, Any],
    truth: SearchTruth,
    left: list[Difference],
    counted: int,
    happened: Happened,
) -> Row:
    cell, stand, search = running.cell, running.stand, running.search
    layer = await asyncio.to_thread(running.control.truth)
    of_table = await asyncio.to_thread(stand.proxy.truth, 0)
    by_proxies = {**of_table.injected, **truth.injected}
    struck = await injected(cell, stand, running.handle, report["run"], by_proxies, happened)
    if cell.divide and cell.crash:
        struck = {**struck, **happened.injected}
    [index] = await asyncio.to_thread(search.server.ask, "GET", f"/{running.table}-*/_mapping")
    held = await asyncio.to_thread(search.server.ask, "GET", f"/{index}/_alias")
    documents = truth.indexes.get(f"{index}-write", {}).values()
    accepted = sum(len(document.accepted) for document in documents)
    twice = sum(
        len({write.version for write in document.accepted}) < len(document.accepted) for document in documents
    )
    changes = len(layer.written)
    musts = {
        "nothing happened": bool(struck),
        **counts(report, counted, changes, None if cell.dies else accepted),
        "documents went back": not truth.went_back(f"{index}-write"),
        "documents were written twice at one order": not twice,
        "documents could not be read on their way": not truth.unread,
        "readers do not have the index": running.table in held[index]["aliases"],
        "the table was written to": not of_table.applied(running.table),
        f"{len(left):,} keys differ": not left,
        **happened.musts,
    }
    outcomes = {name: count for name, count in report["tally"].items() if count and name != "scanned"}
    return row_of(
        cell,
        records=report["tally"]["scanned"],
        injected=struck,
        outcomes=outcomes,
        ambiguous=report["attempts"]["ambiguous"],
        balanced=report["balanced"],
        verification=f"judged: {changes:,} changes, {len(left):,} keys differ",
        changed_twice=twice,
        lost=len(left),
        wrong=[what for what, held in musts.items() if not held],
    )
