"""The borders: which records of the engine's one stream shard belong to which of ours."""

from __future__ import annotations

import hashlib
import itertools
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from testbed.faults.requests import key_text

_RANGE = 256  # hashes are one byte: enough for eight splits in a row
_numbers = itertools.count()


@dataclass
class Shard:
    """A shard of ours. Its borders are numbers of the engine; None: before its first record."""

    id: str
    parent: str | None
    depth: int
    hashes: range
    after: str | None
    end: str | None = None
    open: bool = True
    hidden_for: int = 0  # listings that do not show it
    shown_open_for: int = 0  # listings that show it open though it has ended

    def holds(self, number: str, partition: int) -> bool:
        """Whether a record is this shard's."""
        return value(self.after) < int(number) and not self.beyond(number) and partition in self.hashes

    def beyond(self, number: str) -> bool:
        """Whether the number lies past its end."""
        return not self.open and int(number) > value(self.end)

    def shown(self, number: str) -> str:
        """An engine's number as this shard hands it out: with its depth in front, so that it grows in digits.

        From 9 to 10 its first digit falls: who compares texts gets them in the wrong order.
        """
        return number if self.depth == 0 else f"{8 + self.depth}{number}"

    def real(self, shown: str) -> str:
        """The engine's number. Raises `ValueError` for one of another shard."""
        front = "" if self.depth == 0 else str(8 + self.depth)
        if not shown.startswith(front):
            raise ValueError(f"{shown} is not a number of {self.id}")
        return shown.removeprefix(front)


def value(number: str | None) -> int:
    """A sequence number as an integer; None is before all."""
    return -1 if number is None else int(number)


def partition_hash(keys: Mapping[str, Any], partition_key: str) -> int:
    """0 to 255, the same for equal partition keys."""
    return hashlib.md5(key_text({partition_key: keys[partition_key]}).encode()).digest()[0]


class Graph:
    """All shards of one stream, in the order they were opened."""

    def __init__(self) -> None:
        self.shards: dict[str, Shard] = {}
        self.trimmed: str | None = None  # the last number that is forgotten
        self.root = self._open(None, range(_RANGE), None)

    def _open(self, parent: Shard | None, hashes: range, after: str | None) -> Shard:
        name = f"shardId-{int(time.time() * 1000):020d}-{next(_numbers):08x}"  # AWS's form, and never twice
        depth = 0 if parent is None else parent.depth + 1
        shard = Shard(name, parent.id if parent else None, depth, hashes, after)
        self.shards[name] = shard
        return shard

    def divide(self, name: str, at: str | None, children: int) -> list[Shard]:
        """End a shard after the number `at` and open its children. Raises `ValueError`, `KeyError`."""
        parent = self.shards[name]
        if not parent.open or len(parent.hashes) < children:
            raise ValueError(f"{name} has ended, or is too narrow to be split")
        parent.open, parent.end = False, at if value(at) > value(parent.after) else parent.after
        middle = parent.hashes.start + len(parent.hashes) // 2
        halves = (range(parent.hashes.start, middle), range(middle, parent.hashes.stop))
        return [
            self._open(parent, part, parent.end) for part in (halves if children == 2 else (parent.hashes,))
        ]

    def gone(self, shard: Shard) -> bool:
        """Whether it was trimmed as a whole."""
        return not shard.open and self.trimmed is not None and value(shard.end) <= value(self.trimmed)

    def listed(self) -> list[Shard]:
        """What a listing shows now; what is to be shown later comes one listing nearer."""
        shown = [shard for shard in self.shards.values() if not self.gone(shard) and not shard.hidden_for]
        for shard in self.shards.values():
            shard.hidden_for = max(0, shard.hidden_for - 1)
        return shown

    def shard_of(self, number: str, partition: int) -> Shard:
        """The shard that a record belongs to."""
        return next(shard for shard in self.shards.values() if shard.holds(number, partition))
