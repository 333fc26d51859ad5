"""The engine's `RoundContext` on Temporal: heartbeat, cancellation, worker shutdown."""

from __future__ import annotations

from collections.abc import Callable

from temporalio import activity

from activities.guard import Guard
from reindexer.clocks import CLOCKS
from reindexer.models import Model
from reindexer.round_context import TICK_SECONDS

#: Between two heartbeats of a round, at least: what the server knows is never much older than it need be.
_HEARTBEAT_SECONDS = 0.4
#: The same of a round at rest: two rounds send 43,200 heartbeats a day, and a pause arrives within 5 s.
_RESTING_SECONDS = 4.0
#: Of a shorter heartbeat timeout this part: a second one comes before it is over.
_RESTING_PART = 0.4


class HeartbeatLost(RuntimeError):
    """Temporal cancelled the attempt without saying why: a heartbeat could not be encoded or delivered."""


class TemporalContext:
    """Signs of life of one activity attempt. Made in the activity, used by one thread."""

    def __init__(self, heartbeat_timeout: float, guard: Guard) -> None:
        self._timeout, self._guard = heartbeat_timeout, guard
        CLOCKS.hear(activity.info().started_time)
        self._sent_at = float("-inf")
        self._began = self._step_at = self.now()
        self._stale = False
        self._between = _HEARTBEAT_SECONDS
        self._progress: Callable[[], Model] | None = None

    def now(self) -> float:
        """Seconds; they run on while the process is frozen, and while the machine sleeps."""
        return CLOCKS.now()

    def heartbeat(self, progress: Callable[[], Model] | None = None, *, immediate: bool = False) -> None:
        """Heartbeat, at most every 0.4 s: a call costs 200 µs, and by default the server sees one a second."""
        self._progress = progress or self._progress
        now = self.now()
        if not self.stale():
            self._step_at = now
        if immediate or now - self._sent_at >= self._between:
            self._sent_at = now
            if self._progress is None:
                activity.heartbeat()
            else:
                activity.heartbeat(self._progress())

    def stopping(self) -> bool:
        """Cancelled (pause, new limits, cancel), stale, or the worker is shutting down: all are one order."""
        if self.stale() or activity.is_worker_shutdown():
            return True
        if not activity.is_cancelled():
            return False
        if activity.cancellation_details() is None:
            raise HeartbeatLost("cancelled without a reason: a heartbeat was not delivered")
        return True

    def stale(self) -> bool:
        """Whether a successor may be at work: the server gives up who was frozen, and who cannot reach it.

        That is so where the last step, or Temporal's last answer, lies further back than the heartbeat timeout.
        Then for good: the server does not take the attempt back.
        """
        now = self.now()
        heard_at = max(self._began, self._guard.answered_at)  # Temporal itself handed the attempt out
        self._stale = self._stale or now - min(self._step_at, heard_at) > self._timeout
        return self._stale

    def rest(self, resting: bool) -> None:
        """Heartbeats are further apart while nothing comes."""
        longest = min(_RESTING_SECONDS, _RESTING_PART * self._timeout)
        self._between = max(_HEARTBEAT_SECONDS, longest) if resting else _HEARTBEAT_SECONDS

    def wait(self, seconds: float) -> None:
        """Wait in ticks that heartbeat; returns early when asked to stop."""
        until = self.now() + seconds
        while (left := until - self.now()) > 0 and not self.stopping():
            self.heartbeat()
            activity.wait_for_cancelled_sync(min(left, TICK_SECONDS))
