"""The readers' alias of a follow that could not move when it was drained: looked at again until it has."""

from __future__ import annotations

import contextlib
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError

from workflows.job.index import finishing
from workflows.job.running_job import RunningJob
from workflows.job.shards import Shards
from workflows.options import CONTROL

with workflow.unsafe.imports_passed_through():
    from activities.search import IndexActivities
    from reindexer.models import Scope

#: Seconds between two looks at most: six events each, some 1,700 a day.
_LONGEST = 300.0
#: Until then a 60th of the job's age, as its looks at the shards: who tries it out does not wait for minutes.
_PART_OF_AGE = 1 / 60


async def move_later(job: RunningJob, shards: Shards, scope: Scope) -> None:
    """Look whether what kept it has passed: records were redriven, somebody has pointed the alias back.

    Returns once the alias has moved, or was never to, and when leaving.
    """
    readers = job.known_plan.target.operation.readers
    if job.index is None or job.index.moved or readers is None:
        return
    if readers.move_alias == "never" or not workflow.patched("alias-moves-later"):
        return
    while not job.leaving and not job.index.moved:
        with contextlib.suppress(TimeoutError):
            await workflow.wait_condition(
                lambda: job.leaving,
                timeout=timedelta(seconds=_seconds(job)),
                timeout_summary="until it is seen whether the readers' alias may move",
            )
        tried = any(shard.counts.isolated for shard in shards.all)
        if job.leaving or not job.gate.open or tried:
            continue
        try:
            with job.working():
                job.index = await workflow.execute_activity_method(
                    IndexActivities.finish_index, finishing(job, shards, scope), **CONTROL
                )
        except ActivityError as error:  # the next look may do it
            workflow.logger.warning("the readers' alias was not moved: %s", error.cause or error)
            continue
        if job.index.moved:
            job.note("readers' alias moved", None)
        job.noticed()


def _seconds(job: RunningJob) -> float:
    age = (workflow.now() - job.started_at).total_seconds()
    return min(_LONGEST, max(job.known_plan.look_seconds, age * _PART_OF_AGE))
