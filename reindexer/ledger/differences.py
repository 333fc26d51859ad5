"""What a comparison found: every difference, as compressed JSON lines, for as long as the ledger is kept."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence

from reindexer.errors import EnvironmentFault
from reindexer.ledger.store import Store, text
from reindexer.models import FoundDifference, ShardPlace

#: Bytes of JSON lines in one item, before they are compressed: even random keys leave half of an item's 400 KB.
_ITEM_BYTES = 350_000


class Differences:
    """Chunks of differences by shard and number. Every write may be repeated."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def put(self, place: ShardPlace, number: int, fence: int, found: Sequence[FoundDifference]) -> None:
        """Keep a chunk in the place of what was kept under its number, unless that has a higher fence.

        So an attempt that was lost, and writes too late, changes nothing that its successor has kept.
        """
        lines = [difference.model_dump_json(exclude_defaults=True).encode() for difference in found]
        parts = list(_parts(lines))
        for item, part in enumerate(parts):
            self._store.put_if_newer(
                _partition(place.job, place.run),
                f"{_chunk(place, number)}{item:02}",
                "fence",
                {
                    "fence": {"N": str(fence)},
                    "parts": {"N": str(len(parts))},
                    "packed": {"B": zlib.compress(part)},
                },
            )

    def so_far(self, job: str, run: str) -> list[int]:
        """How many chunks each shard has kept, by its number: also while it goes on."""
        chunks: list[int] = []
        for item in self._store.query(_partition(job, run), only="sk"):
            shard, number, _ = (int(part) for part in text(item, "sk").split("#"))
            chunks += [0] * (shard + 1 - len(chunks))
            chunks[shard] = max(chunks[shard], number + 1)
        return chunks

    def of(self, place: ShardPlace, number: int) -> Iterator[FoundDifference]:
        """A chunk's differences. Raises `EnvironmentFault` of code `DifferencesMissing`."""
        items = self._store.whole(_partition(place.job, place.run), _chunk(place, number))
        if items is None:
            raise EnvironmentFault(
                "DifferencesMissing",
                f"the ledger {self._store.table} has no complete chunk {number} of shard {place.index} of job "
                f"{place.job}, run {place.run}",
            )
        for item in items:
            for line in zlib.decompress(item["packed"]["B"]).splitlines():
                yield FoundDifference.model_validate_json(line)


def _parts(lines: Sequence[bytes]) -> Iterator[bytes]:
    """The lines, together as many as one item holds."""
    part, size = list[bytes](), 0
    for line in lines:
        if part and size + len(line) > _ITEM_BYTES:
            yield b"\n".join(part)
            part, size = [], 0
        part.append(line)
        size += len(line) + 1
    yield b"\n".join(part)


def _partition(job: str, run: str) -> str:
    return f"differences#{job}#{run}"


def _chunk(place: ShardPlace, number: int) -> str:
    return f"{place.index:03}#{number:07}#"
