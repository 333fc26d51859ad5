"""A page of records, as every source hands it to a round."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from reindexer.items import Cursor, WireItem, to_json_key
from reindexer.streams.changes import Change


@dataclass(slots=True)
class Page:
    """Rows in the order of the source, and where the source goes on.

    `next_cursor`: after the whole page; None: nothing follows. `cursor_after`: after the row at a position.
    `gone`: positions of named keys that do not exist; their row holds the key alone.
    `partition`: the partition key value, as text, that a page of a `partitions` source belongs to; None
    elsewhere. A page never spans two. `differences`: what a comparison found of each row, where it names them.
    `changes`: of a stream, in place of items; the rows hold the keys alone. `followed`: once it is settled.
    `orders`: what the destination held of each row before the row was read; None: nothing. `read_ahead`: may be
    called once, when some of its rows are under way: the source begins to read what comes next.
    """

    rows: list[WireItem]
    next_cursor: Cursor | None
    cursor_after: Callable[[int], Cursor]  # called where a cursor moves, not for each row
    consumed: float  # read units
    gone: frozenset[int] = frozenset()
    partition: str | None = None
    differences: Sequence[str] = ()
    changes: Sequence[Change] = ()
    orders: Sequence[int | None] = ()
    followed: object = None  # a `Followed`; what carries it does not look into it
    read_ahead: Callable[[], None] | None = None

    def cursors_at(self, positions: Sequence[int]) -> Callable[[int], Cursor]:
        """`cursor_after` of a page that holds the rows at these positions, and no others."""
        return lambda position: self.cursor_after(positions[position])


def after_keys(rows: Sequence[WireItem], key_names: Sequence[str]) -> Callable[[int], Cursor]:
    """`Page.cursor_after` of a source whose cursor is the key of the row before."""
    return lambda position: to_json_key({name: rows[position][name] for name in key_names})
