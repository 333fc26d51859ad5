"""What a rescan leaves of the epochs before it, documents that its scan has not written, is settled here."""

from __future__ import annotations

from temporalio import workflow

from workflows.job.closing import retry_while_parked
from workflows.job.running_job import RunningJob
from workflows.job.shards import Shards

with workflow.unsafe.imports_passed_through():
    from activities.older_epochs import OlderActivities
    from reindexer.models import OlderInput, OlderSegment, Plan


async def settle_older(job: RunningJob, shards: Shards) -> bool:
    """Until no document of an older epoch is left but for records given up; False: leaving before that.

    Each record is read consistently: where it is there its document is written at the scan's order, else a
    tombstone is. They are shards of their own, and rows of their own in the tally.
    """
    if job.known_plan.verb.copies:
        return await _settle_rows(job, shards)
    shards.fold_kept()  # of a run of the root that ended meanwhile
    while not job.leaving:
        found = await retry_while_parked(job, OlderActivities.collect_older, lambda: _request(job))
        if found is None or job.leaving:
            return False
        if not found.lists:
            return True
        await shards.run(shards.add(found.lists))
        if not job.leaving:
            shards.fold_kept()
    return False


async def _settle_rows(job: RunningJob, shards: Shards) -> bool:
    """The same of a replica, which is read in segments."""
    older = [shard for shard in shards.all if isinstance(shard.source, OlderSegment)]
    if older:  # begun by a run of the root before: they run with all others
        await workflow.wait_condition(lambda: job.leaving or all(shard.done for shard in older))
    else:
        older = shards.add(older_segments(job.known_plan))
        await shards.run(older)
    return all(shard.done for shard in older)


def older_segments(plan: Plan) -> list[OlderSegment]:
    """What is read of a replica that held records before."""
    return [OlderSegment(segment=number, total=plan.refilled) for number in range(plan.refilled)]


def _request(job: RunningJob) -> OlderInput:
    plan = job.known_plan
    assert plan.target.search is not None, "which index?"
    return OlderInput(
        index=plan.target.search, key=plan.target.key, epoch=plan.target.version, job=job.job_id, run=plan.run
    )
