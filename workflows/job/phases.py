"""After the job: an independent consistent read by shards, and one sweep over what it found behind."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from temporalio import workflow

from workflows.job.closing import note_progress, retry_while_parked
from workflows.job.comparison import compared
from workflows.job.older_epochs import older_segments
from workflows.job.report import JobReport
from workflows.job.running_job import RunningJob
from workflows.job.shard import Shard, beginning
from workflows.job.shards import Shards

with workflow.unsafe.imports_passed_through():
    from activities.kept import KeptActivities
    from reindexer.models import (
        BehindInput,
        JobInput,
        KeptDifferences,
        KeyList,
        Lineages,
        PartitionRange,
        PartitionRanges,
        Phase,
        Plan,
        Segment,
        Source,
        Verification,
    )

MAX_SHARDS = 400  # of a job that scans; one that follows has a shard for some stream shards
#: Rows per verifying shard: some 60 MB, read page after page in ten seconds, for a handful of events.
_ROWS_PER_SHARD = 150_000


class Phases:
    """What a job does one after the other. Where it is, is in `job.phase` and in its shards: a new run of the
    root goes on there."""

    def __init__(self, job: RunningJob, shards: Shards, asked: JobInput) -> None:
        self._job, self._shards, self._asked = job, shards, asked
        self._compares = job.known_plan.verb.compares
        reads_only = job.known_plan.target.writer == "none"
        in_place = not (self._compares or job.known_plan.verb.writes_other or job.known_plan.verb.writes_index)
        self._verifies = in_place and bool(asked.verify or reads_only)
        self._verifies = self._verifies or (job.known_plan.verb.makes_index and asked.verify == "complete")
        self._repairs = self._compares and not reads_only
        job.sweeps = asked.sweep and not reads_only

    async def run(self) -> None:
        """From the phase in hand to the last; returns early when leaving."""
        job = self._job
        while job.phase != "closing":
            await self._shards.run([shard for shard in self._shards.all if shard.phase == job.phase])
            if job.leaving:
                return
            job.phase = await self._next()
            job.noticed()
            if job.phase != "closing":
                await note_progress(job, JobReport(job, self._shards))

    def begin(self) -> None:
        """The plan's shards, in the order of their start; of a job that only reads there are none."""
        plan = self._job.known_plan
        if plan.target.writer != "none" and not self._compares:
            self._add("running", plan.sources)
        self._job.phase = "running"

    async def _next(self) -> Phase:
        """What follows the phase that has just ended."""
        job = self._job
        if job.phase == "running" and self._compares:
            self._add("comparing", job.known_plan.sources)
            return "comparing"
        if job.phase == "comparing":
            job.compared = await compared(job, self._shards.all)
            return self._begin_repairing(job.compared.chunks)
        if job.phase == "repairing":
            return self._begin_checking()
        if job.phase == "running" and (older := older_segments(job.known_plan)):
            self._add("repairing", older)
            return "repairing"
        if job.phase == "running" and job.known_plan.verb.copies:
            return self._begin_checking()
        if job.phase == "running":
            return await self._begin_verifying()
        if job.phase == "verifying":
            job.verification = self._checked("verifying")
            return await self._begin_sweeping()
        if job.phase == "sweeping":
            swept = [s.source for s in self._shards.all if s.phase == "sweeping"]
            self._add("checking", swept)
            return "checking"
        found, again = job.verification or Verification(), self._checked("checking")
        behind = max(0, found.behind - job.swept) + again.behind
        # Of an index records count that have a document: what was written again may have none by now.
        scanned = (
            found.scanned - job.swept + again.scanned if job.known_plan.verb.makes_index else found.scanned
        )
        job.verification = Verification(scanned=scanned, behind=behind)
        return "closing"

    def _begin_repairing(self, chunks: list[int]) -> Phase:
        """What each shard found to differ, from what the ledger keeps of it."""
        job, run = self._job.job_id, self._job.known_plan.run
        differ = [
            KeptDifferences(job=job, run=run, shard=shard, chunks=number)
            for shard, number in enumerate(chunks)
            if number
        ]
        if not differ or not self._repairs:
            return "closing"
        self._add("repairing", differ)
        return "repairing"

    def _begin_checking(self) -> Phase:
        """A replica is compared with its table; of anything else nothing follows."""
        if not self._job.known_plan.checks:
            return "closing"
        self._add("comparing", self._job.known_plan.checks)
        return "comparing"

    async def _begin_verifying(self) -> Phase:
        parts = whole_table(self._job.known_plan, self._shards.tally.scanned)
        if not parts or not self._verifies:
            return "closing"
        if any(shard.summary.doubt for shard in self._shards.all):
            # An attempt that was frozen may write for one more heartbeat timeout.
            seconds = self._job.known_plan.heartbeat_timeout
            await self._job.gate.sleep(seconds, "until no lost attempt can write any more")
        self._add("verifying", parts)
        return "verifying"

    async def _begin_sweeping(self) -> Phase:
        """Rows found behind, by keys that the ledger keeps; not those that this run has given up."""
        job, found = self._job, self._job.verification
        if not found or not found.behind or not job.sweeps:
            return "closing"
        request = BehindInput(job=job.job_id, run=job.known_plan.run)
        behind = await retry_while_parked(job, KeptActivities.collect_behind, lambda: request)
        if behind is None or not behind.lists:
            return "closing"
        job.swept = sum(part.count for part in behind.lists)
        if found.behind > behind.kept:
            job.warn(f"{found.behind:,} rows were found behind; {job.swept:,} of them were swept")
        job.warn(f"{job.swept:,} rows written by others meanwhile were found behind and swept once")
        self._add("sweeping", behind.lists)
        return "sweeping"

    def _add(self, phase: Phase, sources: Sequence[Source]) -> None:
        first = len(self._shards.all)
        self._shards.all += [
            Shard(first + number, phase, source, state=beginning(source))
            for number, source in enumerate(sources)
        ]

    def _checked(self, phase: Phase) -> Verification:
        done = [shard.counts.checked for shard in self._shards.all if shard.phase == phase]
        return Verification(scanned=sum(c.scanned for c in done), behind=sum(c.behind for c in done))


def whole_table(plan: Plan, scanned: int) -> list[Source]:
    """What is read of all in scope: the table in a few segments, the named keys, or the named partitions."""
    sources = plan.sources
    if any(isinstance(source, Segment) and source.limit is not None for source in sources):
        return []  # a sample: the rest of the table is not in scope
    if keys := [source for source in sources if isinstance(source, KeyList) and source.keys]:
        return [KeyList(keys=source.keys) for source in keys]
    named = [part.value for source in sources if isinstance(source, PartitionRanges) for part in source.ranges]
    if named:
        return [
            PartitionRanges(ranges=[PartitionRange(value=value) for value in values])
            for values in _readers(named, len(sources))
        ]
    rows = max(scanned, plan.facts.items)
    most = MAX_SHARDS if any(isinstance(source, Lineages) for source in sources) else max(1, len(sources))
    total = min(max(1, math.ceil(rows / _ROWS_PER_SHARD)), most)
    return [Segment(segment=number, total=total) for number in range(total)]


def _readers(named: list[str], most: int) -> list[list[str]]:
    """The partitions, each once, dealt to readers; one that was cut is large, and has a reader of its own."""
    counts = Counter(named)
    large = [[value] for value, parts in counts.items() if parts > 1]
    small = [value for value, parts in counts.items() if parts == 1]
    readers = max(1, min(most, len(small)))
    return large + [small[number::readers] for number in range(readers) if small]
