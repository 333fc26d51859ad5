"""One of the two tables of a comparison: its scan, and consistent reads of single keys."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from reindexer.checks.calls import Calls
from reindexer.compare.rows import Identity, identity_by
from reindexer.items import Cursor, Key, WireItem, WireKey, from_json_key, to_json_key
from reindexer.models import KeyAttribute, Segment

_KEYS_PER_CALL = 100  # DynamoDB's limit


class Side:
    """Every read is consistent: it sees each write that was acknowledged before. `calls`: on this table."""

    def __init__(self, calls: Calls, key: Sequence[KeyAttribute], segment: Segment) -> None:
        self.calls = calls
        self._names = [attribute.name for attribute in key]
        self.identity: Callable[[WireItem], Identity] = identity_by(key)
        self._fixed: dict[str, Any] = {"ConsistentRead": True}
        if segment.total > 1:  # else a plain scan: the same rows, and an engine may go by its own index
            self._fixed |= {"Segment": segment.segment, "TotalSegments": segment.total}
        self._start: WireKey | None = None
        self.ended = False  # the scan

    def begin(self, after: Key | None, *, ended: bool) -> None:
        """Where the scan goes on."""
        self._start, self.ended = from_json_key(after) if after else None, ended

    def page(self) -> list[WireItem] | None:
        """The next rows of the scan; None: it failed, and may be asked for again while the calls may go on."""
        page = self.calls.read("scan", self._fixed, self._start)
        if page is None:
            return None
        self._start, self.ended = page.last_key, page.last_key is None
        return page.rows

    def get(self, keys: Sequence[WireKey]) -> dict[Identity, WireItem] | None:
        """Those of the keys that exist, each key once; None: not all could be read."""
        found = self.calls.get_all(keys)
        return None if found is None else {self.identity(item): item for item in found}

    @property
    def place(self) -> Cursor:
        """How far the scan has come."""
        return {"after": to_json_key(self._start) if self._start else None, "ended": self.ended}

    def key(self, row: WireItem) -> WireKey:
        """Its key attributes."""
        return {name: row[name] for name in self._names}

    def at_once(self) -> int:
        """Keys to read in one call: about a second's budget at most."""
        return min(_KEYS_PER_CALL, self.calls.page_rows())
