"""The part of a plan that is about the user's job: found, its parameters checked, its query tried."""

from __future__ import annotations

import hashlib
import json
from typing import Any, TypeVar

from reindexer.answers import CallFailed
from reindexer.dynamo.wire import Stamp, merged
from reindexer.errors import BadInput, Refused
from reindexer.jobs.catalogue import find_job
from reindexer.jobs.conditions import Condition, compiled, dotted, filter_of, named
from reindexer.jobs.deciding import Decider, failure_of
from reindexer.jobs.job import Job, JobBroken, Params
from reindexer.models import (
    Attributes,
    Compare,
    Index,
    JobInput,
    PartitionRange,
    Purpose,
    Quarantined,
    Refresh,
    Transform,
    documents_of,
)
from reindexer.operations import verb_of
from reindexer.partitions.bounds import Bounds, query_of
from reindexer.planning.asking import ask, denied, verdict
from reindexer.planning.bounds import check_params
from reindexer.planning.facts import Described
from reindexer.planning.probes import WriteAction, Writer, is_denied
from reindexer.planning.reach import NO_RUN, Reach
from reindexer.planning.sampling import Sampled

#: An operation that may have a job.
Planned = TypeVar("Planned", Transform, Index, Refresh)


def checked_job(operation: Transform | Index | Refresh) -> tuple[Job, Params]:
    """The job and its parameters. Raises `BadInput` naming what there is."""
    job = named_job(operation)
    if (job.document is not None) != verb_of(operation).writes_index:
        does, verb = (
            ("makes documents", "index, refresh, compare") if job.document else ("changes records", "transform")
        )
        raise BadInput(f"job {job.name!r} {does}: it is for {verb}", "operation.job")
    check_params(operation.params)
    return job, job.parameters(operation.params)


def named_job(operation: Transform | Index | Refresh) -> Job:
    """The job that the operation names. Raises `BadInput`."""
    assert operation.job is not None, "which one?"
    try:
        return find_job(operation.job)
    except JobBroken as error:
        raise BadInput(str(error), "operation.job") from error


def queue_of_job(operation: Transform | Index | Refresh) -> str | None:
    """The task queue of workers that the job has of its own; None: it has none. Raises `BadInput`."""
    return named_job(operation).task_queue if operation.job else None


def may_change_any(operation: Transform) -> bool:
    """Whether the job may change any attribute; else it writes the stamp alone, as a `process` job does."""
    return named_job(operation).process is None


def purpose_of_job(operation: Transform) -> Purpose:
    """What the job makes of the version that it writes. Raises `BadInput`.

    A parameter whose default is made at each start, such as the time of day, counts only where it was given.
    """
    job, params = checked_job(operation)
    made = {name for name, field in type(params).model_fields.items() if field.default_factory is not None}
    counted = params.model_dump(mode="json", exclude=made - params.model_fields_set)
    digest = hashlib.sha256(json.dumps(counted, sort_keys=True).encode()).hexdigest()
    return Purpose(kind="transform", job=job.name, code=job.code, params=digest)


def plan_job(
    operation: Planned,
    request: JobInput,
    attributes: Attributes,
    described: Described,
    writer: Writer,
    reach: Reach,
    found: Sampled | None = None,
) -> tuple[Planned, str | None, list[str]]:
    """(the operation with all parameters, the code's hash, warnings). Raises `BadInput`, `Refused`."""
    if operation.job is None:
        return operation, None, []
    job, params = checked_job(operation)
    condition = _query(job, params, attributes, described)
    if job.destructive and not request.dry_run and not isinstance(request.scope, Quarantined):
        _check_recovery(job, request, described)
    if job.destructive:
        _check_deleting(attributes, described, writer, reach)
    warnings = []
    if condition is not None:
        rows_read = _rows_read(condition, described, reach)
        if not rows_read:
            _try(job, condition, attributes, described, reach)
        warnings.append(_outside(rows_read=rows_read))
        warnings += _unmatched(condition, reach, found)
    # Defaults are taken now: one that is the time of day must be the same for every record.
    complete = operation.model_copy(update={"params": params.model_dump(mode="json")})
    check_params(complete.params)
    return complete, job.code, warnings


def plan_documents(operation: Compare, *found: Any) -> tuple[Compare, str | None, list[str]]:
    """The same of a comparison with an index, where a job makes its documents."""
    documents = documents_of(operation)
    if documents is None:
        return operation, None, []
    made, code, warnings = plan_job(documents, *found)
    return operation.model_copy(update={"params": made.params}), code, warnings


def _query(job: Job, params: Params, attributes: Attributes, described: Described) -> Condition | None:
    try:
        decider = Decider(
            job,
            params,
            keys=[attribute.name for attribute in described.key],
            hidden=(attributes.version, attributes.run),
        )
    except Exception as error:  # the job's own code
        failure = failure_of(error, job.file)
        raise BadInput(f"the query of job {job.name!r} failed: {failure}", "operation.job") from error
    return decider.condition


def _rows_read(condition: Condition, described: Described, reach: Reach) -> bool:
    """Whether records outside the query are handed out all the same: not every read can leave them out."""
    if reach.within is None:
        return not reach.scans
    # A Query's filter must not name the table's keys, and of an index only keys are read.
    keys = {attribute.name for attribute in described.key}
    return reach.within.index is not None or bool(named(condition) & keys)


def _try(job: Job, condition: Condition, attributes: Attributes, described: Described, reach: Reach) -> None:
    """Ask DynamoDB for one row by the query: what it cannot read is found before the job begins."""
    stamp, table = Stamp(attributes.version, attributes.run, 1, "probe"), described.table
    asked: dict[str, Any] = {**filter_of(condition, stamp), "TableName": table.table, "Limit": 1}
    operation, action = "scan", "Scan"
    if reach.within is not None:
        operation, action = "query", "Query"
        part = PartitionRange(value=reach.values[0])
        asked = merged(asked, query_of(reach.within, part, Bounds(reach.within, part)))
    try:
        ask(table, operation, **asked)
    except CallFailed as failed:
        if failed.failure.code in ("ValidationException", "ValidationError"):
            raise BadInput(
                f"DynamoDB refuses the query of job {job.name!r}: {failed.failure.message}", "operation.job"
            ) from failed
        raise verdict(failed, f"dynamodb:{action}", table.table) from failed


def _outside(*, rows_read: bool) -> str:
    """What becomes of records outside the query."""
    if rows_read:
        return "records outside the query are handed out, and counted as filtered"
    return "records outside the query are not handed out, and not counted"


def _unmatched(condition: Condition, reach: Reach, found: Sampled | None) -> list[str]:
    """A query that a mistake in a name makes false for every record: said before it is complete with none."""
    if found is None or not found.items:
        return []
    holds = compiled(condition)
    if any(holds(item) for item in found.items):
        return []
    whose = "the table's" if reach.scans else "the scope's"
    records = f"{found.rows} record{'' if found.rows == 1 else 's'}"
    of = f"none of {whose} {records}" if found.whole else f"none of {records} sampled"
    there = {name for item in found.items for name in item}
    missing = sorted(named(condition) - there)
    more = f"; none of them has an attribute {' or '.join(map(repr, missing))}" if missing else ""
    for name in sorted(dotted(condition) & there):
        more += f"; Attr({name!r}) leads into a map, Name({name!r}) is the attribute itself"
    return [f"the query finds {of}{more}"]


def _check_deleting(attributes: Attributes, described: Described, writer: Writer, reach: Reach) -> None:
    """Whether records may be deleted. Anything but a denial shows itself later.

    Nothing is: a run deletes only what carries its mark, and nothing carries that of a probe.
    """
    if writer == "none":
        return
    stamp = Stamp(attributes.version, attributes.run, 1, NO_RUN)
    action: WriteAction = "PartiQLDelete" if writer == "partiql" else "DeleteItem"
    if is_denied(action, described.table, reach, stamp):
        raise denied([f"dynamodb:{action}"], described.table.table)


def _check_recovery(job: Job, request: JobInput, described: Described) -> None:
    """What is taken away by mistake can be had back, or someone has said that it need not."""
    recovery = described.facts.point_in_time_recovery
    if recovery or request.allow_no_recovery:
        return
    state = "has no point-in-time recovery" if recovery is False else "does not tell whether it can be restored"
    raise Refused(
        f"job {job.name!r} may delete records or attributes, and {described.table.table} {state}; switch it on "
        "(aws dynamodb update-continuous-backups), or set allow_no_recovery",
        "NoRecovery",
    )
