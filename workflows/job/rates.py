"""How fast a job goes, over the last minute of its work."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

_WINDOW = 60.0  # seconds over which rates are taken: two rounds


class Point(NamedTuple):
    """What the job had come to after this many seconds of work."""

    worked: float
    records: float = 0.0
    read_units: float = 0.0
    write_units: float = 0.0


class Rates:
    """Times are seconds in which the job has worked, neither paused nor parked. A point for each look.

    What is done between two looks is taken as done evenly. Looks become rare as a job grows old: then the time
    between the last two of them counts.
    """

    def __init__(self) -> None:
        self._points: deque[Point] = deque([Point(0.0)])

    def add(self, point: Point) -> None:
        """All shards were looked at."""
        self._points.append(point)
        while len(self._points) > 2 and self._points[1].worked <= point.worked - _WINDOW:
            self._points.popleft()

    def begin(self, point: Point) -> None:
        """Something else is counted from here on."""
        self._points = deque([point])

    def now(self, last: Point | None = None) -> dict[str, float]:
        """`records`, `read_units` and `write_units` a second; 0.0 where nothing can be said yet.

        `last`: a look that is not kept.
        """
        end, begin = last or self._points[-1], self._points[0]
        seconds = end.worked - begin.worked
        return {
            name: round(max(0.0, getattr(end, name) - getattr(begin, name)) / seconds, 1)
            if seconds > 0
            else 0.0
            for name in ("records", "read_units", "write_units")
        }
