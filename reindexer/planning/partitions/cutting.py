"""Cutting a large partition into parts between existing sort keys: together its whole range, each key once."""

from __future__ import annotations

from collections import deque
from typing import Literal, Protocol

from reindexer.models import PartitionRange
from reindexer.partitions.sort_keys import midpoint, ordered

#: Cuts tried per part wanted: those of a skewed partition show little at first.
_TRIES_PER_PART = 4


class OutOfTime(Exception):
    """Nothing more can be seen."""


class Sight(Protocol):
    """What is to be seen of a partition now. All raise `OutOfTime`."""

    def size(self, part: PartitionRange) -> tuple[int | None, bool]:
        """(rows, whether there are more than are looked at); rows None: not known."""
        ...

    def first(self, part: PartitionRange) -> str | None:
        """The lowest existing sort key of the part."""
        ...

    def last(self, part: PartitionRange) -> str | None:
        """The highest."""
        ...

    def at_or_above(self, part: PartitionRange, value: str) -> str | None:
        """The lowest at or above a value."""
        ...


def cut(
    whole: PartitionRange, kind: Literal["S", "N", "B"], most: int, sight: Sight
) -> list[tuple[PartitionRange, bool]]:
    """Up to `most` parts in the order of their keys, each with whether more rows than were seen are there.

    The part known for longest to be large is halved first, in the space of values between its first and last
    key, so that dense places are halved again and empty ones are not. However rows come and go meanwhile, a
    part begins where the one before it ends.
    """
    parts = [(whole, True)]
    large = deque([whole])
    for _ in range(most * _TRIES_PER_PART):
        if not large or len(parts) >= most:
            break
        part = large.popleft()
        try:
            boundary = _boundary(part, kind, sight)
            if boundary is None:
                continue
            halves = [
                _sized(part.model_copy(update={"before": boundary}), sight),
                _sized(part.model_copy(update={"first": boundary}), sight),
            ]
        except OutOfTime:
            break
        place = next(number for number, (known, _) in enumerate(parts) if known == part)
        parts[place : place + 1] = halves
        large += [half for half, more in halves if more]
    return parts


def _sized(part: PartitionRange, sight: Sight) -> tuple[PartitionRange, bool]:
    rows, more = sight.size(part)
    return part.model_copy(update={"rows": None if more else rows}), more


def _boundary(part: PartitionRange, kind: Literal["S", "N", "B"], sight: Sight) -> str | None:
    """An existing sort key near the middle, above the first; None where there is none: one value has it all."""
    first, last = sight.first(part), sight.last(part)
    if first is None or last is None:
        return None
    low, high = ordered(kind, first), ordered(kind, last)
    if low >= high:  # type: ignore[operator]  # one type, one key
        return None
    boundary = sight.at_or_above(part, midpoint(kind, first, last))
    if boundary is None:
        return None
    found = ordered(kind, boundary)
    return boundary if low < found <= high else None  # type: ignore[operator]
