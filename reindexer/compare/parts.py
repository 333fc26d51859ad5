"""The parts of two tables that a shard reads one after another: segments of a scan, or ranges of partitions.

Both tables are read by the same parts, so that a key lies in the same part of both.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Protocol, TypeAlias

from reindexer.items import WireItem, text_of
from reindexer.models import (
    KeyList,
    PartitionRange,
    PartitionRanges,
    PartitionScope,
    SampledSegments,
    Segment,
    Source,
)
from reindexer.partitions.bounds import Bounds, query_of
from reindexer.partitions.sort_keys import ordered

Read: TypeAlias = Literal["scan", "query"]


class Parts(Protocol):
    """Numbered from 0."""

    def __len__(self) -> int: ...

    def asked(self, part: int, /) -> tuple[Read, dict[str, Any]]:
        """How a part is read, but for where to go on."""
        ...

    def own(self, part: int, rows: list[WireItem], /) -> tuple[list[WireItem], bool]:
        """(those rows of a page that belong to the part, whether nothing that follows does)."""
        ...


def parts_of(source: Source, within: PartitionScope | None) -> Parts:
    """Of a shard's source. `within`: of what its partitions are partitions."""
    if isinstance(source, PartitionRanges):
        assert within is not None, "partitions of what?"
        return _Ranges(source.ranges, within)
    if isinstance(source, Segment):
        return _Segments([source.segment], source.total)
    if isinstance(source, SampledSegments):
        return _Segments(source.segments, source.total)
    assert isinstance(source, KeyList), "a kept list is fetched before it is read"
    return _Keys(len(source.keys))


class _Segments:
    def __init__(self, segments: Sequence[int], total: int) -> None:
        self._segments, self._total = segments, total

    def __len__(self) -> int:
        return len(self._segments)

    def asked(self, part: int) -> tuple[Read, dict[str, Any]]:
        """A plain scan where there is but one: the same rows, and an engine may go by its own index."""
        if self._total == 1:
            return "scan", {}
        return "scan", {"Segment": self._segments[part], "TotalSegments": self._total}

    def own(self, _: int, rows: list[WireItem]) -> tuple[list[WireItem], bool]:
        return rows, False


class _Keys:
    """Named keys are read by no page: only how many are settled is counted."""

    def __init__(self, number: int) -> None:
        self._number = number

    def __len__(self) -> int:
        return self._number

    def asked(self, _: int) -> tuple[Read, dict[str, Any]]:
        raise AssertionError("a key is read by its key")

    def own(self, _: int, __: list[WireItem]) -> tuple[list[WireItem], bool]:
        raise AssertionError("a key is read by its key")


#: Of a side that hands out nothing by itself.
NOTHING: Parts = _Keys(0)


class _Ranges:
    def __init__(self, ranges: Sequence[PartitionRange], within: PartitionScope) -> None:
        self._ranges, self._within = ranges, within

    def __len__(self) -> int:
        return len(self._ranges)

    def asked(self, part: int) -> tuple[Read, dict[str, Any]]:
        return "query", query_of(self._within, self._ranges[part], self._bounds(part))

    def own(self, part: int, rows: list[WireItem]) -> tuple[list[WireItem], bool]:
        """A part of a partition is asked for with both its ends; what belongs to the next one is dropped."""
        bounds, sort = self._bounds(part), self._within.sort
        if bounds.whole or sort is None or not rows:
            return rows, False
        values = [ordered(sort.type, text_of(row[sort.name])) for row in rows]
        inside = [row for row, value in zip(rows, values, strict=True) if bounds.inside(value)]
        return inside, bounds.beyond(values[-1])

    def _bounds(self, part: int) -> Bounds:
        return Bounds(self._within, self._ranges[part])
