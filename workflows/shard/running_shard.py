"""The shard that runs, as every part of its workflow sees it: what is wanted of it, and where it is."""

from __future__ import annotations

from temporalio import workflow

from workflows.controls import Gate

with workflow.unsafe.imports_passed_through():
    from reindexer.models import (
        Control,
        Lineages,
        ShardInput,
        ShardPlace,
        ShardState,
        ShardSummary,
        Share,
        Situation,
        Target,
    )
    from reindexer.models.streams import LineageCursor, Reading, with_adopted

RUNNING = Situation()


class RunningShard:
    """Whoever works on it starts attempts only while it may, and lets them hand back once `turn` changes."""

    def __init__(self, request: ShardInput) -> None:
        self.request = request
        self.state: ShardState = request.state
        self.loaded = request.kept is None  # else the state is in the ledger, and `state` is empty
        self.control = request.control
        self.gate = Gate()
        self.gate.paused, self.gate.stopping = request.control.paused, request.control.stop
        self.situation = RUNNING  # without the counts, which are taken when it is reported
        self._parked_at = -1  # the control seq in force when it parked itself
        self._turns = 0
        self._adopted: list[Reading] = []  # and not yet part of the cursor

    @property
    def turn(self) -> tuple[int, bool]:
        """Changes whenever what is in flight is to hand back its state."""
        return self._turns, self.gate.stopping

    def take(self, control: Control) -> None:
        """The root's desired state, whole. An older one is ignored."""
        if control.seq <= self.control.seq:
            return
        before, self.control = self.control, control
        self.gate.paused = control.paused
        self.gate.stopping = self.gate.stopping or control.stop
        if self.leaving or (before.paused, before.share) != (control.paused, control.share):
            self._turns += 1

    def adopt(self, shards: list[Reading]) -> None:
        """Read these stream shards as well, from the next round on."""
        if isinstance(self.request.source, Lineages):
            self._adopted += shards
            self._turns += 1

    def take_adopted(self) -> None:
        """Between rounds: what was adopted joins the cursor."""
        source = self.request.source
        if not self._adopted or not isinstance(source, Lineages):
            return
        cursor = LineageCursor(reading=source.reading, ended=source.ended)
        if self.state.cursor is not None:
            cursor = LineageCursor.model_validate(self.state.cursor)
        joined = with_adopted(cursor, self._adopted).model_dump(mode="json", exclude_defaults=True)
        self.state, self._adopted = self.state.model_copy(update={"cursor": joined}), []

    def park(self, reason: str) -> None:
        """Stop by itself, with the reason, until the root sends a newer control state."""
        self._parked_at = self.control.seq
        self.situation = Situation(state="parked", reason=reason)
        self._turns += 1

    @property
    def parked(self) -> bool:
        """Whether it stopped by itself, and was sent nothing since."""
        return self._parked_at == self.control.seq

    @property
    def leaving(self) -> bool:
        """Whether it is to hand back: the job is being cancelled, or its root begins a new run."""
        return self.gate.stopping or self.control.cycle > self.request.cycle

    @property
    def may_work(self) -> bool:
        """Whether an attempt may be started now."""
        return self.gate.open and not self.parked and not self.leaving

    @property
    def finished(self) -> bool:
        """Whether every record has its outcome."""
        return self.state.done and not self.state.isolated

    @property
    def summary(self) -> ShardSummary:
        """What the root gets to know; of a state that is not loaded yet, what it got last."""
        return self.state.summary if self.loaded else self.request.summary

    @property
    def target(self) -> Target:
        """With the code of the job that is in force."""
        return self.request.target.running(self.control.code)

    @property
    def place(self) -> ShardPlace:
        """Of what its rounds keep in the ledger."""
        return ShardPlace(job=self.request.job, run=self.request.run, index=self.request.index)

    @property
    def share(self) -> Share:
        """What this shard may use per second, rounds and isolated records together."""
        return self.control.share
