"""How far a comparison has come: the cursors of both scans, the counts and the differences, as one value.

It moves over rows that are settled, each side in the order of its scan, and never covers a difference that is
not kept yet. A row beyond it is read again by the next round, and counted there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from reindexer.compare.side import Side
from reindexer.compare.window import Window
from reindexer.items import Cursor, to_json_key
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
        self._places: dict[str, dict[str, Any]] = dict(request.cursor or {})
        for name, side in zip(_NAMES, sides, strict=True):
            place = self._places.setdefault(name, {"after": None, "ended": False})
            side.begin(place["after"], ended=place["ended"])
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
                if last.difference is not None:
                    self._unkept_since = self._unkept_since if self._unkept else self._context.now()
                    self._unkept.append(last.difference)
            if queue.empty:
                self._to(name, side.place)
            elif last is not None:
                self._to(name, {"after": to_json_key(last.key), "ended": False})
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
    def end(self) -> Cursor:
        """The cursor once both scans have ended and every row is settled and kept."""
        return {name: {"after": None, "ended": True} for name in _NAMES}

    def _to(self, name: str, place: Cursor) -> None:
        self.moved = self.moved or place != self._places[name]
        self._places = {**self._places, name: place}

    def _cover(self) -> None:
        self._covered = (self._places, Comparison(**self._counts), self._chunks)
