"""The replica of a job: its epoch is taken before the first write, and the end of its scan is noted."""

from __future__ import annotations

from temporalio import workflow
from temporalio.exceptions import ActivityError

from workflows.job.planning import plainly
from workflows.job.running_job import RunningJob
from workflows.options import CONTROL

with workflow.unsafe.imports_passed_through():
    from activities.replica import ReplicaActivities
    from reindexer.items import GONE
    from reindexer.models import Plan, ReplicaInput


async def prepare_replica(job: RunningJob) -> None:
    """Raises `ApplicationError` where the epoch is refused: the start fails."""
    if not job.known_plan.begins:
        return
    try:
        await workflow.execute_activity_method(ReplicaActivities.prepare_replica, replica_input(job), **CONTROL)
    except ActivityError as error:
        raise plainly(error) from error
    # Once done they would only be carried from run to run.
    job.plan = job.known_plan.model_copy(update={"begins": False, "positions": []})


def replica_input(job: RunningJob, plan: Plan | None = None) -> ReplicaInput:
    """Which replica, and whose epoch. `plan` None: that in force."""
    plan = plan or job.known_plan
    operation, other = plan.target.operation, plan.target.other
    expires = operation.creates_replica and other is not None and other.ttl == GONE
    return ReplicaInput(
        destination=plan.target.destination,
        epoch=plan.target.version,
        run=plan.run,
        source=plan.target.table_arn,
        expires=other if expires else None,
        positions=plan.positions,
    )
