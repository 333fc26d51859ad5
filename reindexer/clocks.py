"""Time that no single clock of this machine decides.

A machine may sleep, be frozen, or have its clock set. How much time has passed since a moment is the largest
jump of the monotonic, the boot and the wall clock. What time it is, the wall clock and Temporal's server say:
whoever dates what others will remove takes the later of the two, whoever removes the earlier.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime

#: Seconds by which another clock has to be ahead of the monotonic one to count: less is how clocks are slewed,
#: and would add up over a year of looks.
_JUMP_SECONDS = 0.5


def _boot() -> float:
    """Seconds since the machine was started, asleep or not; where the system has no such clock, monotonic."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)


class Clocks:
    """Thread-safe. `now` runs on by the clock that has moved most since the look before."""

    def __init__(
        self,
        monotonic: Callable[[], float] = time.monotonic,
        boot: Callable[[], float] = _boot,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._read = (monotonic, boot, wall)
        self._lock = threading.Lock()
        self._last = self._look()
        self._now = self._last[0]
        self._heard: tuple[float, float, float] | None = None  # a server's time; ours and monotonic then

    def now(self) -> float:
        """Seconds; they never go back. It began as the monotonic clock."""
        with self._lock:
            seen = self._look()
            monotonic, *others = (after - before for after, before in zip(seen, self._last, strict=True))
            self._last = seen
            jump = max(others)
            self._now += jump if jump - monotonic > _JUMP_SECONDS else max(0.0, monotonic)
            return self._now

    def _look(self) -> tuple[float, float, float]:
        monotonic, boot, wall = self._read
        return monotonic(), boot(), wall()

    def hear(self, server: datetime) -> None:
        """A server has just said what time it is."""
        now = self.now()
        with self._lock:
            self._heard = server.timestamp(), now, self._last[0]

    def latest(self) -> datetime:
        """What time it is at the latest."""
        wall, server, passed, _ = self._times()
        return _at(wall if server is None else max(wall, server + passed))

    def earliest(self) -> datetime:
        """What time it is at the earliest."""
        wall, server, _, at_least = self._times()
        return _at(wall if server is None else min(wall, server + at_least))

    def _times(self) -> tuple[float, float | None, float, float]:
        """(wall clock, what the server said, seconds since: by the largest jumps, by the monotonic clock)."""
        now = self.now()
        with self._lock:
            monotonic, _, wall = self._last
            if self._heard is None:
                return wall, None, 0.0, 0.0
            said, then, monotonic_then = self._heard
            return wall, said, now - then, monotonic - monotonic_then


def _at(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


#: Of this process.
CLOCKS = Clocks()
