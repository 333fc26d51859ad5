"""The lineage layer of one stream, controlled from the process that started the proxy."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

from testbed.faults.lineages.models import (
    Adjust,
    Asked,
    Begin,
    Divide,
    Hide,
    LineageTruth,
    Shards,
    Tell,
    Trim,
    Turn,
)
from testbed.faults.requests import key_text


class LineageControl:
    """The shards of one stream. Each method raises `RuntimeError` where the proxy refuses."""

    def __init__(self, send: Callable[[bytes], bytes], stream: str) -> None:
        """Begin to serve the stream as one shard, `root`. `send`: a request to the proxy, and its answer."""
        self._send, self._stream = send, stream
        [self.root] = Shards.model_validate_json(self._ask(Begin(stream=stream))).shards

    def roll(self, shard: str, *, listed_after: int = 0, parent_open_for: int = 0) -> str:
        """End the shard where the stream ends now; the shard that follows it.

        `listed_after`: listings that lack it; `parent_open_for`: listings, then, that show both open.
        """
        [child] = self._divide(shard, 1, listed_after, parent_open_for)
        return child

    def split(self, shard: str, *, listed_after: int = 0, parent_open_for: int = 0) -> tuple[str, str]:
        """As `roll`, into two shards with half of the partition keys each."""
        left, right = self._divide(shard, 2, listed_after, parent_open_for)
        return left, right

    def _divide(self, shard: str, children: Literal[1, 2], listed_after: int, open_for: int) -> list[str]:
        asked = Divide(
            stream=self._stream,
            shard=shard,
            children=children,
            listed_after=listed_after,
            parent_open_for=open_for,
        )
        return Shards.model_validate_json(self._ask(asked)).shards

    def hide(self, shard: str, listings: int) -> None:
        """Leave a shard out of the next listings."""
        self._ask(Hide(stream=self._stream, shard=shard, listings=listings))

    def trim(
        self, through: str | None = None, fails: Literal["GetShardIterator", "GetRecords"] = "GetRecords"
    ) -> None:
        """Forget what was written up to the end of a shard; None: all up to now. See `models.Trim`."""
        self._ask(Trim(stream=self._stream, through=through, fails=fails))

    def turn_clock(self, seconds: float) -> None:
        """Put the layer's clock forward."""
        self._ask(Turn(stream=self._stream, seconds=seconds))

    def adjust(
        self,
        *,
        page_shards: int | None = None,
        readers: int | None = None,
        refused: Iterable[str] = (),
        expired: Iterable[Mapping[str, Any]] = (),
    ) -> None:
        """Other settings; what is not given is set back. `refused`: shards; `expired`: keys in wire format."""
        keys = frozenset(map(key_text, expired))
        asked = Adjust(
            stream=self._stream,
            page_shards=page_shards,
            readers=readers,
            refused=frozenset(refused),
            expired=keys,
        )
        self._ask(asked)

    def truth(self) -> LineageTruth:
        """All that was written, and all that was handed out."""
        return LineageTruth.model_validate_json(self._ask(Tell(stream=self._stream)))

    def _ask(self, asked: Asked) -> bytes:
        return self._send(asked.model_dump_json().encode())
