"""Running one comparison of a table with its search index, disturbed at its moment, and what a judge says."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from evidence.exactness import tables
from evidence.exactness.cell import Handle, Happened
from evidence.exactness.comparing import HELD_BACK, Seen, judged, scanned
from evidence.exactness.comparisons import RECORDS, row
from evidence.exactness.crashes import until
from evidence.exactness.document_comparisons import DocumentComparison
from evidence.exactness.indexes import MAPPING
from evidence.exactness.kinds import PARTS
from evidence.exactness.row import Row
from evidence.exactness.running import report_of, restarts
from evidence.exactness.scenes import COMPLETE, record_name
from evidence.exactness.search_stand import SearchStand
from evidence.exactness.stand import Stand
from evidence.exactness.two_tables import dropped, every_difference, injected, tried
from testbed.faults import FaultPlan
from testbed.faults.search import SearchFaultPlan
from testbed.judge_index import differences

_LIMITS = {"read_units_per_second": HELD_BACK["read_units_per_second"]}


async def run_document_comparison(cell: DocumentComparison, stand: Stand, search: SearchStand) -> Row:
    """The row of a comparison with an index."""

    async def once() -> Row:
        return judged(cell, await _once(cell, stand, search))

    return await tried(cell, stand, once)


async def _once(cell: DocumentComparison, stand: Stand, search: SearchStand) -> Seen:
    stand.quiet()
    search.quiet()
    table = await _made(stand, search)
    began = time.monotonic()
    operation = {"kind": "compare", "with": {"search": search.proxy.endpoint_url, "alias": table}}
    job = {"table": table, "operation": operation, "total_segments": 4, "limits": _LIMITS}
    handle = await stand.start(job, f"{table}-with-its-index")
    await until(handle, lambda seen: scanned(seen) >= PARTS[cell.moment] * RECORDS / 2)
    await asyncio.to_thread(_break, cell, stand, search, table)
    happened = await cell.struck(stand, search, table, handle) if cell.struck else Happened()
    if cell.parks:
        await _repaired(stand, search, handle)
    report = await report_of(stand, handle)
    by_proxies = (await asyncio.to_thread(stand.proxy.truth)).injected | search.proxy.truth().injected
    search.quiet()
    seen = Seen(
        report=report,
        judged={
            found.key["id"]["S"] if found.key else str(found.id): found.kind
            for found in await asyncio.to_thread(
                lambda: list(differences(stand.direct, table, search.server.url, table))
            )
        },
        kept=[
            (found.key["id"]["S"], found.kind.value)
            for found in await asyncio.to_thread(list, every_difference(stand.ledger(), report))
        ],
        happened=happened,
        injected=await injected(cell, stand, handle, report["run"], by_proxies, happened),
        restarts=await restarts(handle),
        seconds=time.monotonic() - began,
    )
    dropped(stand, table)
    await asyncio.to_thread(search.server.ask, "DELETE", f"/{table}-*")
    return seen


async def _made(stand: Stand, search: SearchStand) -> str:
    """A table and an index of what it held before it was changed: the planted differences. The table's name."""
    before, now = ([row(number, other=other) for number in range(RECORDS)] for other in (True, False))
    table = await asyncio.to_thread(tables.make, stand.direct, COMPLETE, filter(None, before))
    to = {"search": search.proxy.endpoint_url, "alias": table}
    operation: dict[str, Any] = {"kind": "index", "to": to, "mapping": MAPPING}
    await report_of(stand, await stand.start({"table": table, "operation": operation}, f"index-{table}"))
    await asyncio.to_thread(tables.put, stand.direct, table, filter(None, now))
    for number in (number for number, item in enumerate(now) if item is None):
        key = {"id": {"S": record_name(number)}}
        await asyncio.to_thread(stand.direct.delete_item, TableName=table, Key=key)
    return table


def _break(cell: DocumentComparison, stand: Stand, search: SearchStand, table: str) -> None:
    stand.proxy.set_plan(FaultPlan(faults=cell.plan(table)))
    search.proxy.set_plan(SearchFaultPlan(faults=tuple(cell.asked)))


async def _repaired(stand: Stand, search: SearchStand, handle: Handle) -> None:
    """It has parked itself; what was broken is repaired, and it is resumed."""
    await until(handle, lambda seen: seen["state"] == "parked")
    await asyncio.to_thread(stand.proxy.set_plan, FaultPlan())
    await asyncio.to_thread(search.proxy.set_plan, SearchFaultPlan())
    await handle.signal("resume")
