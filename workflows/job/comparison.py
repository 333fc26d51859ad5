"""What a comparison came to: its counts, and some of its differences."""

from __future__ import annotations

from collections.abc import Sequence

from temporalio import workflow

from workflows.job.closing import retry_while_parked
from workflows.job.counts import compared_so_far
from workflows.job.running_job import RunningJob
from workflows.job.slot import Shard

with workflow.unsafe.imports_passed_through():
    from activities.compare import DifferenceActivities
    from reindexer.models import Compared, Keep, SampleInput


async def compared(job: RunningJob, shards: Sequence[Shard]) -> Compared:
    """Of shards that have ended; with a sample, unless the job is cancelled meanwhile."""
    found = compared_so_far(shards)
    if not any(found.chunks):
        return found
    request = SampleInput(keep=Keep(job=job.job_id, run=job.known_plan.run), chunks=found.chunks)
    sample = await retry_while_parked(job, DifferenceActivities.sample_differences, lambda: request)
    return found if sample is None else found.model_copy(update={"sample": sample.differences})
