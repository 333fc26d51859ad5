"""A dry run in place of the work: one activity, nothing written, or to a temporary index that is removed."""

from __future__ import annotations

from temporalio import workflow
from temporalio.exceptions import ActivityError

from workflows.controls import handed_back
from workflows.job.index import remove_dry_run
from workflows.job.planning import plainly
from workflows.job.running_job import RunningJob
from workflows.options import round_options

with workflow.unsafe.imports_passed_through():
    from activities.dry_run import DryRunActivities
    from reindexer.models import DryRun, DryRunInput, Plan, Sample, Scope

#: Records looked at unless the scope names a number: seconds of reading, and enough to see each kind of change.
_RECORDS = 1000


async def dry_run(job: RunningJob, plan: Plan, scope: Scope) -> DryRun:
    """What would become of a sample. Raises `ApplicationError`; `ActivityError` where it is cancelled."""
    request = DryRunInput(
        target=plan.target,
        source=plan.sources[0],  # all of them name the same table; of a long key list the first part
        limit=scope.limit if isinstance(scope, Sample) else _RECORDS,
        heartbeat_timeout=plan.heartbeat_timeout,
        creation=plan.creation,
        job=job.job_id if plan.creation else "",
    )
    handle = workflow.start_activity_method(
        DryRunActivities.dry_run,
        request,
        task_queue=plan.rounds_queue,
        summary=f"dry run over up to {request.limit:,} records",
        **round_options(request.seconds, plan.heartbeat_timeout),
    )
    try:
        with job.working():
            return await handed_back(handle, lambda: not job.gate.open)
    except ActivityError as error:
        if job.gate.stopping:
            raise
        raise plainly(error, "the dry run") from error
    finally:
        if plan.target.search is not None:
            await remove_dry_run(job, plan.target.search)
