"""Running one repair of the matrix, disturbed at its moment, and what proxy and an independent judge say."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from evidence.exactness.comparisons import RECORDS, planted
from evidence.exactness.crashes import until
from evidence.exactness.kinds import PARTS, Moment
from evidence.exactness.repairs import DIFFERING, OUTCOMES, Repair
from evidence.exactness.row import Row
from evidence.exactness.running import restarts
from evidence.exactness.scenes import record_name
from evidence.exactness.stand import Stand
from evidence.exactness.two_tables import dropped, ended, injected, made, row_of, tried
from evidence.judge import differences
from testbed.faults import FaultPlan, Truth

_HELD_BACK = {"records_per_second": 15}  # its hundred differences take seconds, and some sixty calls
_LATE = 8.0  # seconds; the latest of the late writes comes 6 s after its call


async def run_repair(cell: Repair, stand: Stand) -> Row:
    """The row of a repair."""
    return await tried(cell, stand, lambda: _once(cell, stand))


async def _once(cell: Repair, stand: Stand) -> Row:
    stand.quiet()
    table, other = await asyncio.to_thread(made, stand)
    began = time.monotonic()
    operation = {"kind": "repair", "with": {"table": other}}
    job = {"table": table, "operation": operation, "total_segments": 4, "allow_no_recovery": True}
    if cell.moment is Moment.START:
        await asyncio.to_thread(stand.proxy.set_plan, FaultPlan(faults=cell.plan(other)))
    handle = await stand.start({**job, "limits": _HELD_BACK, **cell.job}, f"{table}-to-{other}")
    if cell.moment is not Moment.START:
        await until(handle, lambda seen: seen["tally"]["scanned"] >= PARTS[cell.moment] * len(DIFFERING))
        await asyncio.to_thread(stand.proxy.set_plan, FaultPlan(faults=cell.plan(other)))
    report, happened = await ended(cell, stand, table, handle)
    seconds = time.monotonic() - began
    truth = await asyncio.to_thread(stand.proxy.truth, _LATE)
    struck = await injected(cell, stand, handle, report["run"], dict(truth.injected), happened)
    left = {key["id"]["S"] for key, _ in differences(stand.direct, table, other)}
    row = _judged(cell, report, truth, other, left)
    row.wrong += [
        what for what, held in {**happened.musts, "nothing happened": bool(struck)}.items() if not held
    ]
    if truth.applied(table):
        row.wrong.append("the first table was written to")
    row.injected, row.restarts, row.seconds = struck, await restarts(handle), seconds
    dropped(stand, table, other)
    return row


def _judged(cell: Repair, report: dict[str, Any], truth: Truth, other: str, left: set[str]) -> Row:
    """`left`: names of the rows that differ still."""
    tally = {name: count for name, count in report["tally"].items() if count}
    scanned = tally.pop("scanned", 0)
    applied = {
        number: truth.key(other, {"id": {"S": record_name(number)}}).applied for number in range(RECORDS)
    }
    done = [number for number in DIFFERING if record_name(number) not in left]
    expected = cell.outcomes()
    if cell.cancelled:
        names = [OUTCOMES[planted(number)] for number in done]
        expected = {name: names.count(name) for name in OUTCOMES.values() if name in names}
    allowed = {record_name(number) for number in (DIFFERING if cell.cancelled else cell.refused)}
    musts = {
        "not balanced": report["balanced"],
        f"outcomes should be {expected}": tally == expected,
        "equal rows were written to": not any(applied[n] for n in applied if n not in DIFFERING),
        "rows are equal that nothing was written to": all(applied[number] for number in done),
    }
    return row_of(
        cell,
        outcomes=tally,
        ambiguous=report["attempts"]["ambiguous"],
        balanced=report["balanced"] and scanned == sum(tally.values()),
        verification=f"judged: {len(left):,} differ",
        # To delete what is gone changes nothing, and succeeds.
        changed_twice=sum(applied[n] > 1 for n in DIFFERING if planted(n) != "extraneous"),
        lost=len(left - allowed),
        wrong=[what for what, held in musts.items() if not held]
        + (["records were lost"] if left - allowed else []),
    )
