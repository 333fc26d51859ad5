"""Where records come from: a scan, the partitions of a table or an index, or named keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reindexer.dynamo.table import TableClient
from reindexer.models import KeyList, PartitionRanges, Segment, Target
from reindexer.models import Source as Named
from reindexer.round_context import RoundContext
from reindexer.rounds.protocols import Source
from reindexer.sources.keys import KeySource
from reindexer.sources.partitions import PartitionSource
from reindexer.sources.scan import ScanSource


def make_source(
    named: Named,
    target: Target,
    table: TableClient,
    reads: tuple[str, ...] | None,
    row_filter: Mapping[str, Any],
    context: RoundContext,
    *,
    consistent: bool = False,
) -> Source:
    """The source that a shard names. `reads`, `row_filter`: the operation's attributes and filter.

    `consistent`: what is read of the table itself sees every write that was acknowledged before.
    """
    key_names = [attribute.name for attribute in target.key]
    if isinstance(named, Segment):
        return ScanSource(table, named, key_names, reads, row_filter, consistent=consistent)
    if isinstance(named, PartitionRanges):
        assert target.within is not None, "partitions of what?"
        return PartitionSource(
            table, target.within, named, target.key, reads, row_filter, context, consistent=consistent
        )
    assert isinstance(named, KeyList), "a kept list is fetched before it is read"
    return KeySource(table, named, key_names, reads, context)
