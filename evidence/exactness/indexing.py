"""Running one index of the matrix, disturbed at its moment, and what both proxies and a judge say of it."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from evidence.exactness import tables
from evidence.exactness.cell import Handle, Happened
from evidence.exactness.comparisons import RECORDS
from evidence.exactness.crashes import until
from evidence.exactness.indexes import MAPPING, Indexing
from evidence.exactness.kinds import PARTS, Moment
from evidence.exactness.row import Row
from evidence.exactness.running import report_of, restarts
from evidence.exactness.scenes import COMPLETE
from evidence.exactness.search_stand import SearchStand, refused, written
from evidence.exactness.stand import Stand
from evidence.exactness.two_tables import dropped, injected, row_of, tried
from testbed.faults import FaultPlan
from testbed.faults.search import SearchFaultPlan, SearchTruth
from testbed.judge_index import differences

#: Ten seconds for all: most requests carry one document, and pages are small enough to be read until the end.
_HELD_BACK = {"records_per_second": 100, "read_units_per_second": 10}
_LOOK = 0.05  # seconds between two looks at what was written
_LATE = 12.0  # seconds; the latest of the late requests comes 10 s after it was sent


async def run_indexing(cell: Indexing, stand: Stand, search: SearchStand) -> Row:
    """The row of an index."""
    return await tried(cell, stand, lambda: _once(cell, stand, search))


async def _once(cell: Indexing, stand: Stand, search: SearchStand) -> Row:
    stand.quiet()
    search.quiet()
    table = await asyncio.to_thread(tables.make, stand.direct, COMPLETE, map(cell.row, range(RECORDS)))
    began = time.monotonic()
    to = {"search": search.proxy.endpoint_url, "alias": table}
    operation = {"kind": "index", "to": to, "mapping": MAPPING}
    if cell.moment is Moment.START:
        await asyncio.to_thread(_break, cell, stand, search, table)
    limits = _HELD_BACK if cell.held_back else {}
    job = {"table": table, "operation": operation, "total_segments": 4, "limits": limits}
    handle = await stand.start(job, f"index-{table}")
    if cell.moment is not Moment.START:
        await _written(search, table, PARTS[cell.moment] * RECORDS)
        await asyncio.to_thread(_break, cell, stand, search, table)
    happened = await cell.disturb(stand, search, table, handle) if cell.disturb else Happened()
    if cell.parks:
        await until(handle, lambda seen: seen["state"] == "parked")
        await asyncio.to_thread(stand.proxy.set_plan, FaultPlan())
        await asyncio.to_thread(search.proxy.set_plan, SearchFaultPlan())
        await handle.signal("resume")
    report = await report_of(stand, handle)
    seconds = time.monotonic() - began
    row = await _judged(cell, stand, search, report, handle, happened)
    row.restarts, row.seconds = await restarts(handle), seconds
    dropped(stand, table)
    await asyncio.to_thread(search.server.ask, "DELETE", f"/{table}-*")
    return row


async def _written(search: SearchStand, alias: str, documents: float) -> None:
    """Return once this many were accepted, or after a minute: then the job's own account tells why."""
    deadline = time.monotonic() + 60  # seconds
    while await asyncio.to_thread(search.accepted, alias) < documents and time.monotonic() < deadline:
        await asyncio.sleep(_LOOK)


def _break(cell: Indexing, stand: Stand, search: SearchStand, table: str) -> None:
    stand.proxy.set_plan(FaultPlan(faults=cell.plan(table)))
    search.proxy.set_plan(SearchFaultPlan(faults=tuple(cell.writes)))


async def _judged(
    cell: Indexing,
    stand: Stand,
    search: SearchStand,
    report: dict[str, Any],
    handle: Handle,
    happened: Happened,
) -> Row:
    truth = await asyncio.to_thread(search.proxy.truth, _LATE)
    of_table = await asyncio.to_thread(stand.proxy.truth, 0)
    table = report["table"]
    [index] = await asyncio.to_thread(search.server.ask, "GET", f"/{table}-*/_mapping")
    by_proxies = {**of_table.injected, **truth.injected}
    by_proxies |= refused(index, truth) if cell.given_up else {}
    struck = await injected(cell, stand, handle, report["run"], by_proxies, happened)
    found = await asyncio.to_thread(lambda: list(differences(stand.direct, table, search.server.url, index)))
    behind = await asyncio.to_thread(search.server.ask, "GET", f"/{index}/_alias")
    readers_have_it = table in behind[index]["aliases"]
    row = _row(cell, report, truth, written(index, truth), [each.kind for each in found])
    musts = {
        "nothing happened": bool(struck),
        "readers have the index too early, or never": readers_have_it is cell.completes,
        "the table was written to": not of_table.applied(table),
        **happened.musts,
    }
    row.wrong += [what for what, held in musts.items() if not held]
    row.injected = struck
    return row


def _row(
    cell: Indexing, report: dict[str, Any], truth: SearchTruth, written: dict[str, int], kinds: list[str]
) -> Row:
    """`written`: how often each document was accepted; `kinds`: of each key that differs, by the judge."""
    tally = {name: count for name, count in report["tally"].items() if count}
    scanned = tally.pop("scanned", 0)
    documents, accepted = RECORDS - kinds.count("missing"), sum(count > 0 for count in written.values())
    seen = f"the proxy has seen {accepted:,} documents written, not {documents:,}"
    expected = {"updated": documents if cell.cancelled else RECORDS - cell.given_up}
    expected |= {"quarantined": cell.given_up} if cell.given_up else {}
    allowed = kinds.count("missing") if cell.cancelled else cell.given_up
    held = report.get("index") or {}
    musts = {
        "not balanced": report["balanced"],
        f"outcomes should be {expected}": tally == expected,
        seen: accepted == documents or cell.dies,
        "documents were written twice": max(written.values(), default=0) <= 1,
        "documents could not be read on their way": not truth.unread,
        "the job counts other documents": cell.cancelled or held.get("documents") == documents,
        "records were lost": len(kinds) <= allowed,
    }
    return row_of(
        cell,
        outcomes=tally,
        ambiguous=report["attempts"]["ambiguous"],
        balanced=report["balanced"] and scanned == sum(tally.values()),
        verification=f"judged: {documents:,} documents, {len(kinds) - kinds.count('missing'):,} differ",
        changed_twice=sum(count > 1 for count in written.values()),
        lost=max(0, len(kinds) - allowed),
        wrong=[what for what, held in musts.items() if not held],
    )
