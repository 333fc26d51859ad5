"""What a comparison came to: its counts, and some of its differences."""

from __future__ import annotations

from collections.abc import Sequence

from temporalio import workflow

from workflows.job.closing import retry_while_parked
from workflows.job.counts import compared_so_far
from workflows.job.running_job import RunningJob
from workflows.job.shard import Shard

with workflow.unsafe.imports_passed_through():
    from activities.compare import DifferenceActivities
    from reindexer.models import Compared, Keep, SampleInput
    from reindexer.models.comparison import NameInput


#: Keys that are looked at again once the follow has passed the moment at which they were found to differ; with
#: more it is not a lag that makes the difference.
MAX_AGAIN = 10_000


def named_again(job: RunningJob, found: Compared) -> NameInput | None:
    """What is asked for the keys that differ; None: there are none, or too many."""
    differ = sum(found.counts.differences.values())
    if not 0 < differ <= MAX_AGAIN:
        return None
    plan = job.known_plan
    return NameInput(
        keep=Keep(job=job.job_id, run=plan.run),
        chunks=found.chunks,
        most=MAX_AGAIN,
        key=[attribute.name for attribute in plan.target.key],
    )


async def compared(job: RunningJob, shards: Sequence[Shard]) -> Compared:
    """Of shards that have ended; with a sample, unless the job is cancelled meanwhile."""
    found = compared_so_far(shards)
    if not any(found.chunks):
        return found
    request = SampleInput(keep=Keep(job=job.job_id, run=job.known_plan.run), chunks=found.chunks)
    sample = await retry_while_parked(job, DifferenceActivities.sample_differences, lambda: request)
    return found if sample is None else found.model_copy(update={"sample": sample.differences})
