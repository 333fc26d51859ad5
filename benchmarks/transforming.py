"""A transform beside a touch, on every place that GeoNames knows with 500 inhabitants or more."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.job import run_fresh, transform
from benchmarks.measured import Floor, Row, Section, Way, cpu_facts, interleaved, ratio
from benchmarks.stand import Stand

_OF_TOUCH = 0.5  # whole items read, the function, a guard for what it read, whole items read to verify


def measure(stands: Stand, table: str, repeat: int, told: Callable[[str], None]) -> Section:
    """Both over the whole table, in turn."""
    function = Row("transform, whole job", note="jobs/size_class.py: query, function, two attributes set")
    touch = Row("touch, whole job", note="the same table")
    rows: list[Way] = [
        (function, lambda: run_fresh(stands, table, transform)),
        (touch, lambda: run_fresh(stands, table)),
    ]
    interleaved(rows, repeat, told)
    kept = ratio(function, touch)
    found = Section("transform", [function, touch])
    found.floors = [Floor("transform / touch", kept, _OF_TOUCH)]
    found.facts = cpu_facts(function, touch)
    found.data = {"ratios": {"transform/touch": round(kept, 3)}}
    return found
