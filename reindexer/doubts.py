"""Keys to which an earlier round sent a write whose answer never came, until they have their outcome."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from reindexer.dynamo.reading import read_consistently
from reindexer.dynamo.table import TableClient
from reindexer.items import Key, WireKey, from_json_key, key_identity, to_json_key
from reindexer.pulse import Pulse

#: By identity of the key: the key, and whether the write was its deletion.
Unanswered: TypeAlias = Mapping[tuple[Any, ...], tuple[WireKey, bool]]


class Doubts:
    """`deleting`: those of `unknown` to which a deletion was sent. If they are gone, that is why."""

    def __init__(self, unknown: Sequence[Key], deleting: Sequence[Key]) -> None:
        sent = {key_identity(from_json_key(key)) for key in deleting}
        keys = {key_identity(key): key for key in map(from_json_key, unknown)}
        self._keys = {identity: (key, identity in sent) for identity, key in keys.items()}

    def __contains__(self, key: WireKey) -> bool:
        return bool(self._keys) and key_identity(key) in self._keys

    def deletion_sent(self, key: WireKey) -> bool:
        """Whether what was sent to it was its deletion."""
        return bool(self._keys) and self._keys.get(key_identity(key), (key, False))[1]

    def take_gone(self, table: TableClient, pulse: Pulse) -> tuple[int, float]:
        """(how many deletions have landed, read units): those keys are cleared. Raises `CallFailed`."""
        keys = [key for key, deletion in self._keys.values() if deletion]
        found, units = read_consistently(table, keys, (), pulse)
        gone = [key for key in keys if key_identity(key) not in found]
        for key in gone:
            self.clear(key)
        return len(gone), units

    def clear(self, key: WireKey) -> None:
        """It has its outcome, or has left the round."""
        if self._keys:
            self._keys.pop(key_identity(key), None)

    def with_new(self, new: Unanswered) -> tuple[list[Key], list[Key]]:
        """(unknown, deleting) as they travel, together with those of this round."""
        entries = {**self._keys, **new}.values()
        unknown = [to_json_key(key) for key, _ in entries]
        return unknown, [to_json_key(key) for key, deletion in entries if deletion]
