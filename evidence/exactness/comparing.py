"""Running one comparison of the matrix, disturbed at its moment, and what an independent judge says of it."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any

from temporalio.service import RPCError

from evidence.exactness import tables
from evidence.exactness.cell import Handle, Happened
from evidence.exactness.comparisons import RECORDS, Comparison, planted, row
from evidence.exactness.crashes import until
from evidence.exactness.kinds import PARTS, Moment
from evidence.exactness.row import Row
from evidence.exactness.running import lost_attempts, repaired, report_of, restarts
from evidence.exactness.scenes import COMPLETE
from evidence.exactness.stand import Stand
from evidence.judge import differences
from testbed.embedded import ServerUnavailable
from testbed.faults import FaultPlan, key_text

_TRIES = 4  # as of the other cells: the dice may let every call of so small a job through
#: Read units a second of each table: its hundred differences, of some four units each, take seconds.
_HELD_BACK = {"read_units_per_second": 60, "other_read_units_per_second": 60}
_KINDS = ("different", "missing", "extraneous")


@dataclass(frozen=True)
class _Seen:
    """`judged` and `kept`: the kind of each key that differs, by the judge and in the ledger."""

    report: dict[str, Any]
    judged: dict[str, str]
    kept: list[tuple[str, str]]
    happened: Happened
    injected: dict[str, int]
    restarts: int
    seconds: float


async def run_comparison(cell: Comparison, stand: Stand) -> Row:
    """The row of a comparison."""
    for _ in range(_TRIES):
        try:
            found = _judged(cell, await _once(cell, stand))
        except (RuntimeError, TimeoutError, ServerUnavailable, RPCError) as error:
            await asyncio.to_thread(stand.recover)
            return _row(cell, wrong=[" ".join(f"{type(error).__name__}: {error}".split())])
        if found.injected:
            break
    return found


async def _once(cell: Comparison, stand: Stand) -> _Seen:
    stand.quiet()
    table, other = await asyncio.to_thread(made, stand)
    plan = FaultPlan(faults=cell.plan(table, other))
    began = time.monotonic()
    operation = {"kind": "compare", "with": {"table": other}}
    job = {"table": table, "operation": operation, "total_segments": 4, "limits": _HELD_BACK}
    handle = await stand.start({**job, **cell.job}, f"{table}-with-{other}")
    if cell.moment is not Moment.START:
        await until(handle, lambda seen: _scanned(seen) >= PARTS[cell.moment] * RECORDS / 2)
    await asyncio.to_thread(stand.proxy.set_plan, plan)
    happened = await cell.disturb(stand, cell, table, handle) if cell.disturb else Happened()  # type: ignore[arg-type]
    if cell.parks:
        await repaired(stand, handle, FaultPlan())
    report = await report_of(stand, handle)
    injected = dict((await asyncio.to_thread(stand.proxy.truth)).injected) | dict(happened.injected)
    if cell.crash:
        lost = await lost_attempts(stand, handle, report["run"])
        injected = {"attempts lost": lost} if lost else {}
    seen = _Seen(
        report=report,
        judged={key_text(key): kind for key, kind in differences(stand.direct, table, other)},
        kept=await asyncio.to_thread(_kept, stand, handle, report),
        happened=happened,
        injected=injected,
        restarts=await restarts(handle),
        seconds=time.monotonic() - began,
    )
    for name in (table, other):
        stand.direct.delete_table(TableName=name)
    return seen


def made(stand: Stand) -> tuple[str, str]:
    """Two tables with the planted differences; their names."""
    rows = [[row(number, other=other) for number in range(RECORDS)] for other in (False, True)]
    first, second = (tables.make(stand.direct, COMPLETE, filter(None, each)) for each in rows)
    return first, second


def _scanned(seen: dict[str, Any]) -> float:
    return float(seen.get("comparison", {}).get("scanned", 0))


def _kept(stand: Stand, handle: Handle, report: dict[str, Any]) -> list[tuple[str, str]]:
    ledger = stand.ledger()
    return [
        (key_text(found.key), found.kind.value)
        for shard, chunks in enumerate(report["comparison"]["chunks"])
        for number in range(chunks)
        for found in ledger.differences.of(handle.id, report["run"], shard, number)
    ]


def _judged(cell: Comparison, seen: _Seen) -> Row:
    counts = seen.report["comparison"]["counts"]
    found = {kind: counts[kind] for kind in ("equal", *_KINDS, "moving", "other_moving") if counts[kind]}
    true, kept = set(seen.judged.items()), set(seen.kept)
    musts = _musts(cell, seen, found)
    return _row(
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


def _musts(cell: Comparison, seen: _Seen, found: dict[str, int]) -> dict[str, bool]:
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


def _row(cell: Comparison, **known: Any) -> Row:
    """With nothing known of it, but for what is."""
    nothing = {"injected": {}, "ambiguous": 0, "outcomes": {}, "balanced": False, "verification": "none"}
    sums = {"changed_twice": 0, "lost": 0, "restarts": 0, "seconds": 0.0}
    name = {"operation": "compare", "scene": cell.side, "fault": cell.fault, "moment": cell.moment}
    return Row(**{**name, "records": RECORDS, **nothing, **sums, **known})
