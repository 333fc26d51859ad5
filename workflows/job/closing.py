"""What a job keeps in the ledger: its report, at its end and on the way. Where the ledger refuses, it parks."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

from workflows.faults import in_plain_words
from workflows.job.arrival import arrived
from workflows.job.index import finishing, sampled, scanning
from workflows.job.partition_totals import known, of_shards
from workflows.job.replica import replica_input
from workflows.job.report import JobReport
from workflows.job.running_job import RunningJob
from workflows.job.shards import Shards
from workflows.options import CLOSING, CONTROL

with workflow.unsafe.imports_passed_through():
    from activities.kept import KeptActivities
    from activities.quarantine import QuarantineActivities
    from activities.replica import ReplicaActivities
    from activities.report import ReportActivities
    from activities.search import IndexActivities
    from reindexer.models import (
        ClearKeptInput,
        CloseInput,
        Fault,
        GivenUpInput,
        KeyList,
        PartitionsInput,
        PartitionTotals,
        Quarantined,
        Report,
        ReportInput,
        Scope,
    )
    from reindexer.tally import Outcome

S = TypeVar("S")  # an activities class
Asked = TypeVar("Asked")  # what one of its activities is asked
R = TypeVar("R")  # what it answers


async def close(job: RunningJob, shards: Shards, job_report: JobReport, scope: Scope) -> Report:
    """Settle with the ledger, and give it the report."""
    await _close_redriven(job, shards, scope)
    plan = job.known_plan
    if plan.verb.followed and plan.target.writer != "none" and not (job.gate.stopping or job.index):
        sample = await sampled(job, shards) if plan.verb.makes_index else None
        await finish(job, shards, scope)
        if job.index and sample:
            job.index = job.index.model_copy(update={"sample": sample})
    partitions = PartitionsInput()
    if job.known_plan.counts_by_partition:
        partitions = of_shards(shards.changing)
        found = await retry_while_parked(job, KeptActivities.partition_totals, lambda: partitions)
        job_report.totals = known(found or PartitionTotals(), shards.changing)
    job.arrival = await arrived(job)
    if job.ending and shards.tally[Outcome.QUARANTINED]:
        mine = GivenUpInput(job=job.job_id, run=plan.run)
        job_report.left = await retry_while_parked(job, QuarantineActivities.count_left, lambda: mine)
    last = job_report.report()

    def request() -> ReportInput:
        nonlocal last
        last = job_report.report()
        return _input(job, last, partitions)

    await retry_while_parked(job, ReportActivities.write_report, request)
    await _clear(job)
    return last


async def finish(job: RunningJob, shards: Shards, scope: Scope) -> None:
    """All records are at the job's destination: its readers may have it."""
    if job.known_plan.verb.writes_index:
        job.index = await retry_while_parked(
            job, IndexActivities.finish_index, lambda: finishing(job, shards, scope)
        )
    elif not isinstance(scope, Quarantined) and all(shard.done for shard in scanning(shards)):
        await retry_while_parked(job, ReplicaActivities.note_scanned, lambda: replica_input(job))


async def note_start(job: RunningJob, job_report: JobReport) -> None:
    """Remember the target version and that the job runs, before the first write. Raises `ActivityError`."""
    opening = _input(job, job_report.unfinished(), PartitionsInput())
    job.used = await workflow.execute_activity_method(ReportActivities.record_version, opening, **CONTROL)
    await workflow.execute_activity_method(ReportActivities.write_report, opening, **CONTROL)


async def note_progress(job: RunningJob, job_report: JobReport) -> None:
    """What `report` shows should the job never come to its end. Not worth parking for."""
    request = _input(job, job_report.unfinished(), PartitionsInput())
    try:
        await workflow.execute_activity_method(ReportActivities.write_report, request, **CLOSING)
    except ActivityError as error:
        workflow.logger.warning("the ledger did not take how far the job is: %s", error.cause or error)


def _input(job: RunningJob, report: Report, partitions: PartitionsInput) -> ReportInput:
    """The report for the ledger, which has all partitions: in a payload there might be no room for them."""
    alone = report.model_copy(update={"partitions": {}})
    version = job.known_plan.target.attributes.version
    purpose = job.known_plan.purpose
    return ReportInput(report=alone, version_attribute=version, partitions=partitions, purpose=purpose)


async def _close_redriven(job: RunningJob, shards: Shards, scope: Scope) -> None:
    """Take what a redrive settled off the open failures of the run that gave it up.

    A shard that did not get to its end, on cancel, closes nothing: redriven again, its records are found done.
    """
    if not isinstance(scope, Quarantined):
        return
    for shard in shards.all:
        if shard.phase != "running" or not shard.done or not isinstance(shard.source, KeyList):
            continue
        request = CloseInput(
            job=scope.job,
            run=scope.run,
            keys=shard.source.keys,
            orders=shard.source.orders,
            by_job=job.job_id,
            by_run=job.known_plan.run,
        )
        await retry_while_parked(job, QuarantineActivities.close_redriven, lambda request=request: request)  # type: ignore[misc]


async def _clear(job: RunningJob) -> None:
    """What the ledger kept for this run alone is of no use any more."""
    request = ClearKeptInput(job=job.job_id, run=job.known_plan.run)
    try:
        await workflow.execute_activity_method(KeptActivities.clear_kept, request, **CLOSING)
    except ActivityError as error:
        workflow.logger.warning("what the ledger kept was not cleared: %s", error.cause or error)


async def retry_while_parked(
    job: RunningJob, activity: Callable[[S, Asked], R], request: Callable[[], Asked]
) -> R | None:
    """One call of the ledger, tried until it succeeds, parked in between; returns its result.

    None: the job is being cancelled, and is let go without.
    """
    while await job.gate.wait_open() or job.gate.stopping:
        stopping = job.gate.stopping
        options = CLOSING if stopping else CONTROL
        try:
            return await workflow.execute_activity_method(activity, request(), **options)
        except ActivityError as error:
            if stopping:
                job.warn(f"{activity.__name__} failed, and the job was cancelled: {error.cause or error}")
                return None
            if not job.gate.stopping:
                job.park(_why(error))
    return None


def _why(error: ActivityError) -> str:
    cause = error.cause
    if isinstance(cause, ApplicationError):
        return in_plain_words(Fault(code=cause.type or "Unknown", message=cause.message))
    return f"the ledger cannot be written: {cause or error}; repair that, then resume"
