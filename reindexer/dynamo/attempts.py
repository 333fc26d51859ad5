"""Attempts of one read that changes nothing, at one service: their time slice, and what they meet."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from reindexer.answers import Action, CallFailed, Scope
from reindexer.models import Fault
from reindexer.round_context import RoundContext
from reindexer.throttle import backoff

_THROTTLED_SECONDS = 5.0  # nothing but throttles: hand back, as a round does; the workflow waits longer
#: Calls in a row without an answer before a person has to see to it: one time-out takes 5 s, as some slices do.
_MAX_UNANSWERED = 3

Answer = TypeVar("Answer")


class Attempts:
    """`seconds`: the time slice.

    `units`: read units so far. `throttled`: there was no capacity for too long.
    """

    def __init__(self, context: RoundContext, seconds: float) -> None:
        self._context = context
        self._deadline = context.now() + seconds
        self._patience = min(_THROTTLED_SECONDS, seconds / 2)  # else a short slice would be over first
        self._next_at = context.now()  # when the budget allows the next call
        self._calls = 0
        self._answered = False  # whether any call brought something
        self._down: Fault | None = None  # why nothing answers, so far
        self._tries = 0  # calls in a row that brought nothing
        self._throttled_at: float | None = None  # since when there were only throttles
        self._scope: Scope | None = None  # how far they reach
        self.throttled = False
        self.units = 0.0
        self.fault: Fault | None = None  # what someone has to fix

    @property
    def throttle(self) -> str | None:
        """How far its throttles reach, where that is known."""
        return self._scope.value if self.throttled and self._scope else None

    def fail(self, fault: Fault) -> None:
        """It cannot go on, for this reason."""
        self.fault = fault

    def go_on_for(self, seconds: float) -> None:
        """Go on for so long from now at least, beyond the time slice, unless it is asked to stop."""
        self._deadline = max(self._deadline, self._context.now() + seconds)

    def may_go_on(self) -> bool:
        """Wait until the budget allows a call. False: fault, asked to stop, or slice over after one call."""
        self._context.heartbeat()
        while self.fault is None and not self._context.stopping():
            if self._throttled_at is not None:
                self.throttled = self._context.now() - self._throttled_at > self._patience
                if self.throttled:
                    return False
            if self._calls and self._context.now() >= self._deadline:
                self.fault = self._down if self._tries >= _MAX_UNANSWERED else None
                return False
            wait = self._next_at - self._context.now()
            if wait <= 0:
                return True
            self._context.wait(wait)
        return False

    def once(self, call: Callable[[], Answer]) -> Answer | None:
        """One attempt where it may go on; None as from `_attempt`, or not now."""
        return self._through(call) if self.may_go_on() else None

    def until_answered(self, call: Callable[[], Answer]) -> Answer | None:
        """As many attempts as it takes; None: the slice was over before, or it was asked to stop."""
        while self.may_go_on():
            answer = self._through(call)
            if answer is not None:
                return answer
        return None

    def _through(self, call: Callable[[], Answer]) -> Answer | None:
        """As `_attempt`. An answer says that there is capacity."""
        answer = self._attempt(call)
        if answer is not None:
            self._throttled_at = None
        return answer

    def _attempt(self, call: Callable[[], Answer]) -> Answer | None:
        """One attempt. None: it failed; then either `fault` is set, or it has waited for the next one."""
        self._calls += 1
        try:
            answer = call()
        except CallFailed as failed:
            fault = Fault.of(failed.failure)
            if failed.failure.action is Action.WAIT:
                self._refused(failed.failure.scope)
            else:
                self._throttled_at = None
            if failed.failure.action not in (Action.WAIT, Action.RETRY):
                self.fault = fault
                return None
            # A throttle passes. Anything else that lasts for a whole slice has to be seen by a person.
            self._down = fault if failed.failure.action is Action.RETRY and not self._answered else None
            self._back_off()
            return None
        self._answered, self._down, self._tries = True, None, 0
        return answer

    def _refused(self, scope: Scope | None) -> None:
        """For lack of capacity."""
        self._scope = scope or self._scope
        if self._throttled_at is None:
            self._throttled_at = self._context.now()

    def _back_off(self) -> None:
        self._tries += 1
        self._context.wait(backoff(self._tries))
