"""The shard that runs, as every part of its workflow sees it: what is wanted of it, and where it stands."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from temporalio import workflow

from workflows.controls import Gate

with workflow.unsafe.imports_passed_through():
    from reindexer.models import Control, ShardInput, Share, Target


class Situation(NamedTuple):
    """What a shard is doing; `scope`: how far a throttle reaches."""

    state: str  # running throttled paused parked
    reason: str = ""
    scope: str | None = None


RUNNING = Situation("running")


class RunningShard:
    """Whoever works on it starts attempts only while it may, and hands back where it stands on an interrupt."""

    def __init__(self, request: ShardInput) -> None:
        self.request = request
        self.state = request.state
        self.control = request.control
        self.gate = Gate()
        self.gate.paused = request.control.paused
        self.situation = RUNNING
        self._parked_at = -1  # the control seq in force when it parked itself
        self._interrupts: list[Callable[[], None]] = []
        self.gate.when_stopped(self.interrupt)

    def when_interrupted(self, interrupt: Callable[[], None]) -> None:
        """Call `interrupt` when what is in flight is to hand back where it stands."""
        self._interrupts.append(interrupt)

    def interrupt(self) -> None:
        """Ask everything in flight to hand back where it stands."""
        for interrupt in self._interrupts:
            interrupt()

    def take(self, control: Control) -> None:
        """The root's desired state, whole. An older one is ignored."""
        if control.seq <= self.control.seq:
            return
        changed = control.paused != self.control.paused or control.share != self.control.share
        self.control = control
        self.gate.paused = control.paused
        if changed:
            self.interrupt()

    def park(self, reason: str) -> None:
        """Stop by itself, with the reason, until the root sends a newer control state."""
        self._parked_at = self.control.seq
        self.situation = Situation("parked", reason)
        self.interrupt()

    @property
    def parked(self) -> bool:
        """Whether it stopped by itself, and was told nothing since."""
        return self._parked_at == self.control.seq

    @property
    def may_work(self) -> bool:
        """Whether an attempt may be started now."""
        return self.gate.open and not self.parked

    @property
    def finished(self) -> bool:
        """Whether every record has its outcome."""
        return self.state.done and not self.state.isolated

    @property
    def target(self) -> Target:
        """With the code of the job that is in force."""
        return self.request.target.running(self.control.code)

    @property
    def share(self) -> Share:
        """What this shard may use per second, rounds and isolated records together."""
        return self.control.share
