"""Where records come from. All sources have the shape of `Source`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from reindexer.dynamo.table import Page, TableClient
from reindexer.items import WireKey
from reindexer.models import KeyList, PartitionRanges, Segment, Target
from reindexer.models import Source as Named
from reindexer.pulse import Pulse
from reindexer.sources.keys import KeySource
from reindexer.sources.partitions import PartitionSource
from reindexer.sources.scan import ScanSource
from reindexer.throttle import Budget


class Source(Protocol):
    """Pages after a cursor, which only the source itself can read. Raises `CallFailed`."""

    def pages(self, cursor: WireKey | None, handed_out: int, budget: Budget) -> Iterator[Page]: ...


def make_source(
    named: Named,
    target: Target,
    table: TableClient,
    reads: tuple[str, ...] | None,
    leave_out: Mapping[str, Any],
    pulse: Pulse,
    *,
    consistent: bool = False,
) -> Source:
    """The source that a shard names. `reads`, `leave_out`: the operation's attributes and filter.

    `consistent`: what is read of the table itself sees every write that was acknowledged before.
    """
    if isinstance(named, Segment):
        return ScanSource(table, named, reads, leave_out, consistent=consistent)
    if isinstance(named, PartitionRanges):
        assert target.within is not None, "partitions of what?"
        return PartitionSource(
            table, target.within, named, target.key, reads, leave_out, pulse, consistent=consistent
        )
    assert isinstance(named, KeyList), "a kept list is fetched before it is read"
    return KeySource(table, named, reads, pulse)
