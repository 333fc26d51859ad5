"""The plan of a job: made by any worker, or by the workers that the job has of its own."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

from workflows.controls import handed_back
from workflows.job.running_job import RunningJob
from workflows.options import CONTROL, FIRST_WAIT, LONGEST_WAIT_TO_PLAN, PLAN_ATTEMPTS, PLANNING

with workflow.unsafe.imports_passed_through():
    from activities.plan import PlanActivities, SearchAttributeActivities
    from reindexer.models import Elsewhere, FollowInput, JobInput, Plan, PlanInput


async def make_plan(job: RunningJob, asked: JobInput, before: Plan | None = None) -> Plan:
    """The plan, with the search attributes there are. Raises `ApplicationError` where the job is refused.

    `before`: the plan by which the job has filled what it fills again; the run stays.
    """
    request = PlanInput(
        job=asked,
        follows=isinstance(asked, FollowInput),
        resumes=isinstance(asked, FollowInput) and not asked.backfill and before is None,
        rescans=before.target.destination_name if before else "",
        destination=before.target.destination if before else "",
        workflow_id=job.job_id,
        started_at=workflow.now() if before else job.started_at,
        # 40 bits: two runs of a table never share a stamp.
        run=before.run if before else workflow.uuid4().hex[:10],
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
    """What planning answers, on a task queue; tried again while what is in the way may pass.

    Raises `ActivityError` where the job is refused, `ApplicationError` after the last attempt,
    `asyncio.CancelledError` when the job is cancelled.
    """
    for attempt in itertools.count(1):
        try:
            answer = await _attempt(job, request, queue)
        except ActivityError as error:
            # The guard is for histories of releases in which Temporal made the attempts.
            if job.gate.stopping or not _may_pass(error) or not workflow.patched("planning-says-why-it-waits"):
                raise
            if attempt == PLAN_ATTEMPTS:
                raise ApplicationError(
                    f"planning failed {attempt} times, at last because of {_why(error)}",
                    type="PlanFailed",
                    non_retryable=True,
                ) from error
            job.plan_waits(f"attempt {attempt} of {PLAN_ATTEMPTS} to plan failed: {_why(error)}")
            await _wait(job, min(LONGEST_WAIT_TO_PLAN, FIRST_WAIT * 2.0 ** (attempt - 1)))
        else:
            job.plan_waits("")
            return answer
    raise AssertionError("unreachable: the last attempt returns or raises")


def _may_pass(error: ActivityError) -> bool:
    """Whether another attempt may succeed without anybody changing the job: also where a worker was lost."""
    return not (isinstance(error.cause, ApplicationError) and error.cause.non_retryable)


def _why(error: ActivityError) -> str:
    """What was in the way, in one sentence."""
    cause = error.cause
    return cause.message if isinstance(cause, ApplicationError) else str(cause or error)


async def _wait(job: RunningJob, seconds: float) -> None:
    """Raises `asyncio.CancelledError` when the job is cancelled meanwhile."""
    with contextlib.suppress(TimeoutError):
        await workflow.wait_condition(
            lambda: job.gate.stopping,
            timeout=timedelta(seconds=seconds),
            timeout_summary="until it is planned again",
        )
    if job.gate.stopping:
        raise asyncio.CancelledError


async def _attempt(job: RunningJob, request: PlanInput, queue: str | None) -> Plan | Elsewhere:
    """One attempt to plan; given up when the job is cancelled."""
    handle = workflow.start_activity_method(
        PlanActivities.make_plan,
        request,
        task_queue=queue,
        summary=f"on task queue {queue}"[:200] if queue else None,  # Temporal's bound for a summary
        **PLANNING,
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


def plainly(error: ActivityError, what: str = "planning") -> ApplicationError:
    """The cause of a failed plan, or of `what`, as the workflow's own failure: its sentence comes first."""
    cause = error.cause
    if isinstance(cause, ApplicationError):
        return ApplicationError(cause.message, type=cause.type, non_retryable=True)
    return ApplicationError(f"{what} failed: {cause or error}", type="PlanFailed", non_retryable=True)
