"""One of the two sides of a comparison: its parts page by page, and consistent reads of single keys."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence, Sized

from reindexer.compare.parts import Parts
from reindexer.compare.rows import Identity, identity_by
from reindexer.dynamo.attempts import Attempts
from reindexer.dynamo.calls import Calls
from reindexer.dynamo.table import KEYS_PER_CALL
from reindexer.items import Cursor, WireItem, WireKey, from_json_key, to_json_key
from reindexer.models import KeyAttribute


class Side(ABC):
    """Every read by key sees each write that was acknowledged before. `calls`: of what is read here."""

    def __init__(self, calls: Attempts, key: Sequence[KeyAttribute], parts: Sized) -> None:
        self.calls = calls
        self._names = [attribute.name for attribute in key]
        self.identity: Callable[[WireItem], Identity] = identity_by(key)
        self._number = len(parts)
        self._start: WireKey | None = None
        self.part = 0  # which is read now
        self._finished = False

    def begin(self, place: Cursor) -> None:
        """Where it goes on."""
        self._start = from_json_key(place["after"]) if place["after"] else None
        self.part, self._finished = int(place.get("part", 0)), bool(place["ended"])

    @property
    def ended(self) -> bool:
        """Whether the last part has been read."""
        return self._finished or self.part >= self._number

    @property
    def between(self) -> bool:
        """Whether nothing of its part has been read."""
        return self._start is None

    def finish(self) -> None:
        """Read no further part."""
        self._finished = True

    def pass_keys(self, number: int) -> None:
        """Of named keys: this many more are settled."""
        self.part += number

    @abstractmethod
    def page(self) -> list[WireItem] | None:
        """The next rows of the part; None: it failed, and may be asked for again while the calls may go on."""

    @abstractmethod
    def get(self, keys: Sequence[WireKey]) -> dict[Identity, WireItem] | None:
        """Those of the keys that exist, each key once; None: not all could be read."""

    @property
    def place(self) -> Cursor:
        """How far it has come."""
        return place_at(self.part, self._start, ended=self.ended)

    def key(self, row: WireItem) -> WireKey:
        """Its key attributes."""
        return {name: row[name] for name in self._names}

    def after(self, row: WireItem) -> WireKey:
        """Where its part goes on after a row that it has handed out."""
        return self.key(row)

    def unnamed(self, row: WireItem) -> tuple[WireKey, str] | None:  # noqa: ARG002
        """Of a row whose key is not known: (what names it, its outcome). None: it has a key."""
        return None

    def keys_per_call(self) -> int:
        """Keys to read in one call."""
        return KEYS_PER_CALL


class TableSide(Side):
    """A table, or what its records are made of. Every read is a consistent one."""

    def __init__(self, calls: Calls, key: Sequence[KeyAttribute], parts: Parts) -> None:
        super().__init__(calls, key, parts)
        self._parts, self._table = parts, calls

    def page(self) -> list[WireItem] | None:
        """The next rows of the part."""
        operation, shape = self._parts.asked(self.part)
        page = self._table.read(operation, {**shape, "ConsistentRead": True}, self._start)
        if page is None:
            return None
        rows, over = self._parts.own(self.part, page.rows)
        self._start = None if over else page.last_key
        if self._start is None:
            self.part += 1
        return rows

    def get(self, keys: Sequence[WireKey]) -> dict[Identity, WireItem] | None:
        """Those of the keys that exist."""
        found = self._table.get_all(keys)
        return None if found is None else {self.identity(item): item for item in found}

    def keys_per_call(self) -> int:
        """About a second's budget at most."""
        return min(super().keys_per_call(), self._table.page_rows())


def place_at(part: int, after: WireKey | None, *, ended: bool = False) -> Cursor:
    """A place in a side: in this part, after this key."""
    place = {"after": to_json_key(after) if after else None, "ended": ended}
    return place | ({"part": part} if part else {})
