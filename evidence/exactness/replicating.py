"""Running one replica of the matrix, disturbed at its moment, and what the proxy and a judge say of it."""

from __future__ import annotations

import asyncio
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from evidence.exactness import tables
from evidence.exactness.cell import Handle, Happened
from evidence.exactness.crashes import until
from evidence.exactness.following import AFTER, HELD_BACK, KEYS, LET_GO, STEADY, caught_up, counts
from evidence.exactness.kinds import PARTS, Moment
from evidence.exactness.replicas import FOLLOWED, FOLLOWED_RECORDS, RECORDS, Replica
from evidence.exactness.row import Row
from evidence.exactness.running import report_of, restarts
from evidence.exactness.scenes import COMPLETE
from evidence.exactness.stand import Stand
from evidence.exactness.two_tables import dropped, injected, row_of, tried
from evidence.exactness.writers import Writers
from evidence.judge import differences
from testbed.faults import FaultPlan, Truth
from testbed.faults.lineages.control import LineageControl

_ORDER, _MARK = "reindexOrder", "reindexGone"
_LEFT_OUT = ("reindexVersion", "reindexRun", _ORDER, "reindexNames")
_LOOK = 0.1  # seconds between two looks at what was written, or at the orders that are stored
_LATE = 8.0  # seconds; the latest of the late writes comes 6 s after its call


@dataclass(frozen=True)
class _Running:
    """A replica under way, and what is known of its surroundings."""

    cell: Replica
    stand: Stand
    table: str
    replica: str
    handle: Handle
    watch: Watch
    control: LineageControl | None = None  # of the stream that it follows


async def run_replica(cell: Replica, stand: Stand) -> Row:
    """The row of a replica."""
    once = _followed if cell.side == FOLLOWED else _copied

    async def around() -> Row:
        with cell.around(stand) as servers:
            return await once(cell, servers)

    return await tried(cell, stand, around)


async def _copied(cell: Replica, stand: Stand) -> Row:
    """A job into a replica that holds nothing."""
    stand.quiet()
    table = await asyncio.to_thread(tables.make, stand.direct, COMPLETE, map(cell.row, range(RECORDS)))
    replica = await asyncio.to_thread(tables.make, stand.direct, COMPLETE, ())
    began = time.monotonic()
    if cell.moment is Moment.START:
        await asyncio.to_thread(stand.proxy.set_plan, FaultPlan(faults=cell.plan(replica)))
    with Watch(stand.direct, replica).at_work() as watch:
        handle = await stand.start({**_job(table, replica), "limits": HELD_BACK}, f"{table}-to-{replica}")
        running = _Running(cell, stand, table, replica, handle, watch)
        happened = await _happens(running)
        report = await report_of(stand, handle)
        truth = await asyncio.to_thread(stand.proxy.truth, _LATE)
    row = await _judged_copy(running, report, truth, happened)
    row.restarts, row.seconds = await restarts(handle), time.monotonic() - began
    dropped(stand, table, replica)
    return row


async def _followed(cell: Replica, stand: Stand) -> Row:
    """A follow into a replica that holds nothing, while others write to the table."""
    stand.quiet()
    rows = map(cell.row, range(FOLLOWED_RECORDS))
    table = await asyncio.to_thread(tables.make, stand.direct, COMPLETE, rows, stream=True)
    replica = await asyncio.to_thread(tables.make, stand.direct, COMPLETE, ())
    stream = stand.direct.describe_table(TableName=table)["Table"]["LatestStreamArn"]
    control = await asyncio.to_thread(stand.proxy.lineages, stream)
    began = time.monotonic()
    with Watch(stand.direct, replica).at_work() as watch:
        with Writers(stand.direct, table, cell.row, KEYS, STEADY).at_work() as writers:
            client = await stand.connect()
            name = f"follow-{table}-{uuid.uuid4().hex[:6]}"
            job = {**_job(table, replica), "limits": HELD_BACK}
            handle = await client.start_workflow("FollowTable", job, id=name, task_queue=stand.queue)
            running = _Running(cell, stand, table, replica, handle, watch, control)
            happened = await _happens(running)
            await until(handle, lambda seen: bool(seen.get("drained")))
            await asyncio.sleep(AFTER)
            writers.stop()
            counted = await caught_up(stand, handle, control)
        truth = await asyncio.to_thread(stand.proxy.truth, _LATE)
    await handle.cancel()
    report = await report_of(stand, handle)
    row = await _judged_follow(running, report, truth, counted, happened)
    row.restarts, row.seconds = await restarts(handle), time.monotonic() - began
    dropped(stand, table, replica)
    return row


def _job(table: str, replica: str) -> dict[str, Any]:
    operation = {"kind": "replicate", "to": {"table": replica}}
    return {"table": table, "operation": operation, "total_segments": 4}


async def _happens(running: _Running) -> Happened:
    """What the cell is about, at its moment. What is followed is held back no more afterwards."""
    cell, stand, handle = running.cell, running.stand, running.handle
    follows = running.control is not None
    if follows and cell.moment is Moment.END:
        await handle.execute_update("set_limits", LET_GO)
        await until(handle, lambda seen: bool(seen.get("drained")))
    elif cell.moment is not Moment.START:
        await _written(running, PARTS[cell.moment] * (FOLLOWED_RECORDS if follows else RECORDS))
    await asyncio.to_thread(stand.proxy.set_plan, FaultPlan(faults=cell.plan(running.replica)))
    happened = Happened()
    if cell.divide and running.control:
        happened = Happened(injected=await asyncio.to_thread(cell.divide, running.control))
    if cell.disturb:
        more = await cell.disturb(stand, cell, running.replica, handle)
        happened = Happened(injected={**happened.injected, **more.injected}, musts=more.musts)
    if cell.parks:
        await until(handle, lambda seen: seen["state"] == "parked")
        await asyncio.to_thread(stand.proxy.set_plan, FaultPlan())
        await handle.signal("resume")
    if follows and cell.moment is Moment.END:
        await asyncio.sleep(AFTER)
    elif follows:
        await handle.execute_update("set_limits", LET_GO)
    return happened


async def _written(running: _Running, rows: float) -> None:
    """Return once this many were, or after a minute: then the job's own account tells why."""
    deadline = time.monotonic() + 60  # seconds
    while (await asyncio.to_thread(running.stand.proxy.truth)).applied(running.replica) < rows:
        if time.monotonic() > deadline:
            return
        await asyncio.sleep(_LOOK)


def left_of(client: Any, table: str, replica: str) -> list[str]:
    """How each key differs, by a judge that shares no code with the job. Marks count as not there."""
    return [how for _, how in differences(client, table, replica, _LEFT_OUT, _MARK)]


async def _left(running: _Running) -> list[str]:
    return await asyncio.to_thread(left_of, running.stand.direct, running.table, running.replica)


async def _judged_copy(running: _Running, report: dict[str, Any], truth: Truth, happened: Happened) -> Row:
    cell, left = running.cell, await _left(running)
    struck = await injected(cell, running.stand, running.handle, report["run"], dict(truth.injected), happened)
    tally = {name: count for name, count in report["tally"].items() if count}
    scanned = tally.pop("scanned", 0)
    writes = [key.applied for key in truth.tables.get(running.replica, {}).values()]
    held = RECORDS - left.count("missing")
    expected = {"updated": held} if cell.cancelled else {"updated": RECORDS - cell.given_up}
    expected |= {"quarantined": cell.given_up} if cell.given_up else {}
    allowed = left.count("missing") if cell.cancelled else cell.given_up
    musts = {
        "nothing happened": bool(struck),
        "not balanced": report["balanced"] and scanned == sum(tally.values()),
        f"outcomes should be {expected}": tally == expected,
        f"the proxy has seen {sum(writes):,} rows written, not {held:,}": sum(writes) == held,
        "records were lost": len(left) <= allowed,
        **always(running.watch, truth, running.table),
        **happened.musts,
    }
    return row_of(
        cell,
        records=RECORDS,
        injected=struck,
        outcomes=tally,
        ambiguous=report["attempts"]["ambiguous"],
        balanced=report["balanced"],
        verification=f"judged: {held:,} rows, {len(left) - left.count('missing'):,} differ",
        changed_twice=sum(count > 1 for count in writes),
        lost=max(0, len(left) - allowed),
        wrong=[what for what, holds in musts.items() if not holds],
    )


async def _judged_follow(
    running: _Running, report: dict[str, Any], truth: Truth, counted: int, happened: Happened
) -> Row:
    cell, left = running.cell, await _left(running)
    assert running.control is not None, "what is followed?"
    changes = len((await asyncio.to_thread(running.control.truth)).written)
    struck = await injected(cell, running.stand, running.handle, report["run"], dict(truth.injected), happened)
    struck = {**struck, **happened.injected} if cell.divide and struck else struck
    musts = {
        "nothing happened": bool(struck),
        **counts(report, counted, changes, truth.applied(running.replica)),
        f"{len(left):,} keys differ": not left,
        **always(running.watch, truth, running.table),
        **happened.musts,
    }
    return row_of(
        cell,
        records=report["tally"]["scanned"],
        injected=struck,
        outcomes={name: count for name, count in report["tally"].items() if count and name != "scanned"},
        ambiguous=report["attempts"]["ambiguous"],
        balanced=report["balanced"],
        verification=f"judged: {changes:,} changes, {len(left):,} keys differ",
        changed_twice=0,
        lost=len(left),
        wrong=[what for what, holds in musts.items() if not holds],
    )


def always(watch: Watch, truth: Truth, table: str) -> dict[str, bool]:
    """What must hold of every replica."""
    fell = watch.fell
    return {
        f"{len(fell):,} rows went back": not fell,
        "no row was watched": watch.looks > 1,
        "the table was written to": not truth.applied(table),
        "writes could not be read on their way": not truth.unread,
    }


class Watch:
    """Looks at the orders that a replica stores, past the proxy, all the while that it is written."""

    def __init__(self, client: Any, replica: str) -> None:
        self._client, self._replica = client, replica
        self._stop = threading.Event()
        self._orders: dict[str, int] = {}
        self.fell: set[str] = set()  # keys whose order has become less
        self.looks = 0

    @contextmanager
    def at_work(self) -> Iterator[Watch]:
        """For the block, and once more at its end."""
        thread = threading.Thread(target=self._run, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            thread.join()
            self._look()

    def _run(self) -> None:
        while not self._stop.wait(_LOOK):
            self._look()

    def _look(self) -> None:
        seen = {row["id"]["S"]: int(row[_ORDER]["N"]) for row in tables.rows(self._client, self._replica)}
        self.fell |= {name for name, order in self._orders.items() if seen.get(name, -1) < order}
        self._orders, self.looks = seen, self.looks + 1
