"""A transform beside a touch, on every place that GeoNames knows with 500 inhabitants or more."""

from __future__ import annotations

from collections.abc import Callable

from evidence.benchmarks.job import run_fresh, transform
from evidence.benchmarks.measured import Row, Section, compared
from testbed.stack import Stack

_KEPT = ("transform / touch", 0.5)  # whole items read, the function, a guard, whole items read to verify


def measure(servers: Stack, table: str, repeat: int, announce: Callable[[str], None]) -> Section:
    """Both over the whole table, in turn."""
    function = Row("transform, whole job", note="jobs/size_class.py: query, function, two attributes set")
    touch = Row("touch, whole job", note="the same table")
    return compared(
        "transform",
        (function, lambda: run_fresh(servers, table, transform)),
        (touch, lambda: run_fresh(servers, table)),
        _KEPT,
        repeat,
        announce,
    )
