"""Writes of earlier rounds that were not answered, until their records have their outcome."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from reindexer.dynamo.reading import read_consistently
from reindexer.dynamo.table import TableClient
from reindexer.items import WireKey, from_json_key, key_identity
from reindexer.models import Unconfirmed
from reindexer.models.unconfirmed import unconfirmed_bytes
from reindexer.round_context import RoundContext
from reindexer.tally import Outcome


class UnconfirmedWrites:
    """Those that a round inherits. Where the write was a deletion and its record is gone, it has landed."""

    def __init__(self, found: Iterable[Unconfirmed]) -> None:
        self._writes = {key_identity(from_json_key(write.key)): write for write in found}
        #: Bytes of JSON that they take in a heartbeat.
        self.size = sum(map(_size, self._writes.values()))

    def __contains__(self, key: WireKey) -> bool:
        return bool(self._writes) and key_identity(key) in self._writes

    def deletion_sent(self, key: WireKey) -> bool:
        """Whether what was sent to it was its deletion."""
        return key in self and self._writes[key_identity(key)].deletion

    def outcome(self, key: WireKey) -> Outcome:
        """What a write to another table has come to if it was applied."""
        write = self._writes.get(key_identity(key))
        return sent(deletion=bool(write and write.deletion), creation=bool(write and write.creation))

    def take_gone(self, table: TableClient, context: RoundContext) -> tuple[list[str | None], float]:
        """(partition of each whose deletion has landed, read units); these are cleared. Raises `CallFailed`."""
        sent = [
            (from_json_key(write.key), write.partition) for write in self._writes.values() if write.deletion
        ]
        found, units = read_consistently(table, [key for key, _ in sent], (), context)
        gone = [entry for entry in sent if key_identity(entry[0]) not in found]
        for key, _ in gone:
            self.clear(key)
        return [partition for _, partition in gone], units

    def clear(self, key: WireKey) -> None:
        """It has its outcome, or has left the round."""
        if self._writes:
            known = self._writes.pop(key_identity(key), None)
            self.size -= _size(known) if known else 0

    def with_new(self, new: dict[tuple[Any, ...], Unconfirmed]) -> list[Unconfirmed]:
        """These, together with those of the round itself, which are newer: by identity of their keys."""
        return list({**self._writes, **new}.values())


def _size(write: Unconfirmed) -> int:
    return unconfirmed_bytes(from_json_key(write.key), write.partition)


def sent(*, deletion: bool, creation: bool) -> Outcome:
    """The outcome of a write to another table, by what it was."""
    if creation:
        return Outcome.CREATED
    return Outcome.REMOVED if deletion else Outcome.REPLACED
