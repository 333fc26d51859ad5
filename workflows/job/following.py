"""Following a table's stream: shards that read changes, beside those that scan, for as long as it is wanted."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from temporalio import workflow

from workflows.job.closing import finish, note_progress, retry_while_parked
from workflows.job.comparison import compared, named_again
from workflows.job.index import index_input
from workflows.job.moving_later import move_later
from workflows.job.older_epochs import settle_older
from workflows.job.phases import whole_table
from workflows.job.report import JobReport
from workflows.job.running_job import RunningJob
from workflows.job.shard import Shard
from workflows.job.shards import Shards
from workflows.job.upkeep import Upkeep, lineages, through

with workflow.unsafe.imports_passed_through():
    from activities.compare import DifferenceActivities
    from activities.search import IndexActivities
    from reindexer.models import Compared, JobInput, KeptKeys, Lineages, Source
    from reindexer.models.comparison import NameInput

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
        upkeep = Upkeep(self._job, self._shards).run()
        beside = [asyncio.ensure_future(task) for task in (self._drain(), self._end(), upkeep)]
        await self._shards.run(list(self._shards.all))
        # All have ended though none was asked to: the stream is gone, and says so where it is read.
        await workflow.wait_condition(lambda: self._job.leaving)
        # They end by themselves when leaving: what has begun is done, since a cancelled move may have happened.
        await asyncio.gather(*beside)
        if self._job.ending and not self._job.gate.stopping:
            for shard in self._shards.all:
                shard.done = shard.done or isinstance(shard.source, Lineages)

    async def _drain(self) -> None:
        """Once the scan is done and all that changed meanwhile has followed, readers get the index."""
        job = self._job
        if job.followed.drained_at is not None:
            await move_later(job, self._shards, self._asked.scope)
            return
        scanning = [shard for shard in self._shards.all if not isinstance(shard.source, Lineages)]
        await workflow.wait_condition(lambda: job.leaving or all(shard.done for shard in scanning))
        if job.leaving:
            return
        if job.followed.scanned_at is None:
            job.followed.scanned_at = workflow.now()
            job.noticed()
            await note_progress(job, JobReport(job, self._shards))
        if (job.followed.older or job.known_plan.refilled) and job.followed.settled_at is None:
            if not await settle_older(job, self._shards):
                return
            job.followed.settled_at = workflow.now()
        # What was settled after the scan was read later: changes until then have to follow as well.
        read_at = job.followed.settled_at or job.followed.scanned_at
        if not await self._carried(read_at):
            return
        if not await self._compared(job.known_plan.checks):
            return
        await finish(job, self._shards, self._asked.scope)
        job.followed.drained_at = workflow.now()
        job.note("drained", job.index.why or None if job.index else None)
        job.noticed()
        await note_progress(job, JobReport(job, self._shards))
        await move_later(job, self._shards, self._asked.scope)

    async def _carried(self, until: datetime) -> bool:
        """Wait until all that had changed until then is settled; False: leaving before that."""
        job, end = self._job, int(until.timestamp() * 1000) + _BEHIND_SCAN_MS
        free = set[int]()  # shards that had no record left since: what they are trying again came later

        def carried() -> bool:
            if through(self._shards) <= end:
                return False
            free.update(
                shard.index
                for shard in self._shards.all
                if not shard.counts.isolated or shard.counts.oldest_ms > end
            )
            return all(shard.index in free for shard in self._shards.all)  # some may be folded meanwhile

        await workflow.wait_condition(lambda: job.leaving or carried())
        return not job.leaving

    async def _compared(self, checks: Sequence[Source]) -> bool:
        """Compare the destination with its table, beside all that follows; False: leaving before that."""
        job = self._job
        if not checks or job.compared is not None:
            return True
        first = job.followed.compared_from
        mine = [shard for shard in self._shards.all if shard.phase == "comparing" and shard.index >= first]
        if mine:  # begun by a run of the root before: they run with all others
            await workflow.wait_condition(lambda: job.leaving or all(shard.done for shard in mine))
        else:
            documents = await self._documents() if job.known_plan.verb.makes_index else []
            if job.leaving:
                return False
            mine = self._shards.add([*checks, *documents], "comparing")
            await self._shards.run(mine)
        if job.leaving:
            return False
        first_look = [shard for shard in mine if not isinstance(shard.source, KeptKeys)]
        found = await compared(job, first_look)
        if job.known_plan.verb.makes_index and (again := named_again(job, found)):
            looked = await self._looked_again(
                again, found, [shard for shard in mine if shard not in first_look]
            )
            if looked is None:
                return False
            found = looked
        job.compared = found
        return not job.leaving

    async def _looked_again(self, asked: NameInput, found: Compared, again: list[Shard]) -> Compared | None:
        """Of what differs once the follow has passed the moment at which it did; None: leaving before that.

        A document that lags by more than a round waits for is no difference. `again`: shards that have looked.
        """
        job = self._job
        if not again and not await self._carried(workflow.now()):
            return None
        named = await retry_while_parked(job, DifferenceActivities.name_differences, lambda: asked)
        if named is None or job.leaving:
            return None
        if not again:
            again = self._shards.add(named.lists, "comparing")
            await self._shards.run(again)
            if job.leaving:
                return None
        left = await compared(job, again)
        update: dict[str, Any] = {"counts": found.counts.with_second_look(left.counts, named.unnamed)}
        if named.unnamed.other_scanned:  # they are listed with what was found first
            update["chunks"] = [*found.chunks, *left.chunks[len(found.chunks) :]]
        return left.model_copy(update=update)

    async def _documents(self) -> Sequence[Source]:
        """The documents of the index in parts: one is compared in both directions."""
        request = index_input(self._job)
        found = await retry_while_parked(self._job, IndexActivities.document_ranges, lambda: request)
        return found.ranges if found else []

    async def _end(self) -> None:
        """Asked to stop once drained: all that had changed until then is carried, and a replica is compared."""
        job, followed = self._job, self._job.followed
        await workflow.wait_condition(lambda: job.leaving or bool(followed.stop_at and followed.drained_at))
        if job.leaving or followed.stop_at is None:
            return
        if not await self._carried(followed.stop_at):
            return
        if job.known_plan.verb.copies and self._asked.verify:
            followed.compared_from, job.compared = followed.compared_from or len(self._shards.all), None
            if not await self._compared(whole_table(job.known_plan, self._shards.tally.scanned)):
                return
        last = datetime.fromtimestamp(through(self._shards) / 1000, UTC)
        job.note("stopped once drained", f"every change up to {last:%Y-%m-%d %H:%M:%S} UTC is carried")
        job.end()


def state_of(job: RunningJob, shards: Shards) -> str:
    """What a follow is doing, unless it is paused or waits."""
    if job.followed.scanned_at is None:
        return "backfilling"
    lag = max((found.lag_ms for found in lineages(shards)), default=0)
    return "following" if job.followed.drained_at and lag < _CAUGHT_UP_MS else "catching_up"
