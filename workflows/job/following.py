"""Following a table's stream: shards that read changes, beside those that scan, for as long as it is wanted."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError

from workflows.job.closing import note_progress, retry_while_parked
from workflows.job.index import finishing, index_input
from workflows.job.report import JobReport
from workflows.job.running_job import RunningJob
from workflows.job.shards import Shards
from workflows.job.slot import Shard
from workflows.options import CONTROL

with workflow.unsafe.imports_passed_through():
    from activities.search import IndexActivities
    from reindexer.models import Followed, JobInput, Lineages

#: A change lies behind the scan when it is later than its end by this: clocks differ by less (design: 2 s).
_BEHIND_SCAN_MS = 2000
#: Seconds between two looks for tombstones: six events each time, some 600 a day.
_PURGE_SECONDS = 900.0
#: Removed by one look, of 10,000 at most: others are likely to be left, and are looked for at once.
_MANY = 5000
#: Seconds between two looks then: what else the index does has room in between.
_PURGE_AGAIN_SECONDS = 1.0
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
        beside = [asyncio.ensure_future(task) for task in (self._drain(), self._purge())]
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
        end = int(job.followed.scanned_at.timestamp() * 1000) + _BEHIND_SCAN_MS
        await workflow.wait_condition(
            lambda: job.leaving or (through(self._shards) > end and not self._isolated)
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

    @property
    def _isolated(self) -> bool:
        """Whether any record is still being tried: what it is to be is not there yet."""
        return any(shard.counts.isolated for shard in self._shards.all)

    async def _purge(self) -> None:
        """Now and then, once drained: tombstones that nothing older can follow any more. For ever."""
        job, removed = self._job, 0
        await workflow.wait_condition(lambda: job.leaving or job.followed.drained_at is not None)
        while not job.leaving:
            with contextlib.suppress(TimeoutError):
                await workflow.wait_condition(
                    lambda: job.leaving,
                    timeout=timedelta(seconds=_PURGE_SECONDS if removed < _MANY else _PURGE_AGAIN_SECONDS),
                    timeout_summary="until tombstones are looked for",
                )
            removed = 0
            # An isolated record may be older than a tombstone.
            if job.leaving or not job.gate.open or self._isolated:
                continue
            try:
                request = index_input(job)
                removed = await workflow.execute_activity_method(
                    IndexActivities.purge_tombstones, request, **CONTROL
                )
            except ActivityError as error:  # the next time does it
                workflow.logger.warning("tombstones were not removed: %s", error.cause or error)


def lineages(shards: Shards) -> list[Followed]:
    """Of each shard that follows, what is known of it."""
    return [shard.counts.followed or Followed() for shard in shards.all if isinstance(shard.source, Lineages)]


def through(shards: Shards) -> int:
    """Milliseconds since 1970 up to which every change is settled; 0: not known."""
    return min((found.through_ms for found in lineages(shards)), default=0)


def state_of(job: RunningJob, shards: Shards) -> str:
    """What a follow is doing, unless it is paused or waits."""
    if job.followed.scanned_at is None:
        return "backfilling"
    lag = max((found.lag_ms for found in lineages(shards)), default=0)
    return "following" if job.followed.drained_at and lag < _CAUGHT_UP_MS else "catching_up"
