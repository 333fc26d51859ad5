"""Running one refresh of the matrix beside a follow and other writers, and what the judge says at the end."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from evidence.exactness import tables
from evidence.exactness.cell import Handle, Happened
from evidence.exactness.crashes import until
from evidence.exactness.destinations import Destination
from evidence.exactness.following import AFTER, KEYS, STEADY, caught_up, counts
from evidence.exactness.kinds import PARTS, Moment
from evidence.exactness.refreshes import Refresh
from evidence.exactness.replicas import FOLLOWED_RECORDS
from evidence.exactness.row import Row
from evidence.exactness.running import report_of, restarts
from evidence.exactness.scenes import COMPLETE, record_name
from evidence.exactness.stand import Stand
from evidence.exactness.two_tables import injected, row_of, tried
from evidence.exactness.writers import Writers

_HELD_BACK = {"records_per_second": 100}  # six seconds for all keys: there is a middle

#: Makes the destination of a table.
Where = Callable[[Stand, str], Destination]


@dataclass(frozen=True)
class _Refreshed:
    """The refresh once it has ended."""

    handle: Handle
    report: dict[str, Any]
    happened: Happened
    injected: dict[str, int]


async def run_refresh(cell: Refresh, stand: Stand, where: Where) -> Row:
    """The row of a refresh."""
    return await tried(cell, stand, lambda: _once(cell, stand, where))


async def _once(cell: Refresh, stand: Stand, where: Where) -> Row:
    stand.quiet()
    rows = map(cell.row, range(FOLLOWED_RECORDS))
    table = await asyncio.to_thread(tables.make, stand.direct, COMPLETE, rows, stream=True)
    to = await asyncio.to_thread(where, stand, table)
    stream = stand.direct.describe_table(TableName=table)["Table"]["LatestStreamArn"]
    control = await asyncio.to_thread(stand.proxy.lineages, stream)
    began = time.monotonic()
    with Writers(stand.direct, table, cell.row, KEYS, STEADY).at_work() as writers:
        client = await stand.connect()
        follow = await client.start_workflow(
            "FollowTable",
            {"table": table, "operation": to.follow(), "total_segments": 4},
            id=f"follow-{table}-{uuid.uuid4().hex[:6]}",
            task_queue=stand.queue,
        )
        await until(follow, lambda seen: bool(seen.get("drained")))
        await asyncio.to_thread(to.spoil)
        spoilt = await asyncio.to_thread(to.left)
        with to.watched() as held:
            refreshed = await _refreshed(cell, stand, table, to)
            await asyncio.sleep(AFTER)
            writers.stop()
            counted = await caught_up(stand, follow, control)
    await follow.cancel()
    followed = await report_of(stand, follow)
    left, written = await asyncio.to_thread(to.left), await asyncio.to_thread(to.written)
    changes = len((await asyncio.to_thread(control.truth)).written)
    report = refreshed.report
    tally = {name: count for name, count in report["tally"].items() if count}
    scanned = tally.pop("scanned", 0)
    wrote = sum(one["tally"][each] for one in (report, followed) for each in ("updated", "deleted", "vanished"))
    musts = {
        "nothing happened": bool(refreshed.injected),
        "nothing was spoilt": bool(spoilt),
        "the refresh is not balanced": report["balanced"] and scanned == sum(tally.values()),
        f"{scanned:,} of {KEYS:,} keys were refreshed": scanned == KEYS,
        f"outcomes of the refresh are {tally}": tally.keys() <= {"updated", "vanished"},
        f"{written:,} writes were accepted, and {wrote:,} counted": written >= wrote,
        **counts(followed, counted, changes, None),
        f"{left:,} keys differ": not left,
        **held,
        **refreshed.happened.musts,
    }
    row = row_of(
        cell,
        records=scanned,
        injected=refreshed.injected,
        outcomes=tally,
        ambiguous=report["attempts"]["ambiguous"],
        balanced=report["balanced"],
        verification=f"judged: {spoilt:,} spoilt, {changes:,} changes, {left:,} keys differ",
        changed_twice=0,
        lost=left,
        wrong=[what for what, holds in musts.items() if not holds],
    )
    row.restarts, row.seconds = await restarts(refreshed.handle), time.monotonic() - began
    await asyncio.to_thread(to.drop)
    return row


async def _refreshed(cell: Refresh, stand: Stand, table: str, to: Destination) -> _Refreshed:
    """All keys that others write, again; what the cell is about happens meanwhile, and ends with it."""
    job = {
        "table": table,
        "operation": to.refresh(),
        "scope": {"kind": "keys", "values": [record_name(number) for number in range(KEYS)]},
        "limits": _HELD_BACK,
    }
    if cell.moment is Moment.START:
        await asyncio.to_thread(to.set_faults, cell)
    handle = await stand.start(job, f"refresh-{table}-{uuid.uuid4().hex[:6]}")
    if cell.moment is not Moment.START:
        most = PARTS[cell.moment] * KEYS
        await until(handle, lambda seen: seen["tally"]["scanned"] >= most)
        await asyncio.to_thread(to.set_faults, cell)
    happened = await cell.disturb(stand, cell, table, handle) if cell.disturb else Happened()
    report = await report_of(stand, handle)
    await asyncio.to_thread(to.clear_faults)
    by_proxy = await asyncio.to_thread(to.injected)
    if not cell.disturb and not any(report["attempts"].values()):
        by_proxy = {}  # it was the follow alone that met them
    struck = await injected(cell, stand, handle, report["run"], by_proxy, happened)
    return _Refreshed(handle, report, happened, struck)
