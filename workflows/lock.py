"""The lock of a job: taken before its first write, given back however it ends."""

from __future__ import annotations

from temporalio import workflow
from temporalio.exceptions import ActivityError

from workflows.options import CLOSING, LOCK
from workflows.planning import plainly

with workflow.unsafe.imports_passed_through():
    from reindexer.models import LockInput, Plan


async def take_lock(plan: Plan, *, take: bool) -> LockInput:
    """What is then held. `take`: also from a holder that cannot be asked. Raises `ApplicationError`."""
    info = workflow.info()
    lock = LockInput(
        table_arn=plan.target.table_arn,
        version_attribute=plan.target.attributes.version,
        workflow_id=info.workflow_id,
        run_id=info.run_id,
        namespace=info.namespace,
        run=plan.run,
        take=take,
        wait_seconds=plan.heartbeat_timeout,
    )
    try:
        await workflow.execute_activity("take_lock", lock, **LOCK)
    except ActivityError as error:
        raise plainly(error) from error
    return lock


async def give_back(lock: LockInput) -> None:
    """One that cannot be given back is taken over by the next job, since this one is closed."""
    try:
        await workflow.execute_activity("release_lock", lock, **CLOSING)
    except ActivityError as error:
        workflow.logger.warning("the lock was not given back: %s", error.cause or error)
