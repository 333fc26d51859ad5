"""The end of a job, in the ledger: redriven failures closed, the report kept. If it refuses, the job parks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

from workflows.by_partition import report_input
from workflows.faults import in_plain_words
from workflows.options import CLOSING, CONTROL
from workflows.running_job import RunningJob
from workflows.shards import Shards

with workflow.unsafe.imports_passed_through():
    from reindexer.models import CloseInput, Fault, KeyList, Plan, Quarantined, Report, ReportInput, Scope


async def close_redriven(job: RunningJob, shards: Shards, plan: Plan, scope: Scope) -> None:
    """Take what a redrive settled off the open failures of the run that gave it up.

    A shard that did not get to its end, on cancel, closes nothing: redriven again, its records are found done.
    """
    if not isinstance(scope, Quarantined):
        return
    for shard in shards.all[: len(plan.sources)]:  # shards beyond these swept what others had written
        if not shard.done or not isinstance(shard.source, KeyList):
            continue
        request = CloseInput(
            job=scope.job,
            run=scope.run,
            keys=shard.source.keys,
            by_job=workflow.info().workflow_id,
            by_run=plan.run,
        )
        await insist(job, "close_redriven", lambda request=request: request)  # type: ignore[misc]


async def keep_report(job: RunningJob, plan: Plan, report: Callable[[], Report]) -> Report:
    """Write the report to the ledger, as it stands at each try; returns the one that was kept."""
    last = report()

    def request() -> ReportInput:
        nonlocal last
        last = report()
        return report_input(last, plan.target.attributes.version)

    await insist(job, "write_report", request)
    return last


async def insist(job: RunningJob, activity: str, request: Callable[[], Any], **more: Any) -> Any:
    """One call of the ledger, tried until it succeeds, parked in between; returns its result.

    None: the job is being cancelled, and is let go without.
    """
    while await job.gate.wait_open() or job.gate.stopping:
        stopping = job.gate.stopping
        options = CLOSING if stopping else CONTROL
        try:
            return await workflow.execute_activity(activity, request(), **more, **options)
        except ActivityError as error:
            if stopping:
                job.warnings.append(f"{activity} failed, and the job was cancelled: {error.cause or error}")
                return None
            if not job.gate.stopping:
                job.park(_why(error))
    return None


def _why(error: ActivityError) -> str:
    cause = error.cause
    if isinstance(cause, ApplicationError):
        return in_plain_words(Fault(code=cause.type or "Unknown", message=cause.message))
    return f"the ledger cannot be written: {cause or error}; mend that, then resume"
