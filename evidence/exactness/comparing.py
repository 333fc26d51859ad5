"""Running one comparison of the matrix, disturbed at its moment, and what an independent judge says of it."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any

from evidence.exactness.cell import Happened
from evidence.exactness.comparisons import RECORDS, Comparison, planted
from evidence.exactness.crashes import until
from evidence.exactness.kinds import PARTS, Moment
from evidence.exactness.row import Row
from evidence.exactness.running import restarts
from evidence.exactness.stand import Stand
from evidence.exactness.two_tables import dropped, ended, every_difference, injected, made, row_of, tried
from evidence.judge import differences
from testbed.faults import FaultPlan, key_text

#: Read units a second of each table: its hundred differences, of some four units each, take seconds.
HELD_BACK = {"read_units_per_second": 60, "other_read_units_per_second": 60}
_KINDS = ("different", "missing", "extraneous")


@dataclass(frozen=True)
class Seen:
    """A comparison that has ended. `judged`, `kept`: how each key differs, by the judge and in the ledger."""

    report: dict[str, Any]
    judged: dict[str, str]
    kept: list[tuple[str, str]]
    happened: Happened
    injected: dict[str, int]
    restarts: int
    seconds: float


async def run_comparison(cell: Comparison, stand: Stand) -> Row:
    """The row of a comparison."""

    async def once() -> Row:
        return judged(cell, await _once(cell, stand))

    return await tried(cell, stand, once)


async def _once(cell: Comparison, stand: Stand) -> Seen:
    stand.quiet()
    table, other = await asyncio.to_thread(made, stand)
    plan = FaultPlan(faults=cell.plan(table, other))
    began = time.monotonic()
    operation = {"kind": "compare", "with": {"table": other}}
    job = {"table": table, "operation": operation, "total_segments": 4, "limits": HELD_BACK}
    handle = await stand.start({**job, **cell.job}, f"{table}-with-{other}")
    if cell.moment is not Moment.START:
        await until(handle, lambda seen: scanned(seen) >= PARTS[cell.moment] * RECORDS / 2)
    await asyncio.to_thread(stand.proxy.set_plan, plan)
    report, happened = await ended(cell, stand, table, handle)
    by_proxy = dict((await asyncio.to_thread(stand.proxy.truth)).injected)
    seen = Seen(
        report=report,
        judged={key_text(key): kind for key, kind in differences(stand.direct, table, other)},
        kept=[
            (key_text(found.key), found.kind.value)
            for found in await asyncio.to_thread(list, every_difference(stand.ledger(), report))
        ],
        happened=happened,
        injected=await injected(cell, stand, handle, report["run"], by_proxy, happened),
        restarts=await restarts(handle),
        seconds=time.monotonic() - began,
    )
    dropped(stand, table, other)
    return seen


def scanned(seen: dict[str, Any]) -> float:
    """Rows of the first table, by the job's progress."""
    return float(seen.get("comparison", {}).get("scanned", 0))


def judged(cell: Comparison, seen: Seen) -> Row:
    """The row: the judge's differences beside those of the ledger."""
    counts = seen.report["comparison"]["counts"]
    found = {kind: counts[kind] for kind in ("equal", *_KINDS, "moving", "other_moving") if counts[kind]}
    true, kept = set(seen.judged.items()), set(seen.kept)
    musts = _musts(cell, seen, found)
    return row_of(
        cell,
        injected=seen.injected,
        outcomes=found,
        balanced=_balances(counts),
        verification=f"judged: {len(true & kept):,} of {len(true):,} found, {len(kept - true):,} invented",
        changed_twice=sum(count > 1 for count in Counter(key for key, _ in seen.kept).values()),
        lost=0 if cell.cancelled else len(true - kept),
        restarts=seen.restarts,
        seconds=seen.seconds,
        wrong=[what for what, held in musts.items() if not held],
    )


def _musts(cell: Comparison, seen: Seen, found: dict[str, int]) -> dict[str, bool]:
    """What must hold, in words that say what did not."""
    truth = Counter(map(planted, range(RECORDS)))
    judged = Counter(equal=truth["equal"]) + Counter(seen.judged.values())
    in_ledger = Counter(kind for _, kind in seen.kept)
    musts = {
        "nothing happened": bool(seen.injected),
        "not balanced": _balances(seen.report["comparison"]["counts"]),
        "a shard was started again": seen.restarts == 0,
        "the judge does not see what was planted": judged == truth,
        "differences were invented": set(seen.kept) <= set(seen.judged.items()),
        "a key is named twice": len(seen.kept) == len(dict(seen.kept)),
        "the ledger does not have what was counted": in_ledger
        == Counter({kind: count for kind, count in found.items() if kind != "equal"}),
        **seen.happened.musts,
    }
    if not cell.cancelled:
        musts[f"outcomes should be {dict(truth)}"] = found == truth
    return musts


def _balances(counts: dict[str, int]) -> bool:
    first = sum(counts[name] for name in ("equal", "different", "missing", "moving", "absent"))
    other = sum(counts[name] for name in ("matched", "extraneous", "other_moving", "other_absent"))
    return (counts["scanned"], counts["other_scanned"]) == (first, other)
