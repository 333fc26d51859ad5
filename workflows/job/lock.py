"""The lock of a job: taken before its first write, given back however it ends."""

from __future__ import annotations

import asyncio

from temporalio import workflow
from temporalio.exceptions import ActivityError

from workflows.controls import handed_back
from workflows.job.planning import plainly
from workflows.job.running_job import RunningJob
from workflows.options import CLOSING, LOCK

with workflow.unsafe.imports_passed_through():
    from activities.lock import LockActivities
    from reindexer.models import ORDERER, REPAIRER, LockInput, Quarantined


def lock_of(job: RunningJob, *, take: bool = False) -> LockInput | None:
    """The same over all runs of the chain; None where the job takes none. `take`: by force."""
    plan = job.known_plan
    if plan.target.writer == "none":
        return None
    target = plan.target
    written = target.other if plan.verb.writes_other and target.other else target
    place, attributes = written.table_arn, (target.attributes.version, target.attributes.run)
    if plan.verb.ordered:  # one job at a time gives its records an order
        # A redrive or a refresh writes beside it, at orders that the records have had: only another of them is
        # in its way.
        again = plan.verb.rewrites or (job.input and isinstance(job.input.scope, Quarantined))
        role = REPAIRER if again else ORDERER
        place, attributes = target.destination, (role, role)
    return LockInput(
        table_arn=place,
        version_attribute=attributes[0],
        run_attribute=attributes[1],
        workflow_id=job.job_id,
        run_id=job.first_run_id,
        namespace=workflow.info().namespace,
        run=plan.run,
        take=take,
        wait_seconds=plan.heartbeat_timeout,
    )


async def take_lock(job: RunningJob, lock: LockInput) -> None:
    """Raises `ApplicationError`, naming the holder; `CancelledError` where the job is cancelled meanwhile."""
    handle = workflow.start_activity_method(LockActivities.take_lock, lock, **LOCK)
    try:
        await handed_back(handle, lambda: job.gate.stopping)
    except ActivityError as error:
        await give_back(lock)  # perhaps it was taken, and only the answer was lost
        if job.gate.stopping:
            raise asyncio.CancelledError from None
        raise plainly(error) from error


async def give_back(lock: LockInput) -> None:
    """One that cannot be given back is taken over by the next job, since this one is closed."""
    try:
        await workflow.execute_activity_method(LockActivities.release_lock, lock, **CLOSING)
    except ActivityError as error:
        workflow.logger.warning("the lock was not given back: %s", error.cause or error)
