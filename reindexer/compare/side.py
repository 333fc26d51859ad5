"""One of the two tables of a comparison: its parts page by page, and consistent reads of single keys."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from reindexer.checks.calls import Calls
from reindexer.compare.parts import Parts
from reindexer.compare.rows import Identity, identity_by
from reindexer.items import Cursor, WireItem, WireKey, from_json_key, to_json_key
from reindexer.models import KeyAttribute

_KEYS_PER_CALL = 100  # DynamoDB's limit


class Side:
    """Every read is consistent: it sees each write that was acknowledged before. `calls`: on this table."""

    def __init__(self, calls: Calls, key: Sequence[KeyAttribute], parts: Parts) -> None:
        self.calls = calls
        self._names = [attribute.name for attribute in key]
        self.identity: Callable[[WireItem], Identity] = identity_by(key)
        self._parts = parts
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
        return self._finished or self.part >= len(self._parts)

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

    def page(self) -> list[WireItem] | None:
        """The next rows of the part; None: it failed, and may be asked for again while the calls may go on."""
        operation, shape = self._parts.asked(self.part)
        page = self.calls.read(operation, {**shape, "ConsistentRead": True}, self._start)
        if page is None:
            return None
        rows, over = self._parts.own(self.part, page.rows)
        self._start = None if over else page.last_key
        if self._start is None:
            self.part += 1
        return rows

    def get(self, keys: Sequence[WireKey]) -> dict[Identity, WireItem] | None:
        """Those of the keys that exist, each key once; None: not all could be read."""
        found = self.calls.get_all(keys)
        return None if found is None else {self.identity(item): item for item in found}

    @property
    def place(self) -> Cursor:
        """How far it has come."""
        return place_at(self.part, self._start, ended=self.ended)

    def key(self, row: WireItem) -> WireKey:
        """Its key attributes."""
        return {name: row[name] for name in self._names}

    def at_once(self) -> int:
        """Keys to read in one call: about a second's budget at most."""
        return min(_KEYS_PER_CALL, self.calls.page_rows())


def place_at(part: int, after: WireKey | None, *, ended: bool = False) -> Cursor:
    """A place in a side: in this part, after this key."""
    place = {"after": to_json_key(after) if after else None, "ended": ended}
    return place | ({"part": part} if part else {})
