"""The estimate of an index: a table is read consistently, and written to nowhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reindexer.models import Limits, TableFacts
from reindexer.planning.estimate import (
    PARTITION_READS,
    READ_UNIT,
    Estimate,
    Prices,
    count_actions,
    notes,
    rate,
    slowest,
)
from reindexer.planning.sizing import segments
from reindexer.settings import Settings


def estimate_index(
    description: Mapping[str, Any], facts: TableFacts, limits: Limits, chosen: Settings, prices: Prices
) -> Estimate:
    """Estimate an index of every record, without trouble, on a cluster that keeps up.

    `description`: DescribeTable's `Table`; `limits`: resolved, numbers or "unlimited".
    """
    items, size = facts.items, facts.size_bytes
    units = size / READ_UNIT
    shards = len(segments(items, size, None, ""))
    at_once = min(shards, limits.shards_in_flight)
    seconds, bound = slowest(
        {
            "the budget of read units": units / rate(limits.read_units_per_second),
            "the budget of records": items / rate(limits.records_per_second),
            # A document is about as long as its item.
            "the budget of bytes": size / rate(limits.bytes_per_second),
            f"partitions, {at_once} at a time": units / (PARTITION_READS * at_once),
        }
    )
    actions = count_actions([(shards, seconds)], limits.shards_in_flight, chosen)
    return Estimate(
        table=str(description["TableName"]),
        operation="index",
        items=items,
        size_bytes=size,
        item_bytes=size / items if items else 0.0,
        records=items,
        indexes=[],
        write_units_per_record=0,
        write_units=0,
        write_units_at_most=0,
        read_units=units,
        verify_units=0,
        limits=limits,
        shards=shards,
        work_seconds=seconds,
        bound=bound,
        verify_seconds=0,
        actions=actions,
        actions_total=actions.total,
        prices=prices,
        dollars={
            "write": 0,
            "read": units / 1e6 * prices.read_units,
            "temporal_cloud": actions.total / 1e6 * prices.actions,
        },
        notes=[
            *notes(description, facts),
            "the cluster is taken to keep up: a mapping with much analysed text may take far longer",
        ],
    )
