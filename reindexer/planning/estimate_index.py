"""The estimate of an index: a table is read consistently, and written to nowhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reindexer.models import Limits, TableFacts
from reindexer.planning.estimate import PARTITION_READS, Estimate, Prices, notes, rate
from reindexer.planning.estimate_following import following
from reindexer.planning.estimate_reads import estimate_reads
from reindexer.planning.sizing import segments
from reindexer.settings import Settings
from reindexer.units import READ_UNIT


def estimate_index(
    description: Mapping[str, Any], facts: TableFacts, limits: Limits, chosen: Settings, prices: Prices
) -> Estimate:
    """Estimate an index of every record, without trouble, on a cluster that keeps up.

    `description`: DescribeTable's `Table`; `limits`: resolved, numbers or "unlimited".
    """
    items, size = facts.items, facts.size_bytes
    units = size / READ_UNIT
    shards = len(segments(items, size, None, ""))
    in_flight = min(shards, limits.shards_in_flight)
    read = estimate_reads(
        "index",
        description,
        facts,
        limits,
        chosen,
        prices,
        shards=shards,
        records=items,
        units=[units],
        limited={
            "the budget of read units": units / rate(limits.read_units_per_second),
            "the budget of records": items / rate(limits.records_per_second),
            # A document is about as long as its item.
            "the budget of bytes": size / rate(limits.bytes_per_second),
            f"partitions, {in_flight} at a time": units / (PARTITION_READS * in_flight),
        },
        notes=[
            *notes(description, facts),
            "the cluster is taken to keep up: a mapping with much analysed text may take far longer",
        ],
    )
    # A change is written to the cluster, and not to a table.
    return read.model_copy(update={"following": following(0.0, prices.write_units, prices.actions)})
