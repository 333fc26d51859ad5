"""The search index of a job: created before the first document, checked and given to readers after the last."""

from __future__ import annotations

from temporalio import workflow
from temporalio.exceptions import ActivityError

from workflows.controls import handed_back
from workflows.job.planning import plainly
from workflows.job.running_job import RunningJob
from workflows.job.shard import Shard
from workflows.job.shards import Shards
from workflows.options import CLOSING, CONTROL, READ_AGAIN, round_options

with workflow.unsafe.imports_passed_through():
    from activities.search import IndexActivities, IndexSampleActivities
    from reindexer.models import (
        Compared,
        IndexInput,
        IndexSample,
        IndexSampleInput,
        KeyList,
        Lineages,
        Plan,
        Quarantined,
        Scope,
        SearchIndex,
        Share,
        dry_run_index,
    )
    from reindexer.models.search_index import Readers
    from reindexer.tally import Outcome


async def prepare_index(job: RunningJob) -> None:
    """Create what the job writes to. Raises `ApplicationError` where that is refused: the start fails."""
    if job.known_plan.creation is None:
        return
    request = index_input(job).model_copy(
        update={"creation": job.known_plan.creation, "positions": job.known_plan.positions}
    )
    try:
        await workflow.execute_activity_method(IndexActivities.prepare_index, request, **CONTROL)
    except ActivityError as error:
        raise plainly(error) from error
    # It is not needed again, and would be carried from run to run.
    job.plan = job.known_plan.model_copy(update={"creation": None, "positions": []})


async def remove_dry_run(job: RunningJob, index: SearchIndex) -> None:
    """Remove what a dry run wrote to, also where its worker was lost before it could."""
    request = index_input(job).model_copy(update={"index": dry_run_index(index, job.known_plan.run)})
    try:
        await workflow.execute_activity_method(IndexActivities.remove_index, request, **CLOSING)
    except ActivityError as error:
        job.warn(f"the temporary index {request.index.index} could not be removed: {error.cause or error}")


def finishing(job: RunningJob, shards: Shards, scope: Scope) -> IndexInput:
    """What is asked of an index that all documents have been written to."""
    readers, tally = job.known_plan.target.operation.readers, shards.tally
    assert readers is not None, "an index of another verb"
    scanned = scanning(shards)
    whole = all(shard.done for shard in scanned)
    again, follows = isinstance(scope, Quarantined), len(scanned) < len(shards.all)
    has_readers = job.index is not None and job.index.moved  # since before a rescan
    checked = job.verification
    wrong = tally[Outcome.QUARANTINED] or (checked and checked.behind)
    # What a follow has given up may be redriven beside it: the ledger knows what is left.
    complete = whole and (follows or not wrong)
    why_not = _why_not(job, readers, complete=complete)
    if readers.move_alias != "always":
        why_not = why_not or differing(job.compared)
    take = has_readers or readers.move_alias == "always"
    given_up_by = [scope.job, scope.run] if isinstance(scope, Quarantined) else []
    if follows and not take:
        given_up_by = [job.job_id, job.known_plan.run]
    return index_input(job).model_copy(
        update={
            "count": _verifies(job),
            # What follows a scan replaces and deletes documents: no count of records tells how many are left.
            "expected": None if again or follows else tally[Outcome.UPDATED],
            # Each record has been found to have its document: where there are more, some have no record.
            "exactly": checked.scanned if checked and not checked.behind else None,
            "move": not why_not or has_readers,
            "why_not": why_not,
            "scanned": whole and not again,
            "replace_index": readers.replace_index,
            "take": take,
            "given_up_by": given_up_by,
        }
    )


def differing(compared: Compared | None) -> str:
    """What the comparison of an index with its table has found, as why its readers do not get it; "": nothing.

    What did not hold still is no difference.
    """
    if compared is None:
        return ""
    found = compared.counts
    number = found.different + found.missing + found.extraneous
    if not number:
        return ""
    documents = "1 document is" if number == 1 else f"{number:,} documents are"
    return f"{documents} not what the table says (see `differences`); a rescan writes them again"


def scanning(shards: Shards) -> list[Shard]:
    """Those that do not follow."""
    return [shard for shard in shards.all if not isinstance(shard.source, Lineages)]


def _why_not(job: RunningJob, readers: Readers, *, complete: bool) -> str:
    """Why the readers' alias may not move; "" where it may."""
    if any(isinstance(source, KeyList) and source.orders for source in job.known_plan.sources):
        return "the follow moves it, once it is drained"  # this job takes up what a follow gave up
    if readers.move_alias == "never":
        return "it was to stay where it is"
    return "" if complete or readers.move_alias == "always" else "the job is not complete"


async def sampled(job: RunningJob, shards: Shards) -> IndexSample | None:
    """A random sample of the records, compared with their documents; None: there is none, with a warning."""
    plan = job.known_plan
    if not _verifies(job) or job.verification or not await job.gate.wait_open():
        return None
    read = job.limits.read_units_per_second
    request = IndexSampleInput(
        target=plan.target.running(job.code),
        rows=max(shards.tally.scanned, plan.facts.items),
        share=Share(read_units=read if isinstance(read, int | float) else None),
        heartbeat_timeout=plan.heartbeat_timeout,
    )
    handle = workflow.start_activity_method(
        IndexSampleActivities.sample_index,
        request,
        task_queue=plan.rounds_queue,
        summary=f"compares some {request.records} records with their documents",
        **{**round_options(request.seconds, plan.heartbeat_timeout), "retry_policy": READ_AGAIN},
    )
    try:
        with job.working():
            return await handed_back(handle, lambda: not job.gate.open)
    except ActivityError as error:
        if not job.gate.stopping:
            job.warn(f"no sample of the records was compared with their documents: {error.cause or error}")
        return None


def _verifies(job: RunningJob) -> bool:
    return job.input is None or bool(job.input.verify)


def index_input(job: RunningJob, plan: Plan | None = None) -> IndexInput:
    """Which index, and whose. `plan` None: that in force."""
    plan = plan or job.known_plan
    assert plan.target.search is not None, "which index?"
    return IndexInput(
        index=plan.target.search,
        table_arn=plan.target.table_arn,
        run=plan.run,
        job=job.job_id,
        epoch=plan.target.version,
    )
