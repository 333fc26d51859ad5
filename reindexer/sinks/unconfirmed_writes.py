"""Keys to which an earlier round sent a write that was not answered, until they have their outcome."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from reindexer.dynamo.reading import read_consistently
from reindexer.dynamo.table import TableClient
from reindexer.items import WireKey, from_json_key, key_bytes, key_identity, text_bytes, to_json_key
from reindexer.models import Progress
from reindexer.round_context import RoundContext

#: By identity of the key: the key, whether the write was its deletion, and the partition it was met in.
Unanswered: TypeAlias = Mapping[tuple[Any, ...], tuple[WireKey, bool, str | None]]


class UnconfirmedWrites:
    """Those that a round inherits. Where the write was a deletion and its record is gone, it has landed."""

    def __init__(self, found: Progress) -> None:
        places: list[str] | list[None] = found.deleting_in or [None] * len(found.deleting)
        sent = {
            key_identity(from_json_key(key)): place for key, place in zip(found.deleting, places, strict=True)
        }
        keys = {key_identity(key): key for key in map(from_json_key, found.unknown)}
        self._keys = {one: (key, one in sent, sent.get(one)) for one, key in keys.items()}
        #: Bytes of JSON that they take in a heartbeat.
        self.size = sum(_size(key, place) for key, _, place in self._keys.values())

    def __contains__(self, key: WireKey) -> bool:
        return bool(self._keys) and key_identity(key) in self._keys

    def deletion_sent(self, key: WireKey) -> bool:
        """Whether what was sent to it was its deletion."""
        return key in self and self._keys[key_identity(key)][1]

    def take_gone(self, table: TableClient, context: RoundContext) -> tuple[list[str | None], float]:
        """(partition of each whose deletion has landed, read units); these are cleared. Raises `CallFailed`."""
        sent = [(key, partition) for key, deletion, partition in self._keys.values() if deletion]
        found, units = read_consistently(table, [key for key, _ in sent], (), context)
        gone = [entry for entry in sent if key_identity(entry[0]) not in found]
        for key, _ in gone:
            self.clear(key)
        return [partition for _, partition in gone], units

    def clear(self, key: WireKey) -> None:
        """It has its outcome, or has left the round."""
        if self._keys:
            known = self._keys.pop(key_identity(key), None)
            self.size -= _size(known[0], known[2]) if known else 0

    def with_new(self, new: Unanswered) -> dict[str, Any]:
        """Fields of a `Progress`: these, together with those of the round itself."""
        entries = {**self._keys, **new}.values()
        sent = [(to_json_key(key), partition) for key, deletion, partition in entries if deletion]
        places = [partition for _, partition in sent if partition is not None]
        return {
            "unknown": [to_json_key(key) for key, *_ in entries],
            "deleting": [key for key, _ in sent],
            "deleting_in": places if len(places) == len(sent) else [],  # all of a job's keys have one, or none
        }


def _size(key: WireKey, partition: str | None) -> int:
    return key_bytes(key) + (text_bytes(partition) if partition is not None else 0)
