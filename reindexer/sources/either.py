"""Records that a table or its replica has in named partitions: what only the replica has is to go there."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from reindexer.dynamo.table import TableClient
from reindexer.items import GONE, Cursor, WireItem, WireKey, text_of
from reindexer.models import KeyAttribute, PartitionRanges, Target
from reindexer.page import Page
from reindexer.partitions.sort_keys import ordered
from reindexer.round_context import RoundContext
from reindexer.rounds.protocols import Source
from reindexer.sources.partitions import PartitionSource, cursor_at, place_of
from reindexer.throttle import Budget

#: The position of a range, and a sort key in it; the position alone: before the first row of the range.
_Place: TypeAlias = tuple[Any, ...]
_END: _Place = (math.inf,)


def with_replica(
    named: Source, source: PartitionRanges, target: Target, replica: TableClient, context: RoundContext
) -> Source:
    """What names records of partitions, with those of the replica where its partitions are the same."""
    if target.other is None or not target.other.same_partitions:
        return named
    assert target.within is not None, "partitions of what?"
    no_tombstones = {
        "FilterExpression": "attribute_not_exists(#gone)",
        "ExpressionAttributeNames": {"#gone": GONE},
    }
    names = tuple(attribute.name for attribute in target.key)
    there = PartitionSource(
        replica, target.within, source, target.key, names, no_tombstones, context, consistent=True
    )
    return EitherSource(named, there, target.key)


@dataclass
class _Side:
    """One of the sources, how far it was read, and what of it was not handed out yet."""

    pages: Iterator[Page]
    place: _Place
    cursor: Cursor | None  # the same; None: to its end
    waiting: list[tuple[_Place, WireItem]] = field(default_factory=list)

    def take(self, until: _Place) -> list[tuple[_Place, WireItem]]:
        """What is there up to a place, which is at least as far as all that was taken before."""
        taken = [entry for entry in self.waiting if entry[0] <= until]
        self.waiting = self.waiting[len(taken) :]
        return taken


class EitherSource:
    """Pages of keys that one of two sources has, or both, in the order of the partitions' sort keys.

    Both are read side by side, always the one that has come less far: what it hands out lies in one range, and
    so does what either has up to there. A cursor is one of either: a Query goes on from a key that is gone too.
    """

    def __init__(self, here: Source, there: Source, key: Sequence[KeyAttribute]) -> None:
        self._here, self._there = here, there
        self._names = [attribute.name for attribute in key]
        self._sort = key[1] if len(key) > 1 else None

    def pages(self, cursor: Cursor | None, rows_read: int, budget: Budget) -> Iterator[Page]:
        """Pages after the cursor; reading the replica counts no read units. Raises `CallFailed`."""
        begin = cursor or cursor_at(0, None)
        here, there = (
            _Side(source.pages(begin, rows_read, budget), self._place(begin), begin)
            for source in (self._here, self._there)
        )
        while (behind := _nearer(here, there)).place != _END:
            page = next(behind.pages, None)
            if page is None:
                return  # asked to stop
            if page.rows:
                position, _ = place_of(page.cursor_after(0))
                behind.waiting += [(self._at(position, row), row) for row in page.rows]
            behind.cursor = page.next_cursor
            behind.place = self._place(page.next_cursor) if page.next_cursor else _END
            nearer = _nearer(here, there)
            rows = dict(here.take(nearer.place) + there.take(nearer.place))
            yield self._page(sorted(rows.items(), key=_first), nearer.cursor, page, counts=behind is here)

    def _page(
        self, rows: Sequence[tuple[_Place, WireItem]], following: Cursor | None, read: Page, *, counts: bool
    ) -> Page:
        keys: list[WireKey] = [{name: row[name] for name in self._names} for _, row in rows]
        return Page(
            list(keys),
            following,
            lambda number: cursor_at(rows[number][0][0], keys[number]),
            read.consumed if counts else 0.0,
            partition=read.partition,
        )

    def _place(self, cursor: Cursor) -> _Place:
        position, key = place_of(cursor)
        return (position,) if key is None else self._at(position, key)

    def _at(self, position: int, row: WireItem) -> _Place:
        if self._sort is None:
            return (position, 0)  # the only one there
        return (position, ordered(self._sort.type, text_of(row[self._sort.name])))


def _nearer(here: _Side, there: _Side) -> _Side:
    return there if there.place < here.place else here


def _first(entry: tuple[_Place, WireItem]) -> _Place:
    return entry[0]
