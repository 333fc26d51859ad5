"""Whether what a job has written has arrived where its table is followed: asked for once it has ended."""

from __future__ import annotations

from temporalio import workflow
from temporalio.exceptions import ActivityError

from workflows.controls import handed_back
from workflows.job.planning import plainly
from workflows.job.running_job import RunningJob
from workflows.options import ARRIVAL, CONTROL

with workflow.unsafe.imports_passed_through():
    from datetime import timedelta

    from activities.arrival import ArrivalActivities
    from reindexer.models import Arrival, ArrivalInput

#: A change lies behind the job when it is later than its end by this: clocks differ by less (design: 2 s).
_BEHIND = timedelta(seconds=2)


async def require_follow(job: RunningJob) -> None:
    """Raises `ApplicationError` where nothing could be confirmed: before anything is written."""
    if not _wanted(job):
        return
    try:
        await workflow.execute_activity_method(ArrivalActivities.require_follow, _input(job), **CONTROL)
    except ActivityError as error:
        raise plainly(error) from error


async def arrived(job: RunningJob) -> Arrival | None:
    """What is found within the time there is for it; None: it is not asked for, or the job is cancelled."""
    if not _wanted(job) or job.gate.stopping:
        return None
    request = _input(job)
    handle = workflow.start_activity_method(
        ArrivalActivities.await_arrival,
        request,
        summary=f"waits up to {request.seconds:g} s until what was written has arrived",
        **ARRIVAL,
    )
    job.confirming = True
    job.noticed()
    try:
        return await handed_back(handle, lambda: job.gate.stopping)
    except ActivityError as error:
        if job.gate.stopping:
            return None
        why = f"no one could be asked: {error.cause or error}"
        return Arrival.of(request, [], why)
    finally:
        job.confirming = False


def _wanted(job: RunningJob) -> bool:
    return job.input is not None and job.input.confirm


def _input(job: RunningJob) -> ArrivalInput:
    target = job.known_plan.target
    return ArrivalInput(
        job=job.job_id,
        run=job.known_plan.run,
        table=target.table,
        table_arn=target.table_arn,
        version=target.version,
        started_at=job.started_at,
        until=workflow.now() + _BEHIND,
    )
