"""Following a table's stream: shards that read changes, beside those that scan, for as long as it is wanted."""

from __future__ import annotations

import asyncio

from temporalio import workflow

from workflows.job.closing import note_progress, retry_while_parked
from workflows.job.index import finishing
from workflows.job.older import settle_older
from workflows.job.report import JobReport
from workflows.job.running_job import RunningJob
from workflows.job.shards import Shards
from workflows.job.slot import Shard
from workflows.job.tending import Tending, isolated, lineages, through

with workflow.unsafe.imports_passed_through():
    from activities.search import IndexActivities
    from reindexer.models import JobInput, Lineages

#: A change lies behind the scan when it is later than its end by this: clocks differ by less (design: 2 s).
_BEHIND_SCAN_MS = 2000
#: Milliseconds for which one lag is shown as none: a change is a second or two under way.
_CAUGHT_UP_MS = 10_000


class FollowingPhases:
    """In place of a job's phases: everything runs side by side, and nothing ends it but a cancel."""

    def __init__(self, job: RunningJob, shards: Shards, asked: JobInput) -> None:
        self._job, self._shards, self._asked = job, shards, asked

    def begin(self) -> None:
        """The plan's shards: those that follow first, from the first minute."""
        job = self._job
        self._shards.all += [
            Shard(index, "running", source) for index, source in enumerate(job.known_plan.sources)
        ]
        job.phase = "running"

    async def run(self) -> None:
        """Until everything hands back."""
        beside = [
            asyncio.ensure_future(task) for task in (self._drain(), Tending(self._job, self._shards).run())
        ]
        await self._shards.run(list(self._shards.all))
        # All have ended though none was asked to: the stream is gone, and says so where it is read.
        await workflow.wait_condition(lambda: self._job.leaving)
        # They end by themselves when leaving: what has begun is done, since a cancelled move may have happened.
        await asyncio.gather(*beside)

    async def _drain(self) -> None:
        """Once the scan is done and all that changed meanwhile has followed, readers get the index."""
        job = self._job
        if job.followed.drained_at is not None:
            return
        scanning = [shard for shard in self._shards.all if not isinstance(shard.source, Lineages)]
        await workflow.wait_condition(lambda: job.leaving or all(shard.done for shard in scanning))
        if job.leaving:
            return
        if job.followed.scanned_at is None:
            job.followed.scanned_at = workflow.now()
            job.noticed()
            await note_progress(job, JobReport(job, self._shards))
        if job.followed.older and job.followed.settled_at is None:
            if not await settle_older(job, self._shards):
                return
            job.followed.settled_at = workflow.now()
        # What was settled after the scan was read later: changes until then have to follow as well.
        read_at = job.followed.settled_at or job.followed.scanned_at
        end = int(read_at.timestamp() * 1000) + _BEHIND_SCAN_MS
        await workflow.wait_condition(
            lambda: job.leaving or (through(self._shards) > end and not isolated(self._shards))
        )
        if job.leaving:
            return
        job.index = await retry_while_parked(
            job, IndexActivities.finish_index, lambda: finishing(job, self._shards, self._asked.scope)
        )
        job.followed.drained_at = workflow.now()
        job.note("drained", job.index.why or None if job.index else None)
        job.noticed()
        await note_progress(job, JobReport(job, self._shards))


def state_of(job: RunningJob, shards: Shards) -> str:
    """What a follow is doing, unless it is paused or waits."""
    if job.followed.scanned_at is None:
        return "backfilling"
    lag = max((found.lag_ms for found in lineages(shards)), default=0)
    return "following" if job.followed.drained_at and lag < _CAUGHT_UP_MS else "catching_up"
