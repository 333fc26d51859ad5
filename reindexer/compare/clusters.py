"""Of a sample's segments, how many keys each has and how many of them differ: what an interval is made of."""

from __future__ import annotations

from typing import Any

from reindexer.models import Clusters, SampledSegments

#: Outcomes by which a key is counted, once, and whether it differs. A key that moves has no verdict.
_DIFFERS = {"equal": False, "different": True, "missing": True, "extraneous": True}


class OpenClusters:
    """Segments are open until both tables have settled all their rows; what is open travels in the cursor.

    `begun`: the first part that was not settled on both sides at the end of the round before.
    """

    def __init__(self, sample: SampledSegments, cursor: dict[str, Any] | None, begun: int) -> None:
        self._sample, self._first = sample, begun
        self._before = int(cursor["keys"]) if cursor else 0  # keys of segments that were closed earlier
        self._open: dict[int, list[int]] = (
            {int(part): [*pair] for part, *pair in cursor["open"]} if cursor else {}
        )
        self.closed = Clusters()  # by this round

    def count(self, part: int, outcome: str) -> None:
        """A row of this part that is settled."""
        differs = _DIFFERS.get(outcome)
        if differs is not None:
            pair = self._open.setdefault(part, [0, 0])
            pair[0] += 1
            pair[1] += differs

    def close(self, part: int) -> None:
        """All parts before this one."""
        for number in range(self._first, part):
            self.closed += Clusters.of_segment(*self._open.pop(number, (0, 0)))
        self._first = max(self._first, part)

    @property
    def enough(self) -> bool:
        """Whether no further segment is to be read."""
        begun = self._first + len(self._open)
        keys = self._before + self.closed.keys + sum(pair[0] for pair in self._open.values())
        return keys >= self._sample.enough and begun >= self._sample.at_least

    @property
    def cursor(self) -> dict[str, Any]:
        """What the next round has to know."""
        still_open = [[part, *pair] for part, pair in sorted(self._open.items())]
        return {"keys": self._before + self.closed.keys, "open": still_open}
