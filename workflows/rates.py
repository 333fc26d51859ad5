"""How fast a job goes, over its last minute of work."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

#: Seconds over which rates are taken: two rounds.
_WINDOW = 60.0
_MOST_SAMPLES = 512  # more than come in a minute; a bound for the memory of many shards that report at once


class _Sample(NamedTuple):
    active: float  # seconds in which the job was neither paused nor parked
    records: int
    read_units: float
    write_units: float


class Rates:
    """Paused time is left out. Times are the workflow's own: they stand still between its tasks."""

    def __init__(self) -> None:
        self._samples: deque[_Sample] = deque(maxlen=_MOST_SAMPLES)
        self._active = self._at = 0.0

    def sample(self, now: float, *, records: int, read_units: float, write_units: float, active: bool) -> None:
        """What was done so far. `active`: whether the job has worked since the sample before."""
        if self._at and active:
            self._active += now - self._at
        self._at = now
        self._samples.append(_Sample(self._active, records, read_units, write_units))
        while len(self._samples) > 2 and self._active - self._samples[0].active > _WINDOW:
            self._samples.popleft()

    def now(self) -> dict[str, float]:
        """`records`, `read_units` and `write_units` a second; 0.0 where nothing can be said yet."""
        first, last = (self._samples[0], self._samples[-1]) if self._samples else (None, None)
        seconds = last.active - first.active if first and last else 0.0
        if not first or not last or seconds <= 0:
            return dict.fromkeys(("records", "read_units", "write_units"), 0.0)
        return {
            "records": round((last.records - first.records) / seconds, 1),
            "read_units": round((last.read_units - first.read_units) / seconds, 1),
            "write_units": round((last.write_units - first.write_units) / seconds, 1),
        }
