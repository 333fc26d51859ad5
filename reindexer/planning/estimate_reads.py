"""What estimates of jobs have in common that read tables once, and write to none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from reindexer.models import Limits, TableFacts
from reindexer.planning.estimate import Estimate, OtherReads, Prices, count_actions, slowest
from reindexer.settings import Settings


def estimate_reads(
    operation: str,
    description: Mapping[str, Any],
    facts: TableFacts,
    limits: Limits,
    chosen: Settings,
    prices: Prices,
    *,
    shards: int,
    limited: Mapping[str, float],
    units: Sequence[float],
    notes: Sequence[str],
    records: int = 0,
    other: OtherReads | None = None,
) -> Estimate:
    """`units`: read units of each table, the job's own first; `limited`: seconds by what decides them."""
    seconds, bound = slowest(limited)
    actions = count_actions([(shards, seconds)], limits.shards_in_flight, chosen)
    return Estimate(
        table=str(description["TableName"]),
        operation=operation,
        items=facts.items,
        size_bytes=facts.size_bytes,
        item_bytes=facts.size_bytes / facts.items if facts.items else 0.0,
        records=records,
        indexes=[],
        write_units_per_record=0,
        write_units=0,
        write_units_at_most=0,
        read_units=units[0],
        other=other,
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
            "read": sum(units) / 1e6 * prices.read_units,
            "temporal_cloud": actions.total / 1e6 * prices.actions,
        },
        notes=list(notes),
    )
