"""The price of safety when nothing goes wrong: stamp, condition, classification against a plain overwrite."""

from __future__ import annotations

from collections.abc import Callable

from evidence.benchmarks.bare import Bare, run_bare
from evidence.benchmarks.measured import Row, Section, compared
from testbed.stack import Stack

_KEPT = ("rate kept with stamp, condition and classification", 0.95)  # dearer, and it would be switched off
_MORE = 3  # times as often as the others: a twentieth drowns in the noise of single runs


def measure(servers: Stack, table: str, repeat: int, announce: Callable[[str], None]) -> Section:
    """The bare loop both ways, in turn."""
    safe = Row("bare loop, stamped and conditional")
    plain = Row("bare loop, plain overwrite", note="UPDATE … SET v=? and no condition")
    return compared(
        "safety",
        (safe, lambda: run_bare(servers, Bare(table))),
        (plain, lambda: run_bare(servers, Bare(table, safe=False))),
        _KEPT,
        repeat * _MORE,
        announce,
    )
