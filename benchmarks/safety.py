"""The price of safety when nothing goes wrong: stamp, condition, classification against a plain overwrite."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.bare import Bare, run_bare
from benchmarks.measured import Floor, Row, Section, Way, cpu_facts, interleaved, ratio
from benchmarks.stand import Stand

_KEPT = 0.95  # safety that costs more than a twentieth would be switched off
_MORE = 3  # times as often as the others: a twentieth drowns in the noise of single runs


def measure(stands: Stand, table: str, repeat: int, told: Callable[[str], None]) -> Section:
    """The bare loop both ways, in turn."""
    safe = Row("bare loop, stamped and conditional")
    plain = Row("bare loop, plain overwrite", note="UPDATE … SET v=? and no condition")
    rows: list[Way] = [
        (safe, lambda: run_bare(stands, Bare(table))),
        (plain, lambda: run_bare(stands, Bare(table, safe=False))),
    ]
    interleaved(rows, repeat * _MORE, told)
    kept = ratio(safe, plain)
    found = Section("safety", [safe, plain])
    found.floors = [Floor("rate kept with stamp, condition and classification", kept, _KEPT)]
    found.facts = cpu_facts(safe, plain)
    found.data = {"ratios": {"safe/plain": round(kept, 3)}}
    return found
