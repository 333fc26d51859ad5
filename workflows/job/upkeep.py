"""What a follow does now and then: it looks at the whole stream, and removes tombstones."""

from __future__ import annotations

import contextlib
import zlib
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError, TemporalError

from workflows.controls import handed_back
from workflows.faults import in_plain_words
from workflows.job.index import index_input
from workflows.job.older_epochs import settle_older
from workflows.job.running_job import RunningJob
from workflows.job.shard import Shard
from workflows.job.shards import Shards
from workflows.options import CONTROL, LOOK_AT_STREAM
from workflows.reindex_shard import ReindexShard

with workflow.unsafe.imports_passed_through():
    from activities.search import IndexActivities
    from activities.stream_look import StreamLookActivities
    from reindexer.models import Fault, Followed, Lineages
    from reindexer.models.streams import Adopt, Reading, StreamLook, StreamLookInput

#: Seconds between two looks at the whole stream: six events each time, some 1,700 a day.
_LONGEST = 300.0
#: As many of a job's first intervals of looking at its shards (8 s by default).
_LOOKS = 37.5
#: Looks between two removals of tombstones: a quarter of an hour, until which no tombstone may go anyway.
_LOOKS_PER_PURGE = 3
#: Removed by one look, of 10,000 at most: others are likely to be left, and are looked for at once.
_MANY = 5000
#: Seconds between two looks then: what else the index does has room in between.
_PURGE_AGAIN_SECONDS = 1.0


class Upkeep:
    """One timer for both."""

    def __init__(self, job: RunningJob, shards: Shards) -> None:
        self._job, self._shards = job, shards
        self._seconds = min(_LONGEST, _LOOKS * job.known_plan.look_seconds)

    async def run(self) -> None:
        """Until everything hands back."""
        job, looks = self._job, 0
        while not job.leaving:
            with contextlib.suppress(TimeoutError):
                await workflow.wait_condition(
                    lambda: job.leaving,
                    timeout=timedelta(seconds=self._seconds),
                    timeout_summary="until the whole stream is looked at",
                )
            if job.leaving or not job.gate.open:
                continue
            await self._look()
            looks += 1
            if looks % _LOOKS_PER_PURGE == 0:
                await self._purge()

    # ── The whole stream ───────────────────────────────────────────────────────────────────────────────────

    async def _look(self) -> None:
        """What no lineage reads is adopted; where changes are lost the job parks, and says which."""
        job = self._job
        request = self._request()
        if request is None:
            return
        handle = workflow.start_activity_method(
            StreamLookActivities.look, request, summary="look at the whole stream", **LOOK_AT_STREAM
        )
        try:
            found: StreamLook = await handed_back(handle, lambda: job.leaving)
        except ActivityError as error:  # the next time does it
            if not job.leaving:
                workflow.logger.warning("the stream was not looked at: %s", error.cause or error)
            return
        if job.leaving:
            return
        if found.lost and job.gate.open:
            job.park(in_plain_words(Fault(code=found.kind, message=found.lost)))
        for one in found.adopt:
            await self._adopt(one)

    def _request(self) -> StreamLookInput | None:
        """None: nothing is followed."""
        target = self._job.known_plan.target
        following = self._following
        if not following:
            return None
        source = following[0].source
        assert isinstance(source, Lineages)
        return StreamLookInput(
            table=target.table,
            table_arn=target.table_arn,
            stream_arn=source.stream_arn,
            destination=target.destination,
            epoch=target.version,
            through_ms=through(self._shards),
            # One more look at least: a listing lags by seconds, and what is wrong after minutes stays wrong.
            patience_seconds=self._seconds,
        )

    async def _adopt(self, one: Reading) -> None:
        """Always the same shard takes it: found twice, it is read once."""
        following = self._following
        shard = following[zlib.crc32(one.position.shard.encode()) % len(following)]
        if shard.handle is None or not shard.open:
            return  # the next look finds it again
        try:
            await shard.handle.signal(ReindexShard.adopt, Adopt(shards=[one]))
        except TemporalError as error:
            workflow.logger.info("shard %d did not adopt %s: %s", shard.index, one.position.shard, error)

    @property
    def _following(self) -> list[Shard]:
        return [shard for shard in self._shards.all if isinstance(shard.source, Lineages)]

    # ── Tombstones ─────────────────────────────────────────────────────────────────────────────────────────

    async def _purge(self) -> None:
        """Once drained: tombstones that nothing older can follow any more."""
        job = self._job
        if not job.known_plan.verb.writes_index:
            return  # DynamoDB removes those of a replica, by their time to live
        # An isolated record may be older than a tombstone.
        if job.followed.drained_at is None or not job.gate.open or isolated(self._shards):
            return
        if job.followed.older and await settle_older(job, self._shards):
            # A quarter of an hour after the shards of the epoch before: none of their writes can land any more.
            job.followed.older = False
        if job.leaving:
            return
        removed = _MANY
        while removed >= _MANY and job.gate.open and not job.leaving:
            try:
                with job.working():
                    removed = await workflow.execute_activity_method(
                        IndexActivities.purge_tombstones, index_input(job), **CONTROL
                    )
            except ActivityError as error:  # the next time does it
                workflow.logger.warning("tombstones were not removed: %s", error.cause or error)
                return
            if removed >= _MANY:
                await job.gate.sleep(_PURGE_AGAIN_SECONDS, "until tombstones are looked for again")


def isolated(shards: Shards) -> bool:
    """Whether any record is still being tried: what it is to be is not there yet."""
    return any(shard.counts.isolated for shard in shards.all)


def lineages(shards: Shards) -> list[Followed]:
    """Of each shard that follows, what is known of it."""
    return [shard.counts.followed or Followed() for shard in shards.all if isinstance(shard.source, Lineages)]


def through(shards: Shards) -> int:
    """Milliseconds since 1970 up to which every change is settled; 0: not known."""
    return min((found.through_ms for found in lineages(shards)), default=0)
