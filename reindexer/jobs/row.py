"""A record as a job's function sees it: plain Python values, read-only, decoded when they are looked at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from reindexer.items import WireItem
from reindexer.values import plain


class Row(Mapping[str, Any]):
    """One item. It notes which attributes were looked at, present or not: those are what a write is guarded by.

    Looking at names (iterating, `len`, `keys()`) counts as looking at every attribute the item has; one that
    another writer adds afterwards is not noticed. Version and run stamp are not in it.
    """

    __slots__ = ("_decoded", "_hidden", "_item", "seen")

    def __init__(self, item: WireItem, hidden: frozenset[str] = frozenset()) -> None:
        self._item, self._hidden = item, hidden
        self._decoded: dict[str, Any] = {}
        #: Top-level attributes that were looked at, also those that were found missing.
        self.seen: set[str] = set()

    def __getitem__(self, name: str) -> Any:
        decoded = self._decoded
        if name in decoded:
            return decoded[name]
        self.seen.add(name)
        value = self._item.get(name)
        if value is None or name in self._hidden:
            raise KeyError(name)
        decoded[name] = result = plain(value)
        return result

    def __contains__(self, name: object) -> bool:
        if isinstance(name, str):
            self.seen.add(name)
        return name in self._item and name not in self._hidden

    def get(self, name: str, default: Any = None) -> Any:
        """The value, or `default` where there is none."""
        try:
            return self[name]
        except KeyError:
            return default

    def __iter__(self) -> Iterator[str]:
        names = [name for name in self._item if name not in self._hidden]
        self.seen.update(names)
        return iter(names)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return f"Row({', '.join(self._item)})"  # names alone: a traceback should not spread values
