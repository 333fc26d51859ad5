"""The plan of a job: made by any worker, or by the workers that the job has of its own."""

from __future__ import annotations

import asyncio

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

from workflows.controls import handed_back
from workflows.job.running_job import RunningJob
from workflows.options import CONTROL

with workflow.unsafe.imports_passed_through():
    from activities.plan import PlanActivities, SearchAttributeActivities
    from reindexer.models import Elsewhere, JobInput, Plan, PlanInput


async def make_plan(job: RunningJob, asked: JobInput) -> Plan:
    """The plan, with the search attributes there are. Raises `ApplicationError` where the job is refused."""
    request = PlanInput(
        job=asked,
        workflow_id=job.job_id,
        started_at=job.started_at,
        run=workflow.uuid4().hex[:10],  # 40 bits: two runs of a table never share a stamp
    )
    try:
        plan = await _planned(job, request)
        if isinstance(plan, Elsewhere):
            plan = await _planned_on(job, plan.queue, request)
        known = await workflow.execute_activity_method(
            SearchAttributeActivities.registered_search_attributes, **CONTROL
        )
    except ActivityError as error:
        if job.gate.stopping:
            raise asyncio.CancelledError from None
        raise plainly(error) from error
    return plan.model_copy(update={"search_attributes": known})


async def _planned(job: RunningJob, request: PlanInput, queue: str | None = None) -> Plan | Elsewhere:
    """What planning answers, on a task queue; given up when the job is cancelled."""
    handle = workflow.start_activity_method(
        PlanActivities.make_plan,
        request,
        task_queue=queue,
        summary=f"on task queue {queue}"[:200] if queue else None,  # Temporal's bound for a summary
        **CONTROL,
    )
    return await handed_back(handle, lambda: job.gate.stopping)


async def _planned_on(job: RunningJob, queue: str, request: PlanInput) -> Plan:
    """The plan that the job's own workers make; waits until there are some, or the job is cancelled."""
    job.planned_on = queue
    job.noticed()
    plan = await _planned(job, request, queue)
    if isinstance(plan, Elsewhere):
        raise ApplicationError(
            f"operation.job: the workers on task queue {queue} have another file of this job, which says "
            f"{plan.queue}; give all workers the same one",
            type="BadInput",
            non_retryable=True,
        )
    return plan


def plainly(error: ActivityError) -> ApplicationError:
    """The cause of a failed plan as the workflow's own failure, so that its sentence comes first."""
    cause = error.cause
    if isinstance(cause, ApplicationError):
        return ApplicationError(cause.message, type=cause.type, non_retryable=True)
    return ApplicationError(f"planning failed: {cause or error}", type="PlanFailed", non_retryable=True)
