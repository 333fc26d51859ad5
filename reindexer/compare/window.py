"""Meeting the rows of two scans in bounded memory, whatever the order in which each hands out its own.

A row waits until the other scan hands out the same key. What waits for too long falls out, and is looked up by
its key. Each side's rows are settled out of order, and leave in order: once all before them are settled.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from reindexer.compare.rows import Identity
from reindexer.items import WireItem, WireKey
from reindexer.models.comparison import FoundDifference


@dataclass(slots=True)
class Row:
    """One row that a scan has handed out. `outcome`: the field of `Comparison` that counts it; "": none yet."""

    identity: Identity
    key: WireKey
    item: WireItem
    size: int  # bytes, about
    part: int = 0  # of its side, in which it was read
    after: WireKey = field(default_factory=dict)  # where that goes on after it
    place: int = 0
    outcome: str = ""
    difference: FoundDifference | None = None

    def settle(self, outcome: str, difference: FoundDifference | None = None) -> None:
        """Once: what became of it."""
        assert not self.outcome, f"{self.identity} has its outcome: {self.outcome}"
        self.outcome, self.difference, self.item = outcome, difference, {}


class Queue:
    """One side's rows in the order of its scan."""

    def __init__(self, most_rows: int, most_bytes: int) -> None:
        self._most_rows, self._most_bytes = most_rows, most_bytes
        self._rows: deque[Row] = deque()
        self._waiting: dict[Identity, Row] = {}  # in the order of the scan
        self._bytes = 0  # of those that wait
        self._places = self._met = 0  # rows so far; the last one whose counterpart has come

    @property
    def ahead(self) -> int:
        """Rows after the last one whose counterpart has come: the scan with more of them runs ahead."""
        return self._places - self._met

    @property
    def waits(self) -> bool:
        """Whether any row waits."""
        return bool(self._waiting)

    def push(self, row: Row) -> None:
        """The next row of the scan."""
        self._places += 1
        row.place = self._places
        self._rows.append(row)

    def wait(self, row: Row) -> Row | None:
        """It waits for its counterpart; returns one with the same key that did, and is to be looked up."""
        before = self._remove(row.identity)
        self._waiting[row.identity] = row
        self._bytes += row.size
        return before

    def meet(self, identity: Identity) -> Row | None:
        """The row with this key, if it waits: it waits no more."""
        row = self._remove(identity)
        if row is not None:
            self._met = max(self._met, row.place)
        return row

    def met(self, row: Row) -> None:
        """Its counterpart had come before it."""
        self._met = max(self._met, row.place)

    def overdue(self) -> list[Row]:
        """Rows that have waited for too many others, or beside too many bytes; they wait no more."""
        found = []
        for row in self._waiting.values():
            if row.place > self._places - self._most_rows and self._bytes <= self._most_bytes:
                break
            found.append(row)
            self._bytes -= row.size
        for row in found:
            del self._waiting[row.identity]
        return found

    def oldest(self, most: int) -> list[Row]:
        """Up to `most` rows that wait, those first that came first; they wait no more."""
        found = [row for row, _ in zip(self._waiting.values(), range(most), strict=False)]
        for row in found:
            self._remove(row.identity)
        return found

    @property
    def empty(self) -> bool:
        """Whether all that the scan has handed out is settled, and has left."""
        return not self._rows

    def passed(self) -> Iterator[Row]:
        """Rows from the front that are settled, each once."""
        while self._rows and self._rows[0].outcome:
            yield self._rows.popleft()

    def _remove(self, identity: Identity) -> Row | None:
        row = self._waiting.pop(identity, None)
        if row is not None:
            self._bytes -= row.size
        return row


class Window:
    """Both sides. `most_rows` and `most_bytes` of one side may wait at a time."""

    def __init__(self, most_rows: int, most_bytes: int) -> None:
        self.sides = (Queue(most_rows, most_bytes), Queue(most_rows, most_bytes))

    def add(self, side: int, row: Row) -> tuple[Row | None, Row | None]:
        """The next row of a side that is to be judged.

        Returns (its counterpart, if that waited; a row of the same key and side that waits no more).
        """
        own, other = self.sides[side], self.sides[1 - side]
        own.push(row)
        counterpart = other.meet(row.identity)
        if counterpart is not None:
            own.met(row)
            return counterpart, None
        return None, own.wait(row)

    @property
    def lagging(self) -> int:
        """The side to read next, so that rows meet soon."""
        return int(self.sides[1].ahead < self.sides[0].ahead)
