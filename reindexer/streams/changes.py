"""One record of a table's stream."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from reindexer.items import WireItem, WireKey


class ChangeKind(StrEnum):
    """What became of the item."""

    INSERT = "INSERT"
    MODIFY = "MODIFY"
    REMOVE = "REMOVE"


@dataclass(frozen=True, slots=True)
class Change:
    """One record of a stream.

    `new` is the new image, `old` the names of the old image's attributes; None where there is none, or where
    the stream carries none. `ordinal`: its place along the lineage. `changed_at` is approximate, rounded down.
    `expired`: deleted by DynamoDB's time to live.
    """

    kind: ChangeKind
    key: WireKey
    new: WireItem | None
    old: tuple[str, ...] | None
    changed_at: datetime
    sequence_number: str
    ordinal: int
    expired: bool
