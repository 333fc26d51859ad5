"""One shard as the root sees it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from temporalio import workflow

from workflows.job.shares import Grant
from workflows.reindex_shard import ReindexShard

with workflow.unsafe.imports_passed_through():
    from reindexer.models import (
        READING,
        Counts,
        DocumentRange,
        HandBack,
        Isolated,
        Kept,
        KeptDifferences,
        KeptKeys,
        KeyList,
        Lineages,
        OlderSegment,
        PartitionRanges,
        Phase,
        SampledSegments,
        Seen,
        Segment,
        ShardCarried,
        ShardReport,
        ShardState,
        ShardSummary,
        Share,
        Source,
    )
    from reindexer.tally import Outcome, Tally

#: Situations in which a shard runs no attempt until it is asked to go on.
STILL = ("paused", "parked")

#: From the look that finds a child closed to the one that gives its end up: the server delivers it within one.
_SECONDS_UNTIL_GONE = 10.0


@dataclass
class Shard:
    """One slot. What is known of it is replaced by what is newer, never added to."""

    index: int
    phase: Phase
    source: Source
    summary: ShardSummary = field(default_factory=ShardSummary)  # by its rounds and records that have ended
    running: Counts = field(default_factory=Counts)  # of the round under way, as last seen
    state: ShardState | None = None  # where it goes on; None: at its beginning, or from `kept`
    kept: Kept | None = None
    hand_backs: int = 0
    situation: str = "waiting"  # running throttled paused parked, as it says; done stopped lost
    reason: str = ""
    scope: str | None = None
    active: bool = False  # begun and not ended, also while its start is under way
    open: bool = False  # its child runs
    done: bool = False
    settled: bool = False  # it took its last look, since the job is being cancelled
    lost: bool = False  # someone ended it: what it did after its last report is not known
    wanted: int = -1  # the oldest control seq that it must have
    sent: int = -1  # control seq last sent
    acknowledged: int = -1  # the pause that it is paused for, as it signalled; -1: it is to go on
    starts: int = 1  # of its child, a cycle's not counted: one more each time that someone ended it
    grant: Grant = field(default_factory=lambda: Grant(Share()))
    seen_at: float = 0.0
    seen_closed: float = 0.0  # when a look first found its child closed, whose end has not come in; 0: none has
    gone: bool = False  # that end never comes in
    handle: workflow.ChildWorkflowHandle[ReindexShard, HandBack] | None = None
    _added: tuple[ShardSummary, Counts, Counts] | None = None  # what `counts` was made of, and is

    @classmethod
    def carried(cls, before: ShardCarried, source: Source) -> Shard:
        """As a run of the root handed it to the next one."""
        return cls(
            index=before.index,
            phase=before.phase,
            source=source,
            summary=before.summary,
            state=before.state,
            kept=before.kept,
            hand_backs=before.hand_backs,
            situation="done" if before.done else "waiting",
            done=before.done,
            lost=before.lost,
            starts=before.starts,
        )

    def carry(self, source: Source | None) -> ShardCarried:
        """For the next run of the root."""
        return ShardCarried(
            index=self.index,
            phase=self.phase,
            source=source,
            done=self.done,
            summary=self.summary,
            state=self.state,
            kept=self.kept,
            hand_backs=self.hand_backs,
            starts=self.starts,
            lost=self.lost,
        )

    @property
    def follows(self) -> bool:
        """Whether it reads changes: it never ends, and takes no room from those that do."""
        return isinstance(self.source, Lineages)

    @property
    def reads_only(self) -> bool:
        """Whether it verifies."""
        return self.phase in READING

    @property
    def unsettled(self) -> bool:
        """Whether it may have changed records beyond its cursor that no one has counted."""
        if self.done or self.settled or self.reads_only:
            return False
        state = self.state or ShardState()
        return self.kept is not None or state.unsettled

    @property
    def counts(self) -> Counts:
        """All that is known. Asked for hundreds of times between two looks, and added once."""
        if self._added is None or self._added[0] is not self.summary or self._added[1] is not self.running:
            self._added = self.summary, self.running, self.summary.counts + self.running
        return self._added[2]

    def tell(self, report: ShardReport) -> list[Isolated]:
        """It signalled, perhaps before it was looked at last; returns records that it gave up."""
        now = report.situation
        if _place(now.summary) >= _place(self.summary):
            if now.summary.rounds > self.summary.rounds:
                self.running = Counts()
            self.summary = now.summary.model_copy(update={"newest": []})
        self.situation, self.reason, self.scope = now.state, now.reason, now.scope
        self.acknowledged = report.acknowledged
        return now.summary.newest

    def see(self, seen: Seen, now: float, *, measured: bool) -> None:
        """It was looked at, perhaps before it signalled last. `measured`: what it uses of budgets counts."""
        before, known = self.counts, self.summary
        summary = seen.situation.summary
        if _place(summary) >= _place(known):
            self.summary = summary
            # One that signalled that it is paused goes on when the root says so: what was seen is older.
            keeps = self.situation in STILL and self.acknowledged >= 0
            if not keeps or _place(summary) > _place(known):
                self.situation, self.reason = seen.situation.state, seen.situation.reason
                self.scope = seen.situation.scope
        if summary.rounds == self.summary.rounds:
            self.running = seen.running
        if self.seen_at and now > self.seen_at and measured:
            self.grant.used = _used(before, self.counts, now - self.seen_at)
        self.seen_at = now

    def see_closed(self, now: float) -> None:
        """A look found its child closed."""
        self.seen_closed = self.seen_closed or now
        self.gone = now - self.seen_closed >= _SECONDS_UNTIL_GONE

    def close(self, end: HandBack) -> list[Isolated]:
        """Its child has ended by itself; returns records that it gave up."""
        self.summary, self.running = end.summary.model_copy(update={"newest": []}), Counts()
        self.state, self.kept, self.hand_backs = end.state, end.kept, end.hand_backs
        self.done, self.settled = end.how == "done", end.settled
        self.situation = "done" if self.done else "stopped"
        self.lost = False
        return end.summary.newest

    def ended_from_outside(self, why: str) -> None:
        """Its child is gone, or could not begin."""
        self.situation, self.reason = "lost", why
        self.starts += 1

    def name(self) -> str:
        """The end of the child's workflow id, below the job's and the run's."""
        kind = "compare" if self.phase == "comparing" else "verify" if self.reads_only else "shard"
        again = "" if self.starts <= 1 else f"-again-{self.starts}"
        return f"{kind}-{self.index:03d}{again}"

    def static_summary(self, total: int) -> str:
        """For the Web UI: what it reads."""
        source = self.source
        verb = "compare " if self.phase == "comparing" else "verify " if self.reads_only else ""
        if isinstance(source, Segment):
            return f"{verb}segment {source.segment} of {source.total}"
        place = f"shard {self.index} of {total}"
        if isinstance(source, OlderSegment):
            return f"settle what the replica held, segment {source.segment} of {source.total}"
        if isinstance(source, SampledSegments):
            return f"{verb}a sample of {source.total} segments, {place}"
        if isinstance(source, PartitionRanges):
            names = ", ".join(part.value for part in source.ranges[:3])[:120]  # a line of the Web UI
            return f"{verb}{len(source.ranges)} partitions ({names}), {place}"[:200]
        if isinstance(source, KeptDifferences):
            return f"repair what differs of shard {source.shard}, {place}"
        if isinstance(source, Lineages):
            return f"changes of {len(source.reading)} stream shards, {place}"
        if isinstance(source, DocumentRange):
            return f"{verb}documents of shard {source.shard} of the index, {place}"
        keys = source.count if isinstance(source, KeptKeys) else len(source.keys)
        return f"{verb}{keys} keys, {place}"


def beginning(source: Source) -> ShardState | None:
    """A shard's state before it begins; not without what an earlier run could not find out."""
    if isinstance(source, KeyList) and source.unconfirmed:
        return ShardState(unconfirmed=source.unconfirmed)
    return None


def together(index: int, shards: Sequence[Shard]) -> Shard:
    """What these came to, as one that is done."""
    failures: Counter[str] = Counter()
    for shard in shards:
        failures.update(shard.summary.failures)
    counts = Counts.total([shard.counts for shard in shards])
    summary = ShardSummary(
        counts=counts.model_copy(update={"followed": None}),
        rounds=sum(shard.summary.rounds for shard in shards),
        failures=dict(failures),
        doubt=any(shard.summary.doubt for shard in shards),
    )
    lost = any(shard.lost for shard in shards)
    source = KeyList(keys=[])
    return Shard(index, "running", source, summary=summary, situation="done", done=True, lost=lost)


def superseded(shard: Shard) -> Shard:
    """What it gave up or was still trying is left to another scan, which reads it again."""
    counts = shard.counts
    left = counts.isolated + counts.tally[Outcome.QUARANTINED]
    outcomes = {**counts.tally.counted, Outcome.QUARANTINED: 0}
    outcomes[Outcome.SUPERSEDED] = counts.tally[Outcome.SUPERSEDED] + left
    counts = counts.model_copy(
        update={"tally": Tally(counts.tally.scanned, **outcomes), "isolated": 0, "oldest_ms": 0}
    )
    summary = shard.summary.model_copy(update={"counts": counts, "failures": {}})
    return replace(shard, summary=summary)


def _place(summary: ShardSummary) -> tuple[int, int]:
    return summary.rounds, summary.counts.tally.settled


def _used(before: Counts, after: Counts, seconds: float) -> dict[str, float]:
    used = {
        "read_units": max(0.0, after.read_units - before.read_units) / seconds,
        "write_units": max(0.0, after.write_units - before.write_units) / seconds,
        "records": max(0, after.tally.settled - before.tally.settled) / seconds,
    }
    if there := after.compared.other_read_units:
        used["other_read_units"] = max(0.0, there - before.compared.other_read_units) / seconds
    return used
