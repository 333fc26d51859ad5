"""How far a comparison has come: the cursors of both scans, the counts and the differences, as one value.

It moves over rows that are settled, each side in the order of its scan, and never covers a difference that is
not kept yet. A row beyond it is read again by the next round, and counted there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import TypeAlias

from reindexer.compare.clusters import OpenClusters
from reindexer.compare.side import Side, place_at
from reindexer.compare.window import Window
from reindexer.items import Cursor
from reindexer.models import SampledSegments
from reindexer.models.comparison import CompareInput, CompareResult, Comparison, FoundDifference
from reindexer.round_context import RoundContext

#: Keeps differences under a number of the shard's own: what was kept under it before is replaced.
Keep: TypeAlias = Callable[[int, Sequence[FoundDifference]], None]

_SECONDS = 5.0  # that a difference may wait for others: as much work is lost with a worker
_SCANNED = ("scanned", "other_scanned")
_NAMES = ("table", "other")


class Checkpoint:
    """Of one round, on from that of the request."""

    def __init__(
        self,
        request: CompareInput,
        sides: tuple[Side, Side],
        window: Window,
        context: RoundContext,
        keep: Keep,
        together: int,  # differences, as soon as there are this many
    ) -> None:
        self._sides, self._window, self._context = sides, window, context
        self._keep, self._together = keep, together
        cursor = request.cursor or {}
        self._places: dict[str, Cursor] = {name: cursor.get(name, place_at(0, None)) for name in _NAMES}
        for name, side in zip(_NAMES, sides, strict=True):
            side.begin(self._places[name])
        sample = request.source if isinstance(request.source, SampledSegments) else None
        self._clusters = OpenClusters(sample, cursor.get("clusters"), self._part) if sample else None
        self._counts: Counter[str] = Counter()
        self._unkept: list[FoundDifference] = []
        self._unkept_since = 0.0
        self._chunks = request.chunks
        self.moved = False  # over any row, or the end of a scan
        self._covered = (request.cursor, Comparison(), self._chunks)

    def move(self) -> None:
        """Over every row that is settled, up to the first one of each side that is not."""
        for name, scanned, side, queue in zip(_NAMES, _SCANNED, self._sides, self._window.sides, strict=True):
            last = None
            for last in queue.passed():
                self._counts[last.outcome] += 1
                self._counts[scanned] += 1
                if self._clusters:
                    self._clusters.count(last.part, last.outcome)
                if last.difference is not None:
                    self._unkept_since = self._unkept_since if self._unkept else self._context.now()
                    self._unkept.append(last.difference)
            if queue.empty:
                self._to(name, side.place)
            elif last is not None:
                self._to(name, place_at(last.part, last.after))
        if self._clusters:
            self._clusters.close(self._part)
        if not self._unkept:
            self._cover()
        elif len(self._unkept) >= self._together or self._context.now() - self._unkept_since >= _SECONDS:
            self.flush()

    def flush(self) -> None:
        """Keep what is not kept yet; a round that may have a successor keeps nothing, and is not covered."""
        if self._unkept and self._context.stale():
            return
        for start in range(0, len(self._unkept), self._together):
            self._keep(self._chunks, self._unkept[start : start + self._together])
            self._chunks += 1
        self._unkept = []
        self._cover()

    def covered(self) -> CompareResult:
        """What is covered, for a heartbeat: never at the end, since the tables are still to be checked."""
        cursor, counts, chunks = self._covered
        counts = counts.model_copy(update={"other_read_units": self._sides[1].calls.units})
        return CompareResult(counts=counts, cursor=cursor, chunks=chunks, read_units=self._sides[0].calls.units)

    @property
    def ended(self) -> bool:
        """Whether both sides have ended and every row is settled and kept."""
        places = self._covered[0] or {}
        return all(name in places and places[name]["ended"] for name in _NAMES)

    @property
    def enough(self) -> bool:
        """Whether a sample has as many keys as it is to have."""
        return self._clusters is not None and self._clusters.enough

    @property
    def _part(self) -> int:
        """The first part that is not settled on both sides."""
        return min(int(place.get("part", 0)) for place in self._places.values())

    def _to(self, name: str, place: Cursor) -> None:
        self.moved = self.moved or place != self._places[name]
        self._places = {**self._places, name: place}

    def _cover(self) -> None:
        cursor: Cursor = dict(self._places)
        counts = Comparison(**self._counts)
        if self._clusters:
            cursor["clusters"] = self._clusters.cursor
            counts = counts.model_copy(update={"clusters": self._clusters.closed})
        self._covered = (cursor, counts, self._chunks)
