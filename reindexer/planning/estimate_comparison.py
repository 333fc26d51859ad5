"""The estimate of a comparison: two tables are read, neither is written."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from reindexer.models import Limits, TableFacts
from reindexer.planning.estimate import (
    PARTITION_READS,
    Estimate,
    OtherReads,
    Prices,
    notes,
    rate,
)
from reindexer.planning.estimate_reads import estimate_reads
from reindexer.planning.sizing import segments
from reindexer.settings import Settings
from reindexer.units import READ_UNIT


def estimate_comparison(
    description: Mapping[str, Any],
    facts: TableFacts,
    other_name: str,
    other: TableFacts,
    limits: Limits,
    chosen: Settings,
    prices: Prices,
) -> Estimate:
    """Estimate a comparison of tables that hold the same, without trouble. Both are read consistently.

    `description`: DescribeTable's `Table` of the first; `limits`: resolved, numbers or "unlimited".
    """
    sizes = (facts.size_bytes, other.size_bytes)
    units = [size / READ_UNIT for size in sizes]
    shards = len(segments(max(facts.items, other.items), max(sizes), None, ""))
    in_flight = min(shards, limits.shards_in_flight)
    return estimate_reads(
        "compare",
        description,
        facts,
        limits,
        chosen,
        prices,
        shards=shards,
        units=units,
        limited={
            "the budget of read units": units[0] / rate(limits.read_units_per_second),
            "the budget of the other table's read units": units[1] / rate(limits.other_read_units_per_second),
            f"partitions, {in_flight} at a time": math.fsum(units) / (PARTITION_READS * in_flight),
        },
        other=OtherReads(table=other_name, items=other.items, size_bytes=other.size_bytes, read_units=units[1]),
        notes=[
            *notes(description, facts),
            "the tables are taken to hold the same: a key that differs costs three to fifteen reads more",
            "both tables are charged at one price",
        ],
    )
