"""One shard as the root sees it."""

from __future__ import annotations

from dataclasses import dataclass, field

from temporalio import workflow

from workflows.reindex_shard import ReindexShard
from workflows.shares import Grant

with workflow.unsafe.imports_passed_through():
    from reindexer.models import (
        KeyList,
        PartitionRanges,
        Segment,
        ShardReport,
        ShardState,
        Share,
        Source,
    )


@dataclass
class Shard:
    """One slot. `state` is replaced by newer reports and closed by the child's result, never added to."""

    index: int
    source: Source
    state: ShardState = field(default_factory=ShardState)
    seq: int = 0
    situation: str = "waiting"  # running throttled paused parked, as it reports; done stopped lost
    reason: str = ""
    scope: str | None = None
    active: bool = False  # begun and not ended, also while its start is under way
    open: bool = False  # its child runs
    done: bool = False
    sent: int = -1  # control seq last sent
    acknowledged: int = -1
    starts: int = 0
    grant: Grant = field(default_factory=lambda: Grant(Share()))
    began_at: float = 0.0  # its child, the last time
    reported_at: float = 0.0
    handle: workflow.ChildWorkflowHandle[ReindexShard, ShardState] | None = None

    @classmethod
    def of(cls, index: int, source: Source) -> Shard:
        """Before its beginning, yet not without what an earlier run could not find out."""
        state = ShardState(unknown=source.unknown) if isinstance(source, KeyList) else ShardState()
        return cls(index, source, state)

    def take(self, report: ShardReport, now: float, *, measured: bool) -> None:
        """Replace what is known. `measured`: what it uses of its budgets counts."""
        if self.reported_at and now > self.reported_at and measured:
            self.grant.used = _used(self.state, report.progress, now - self.reported_at)
        self.seq, self.state, self.reported_at = report.seq, report.progress, now
        self.situation, self.reason, self.scope = report.state, report.reason, report.scope
        self.acknowledged = report.acknowledged

    def close(self, state: ShardState) -> None:
        """Its child has handed back where it stands."""
        self.state = state
        self.done = state.done and not state.isolated
        self.situation = "done" if self.done else "stopped"

    def lost(self, why: str) -> None:
        """Its child was ended by somebody, or could not begin."""
        self.open = self.active = False
        self.situation, self.reason = "lost", why

    def name(self) -> str:
        """The child's workflow id, below the job's and the run's."""
        again = "" if self.starts == 1 else f"-again-{self.starts}"
        return f"shard-{self.index:03d}{again}"

    def summary(self, total: int) -> str:
        """For the Web UI: what it reads."""
        if isinstance(self.source, Segment):
            return f"segment {self.source.segment} of {self.source.total}"
        place = f"shard {self.index} of {total}"
        if isinstance(self.source, PartitionRanges):
            names = ", ".join(part.value for part in self.source.ranges[:3])[:120]  # a line of the Web UI
            return f"{len(self.source.ranges)} partitions ({names}), {place}"
        return f"{len(self.source.keys)} keys, {place}"


def _used(before: ShardState, after: ShardState, seconds: float) -> dict[str, float]:
    return {
        "read_units": (after.read_units - before.read_units) / seconds,
        "write_units": (after.write_units - before.write_units) / seconds,
        "records": (after.tally.settled - before.tally.settled) / seconds,
    }
