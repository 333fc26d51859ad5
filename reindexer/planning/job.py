"""The part of a plan that is about the user's job: found, its parameters checked, its query tried."""

from __future__ import annotations

from typing import Any

from reindexer.catalogue import find_job
from reindexer.conditions import Condition, compiled, filter_of, named
from reindexer.deciding import Decider, failure_of
from reindexer.dynamo.table import CallFailed
from reindexer.dynamo.wire import Stamp, StatementBuilder, delete_parameters
from reindexer.errors import BadInput, Refused
from reindexer.items import Write
from reindexer.job import Job, JobBroken, Params
from reindexer.models import (
    Attributes,
    Complete,
    IndexKey,
    JobInput,
    Keys,
    Partitions,
    Quarantined,
    Sample,
    Touch,
    Transform,
    Verify,
)
from reindexer.planning.asking import DENIED, ask, denied, verdict
from reindexer.planning.bounds import check_params
from reindexer.planning.facts import Described
from reindexer.planning.probes import Writer
from reindexer.planning.versions import Sampled
from reindexer.sinks.table import impossible_key


def queue_of(operation: Touch | Transform | Verify) -> str | None:
    """The task queue of workers that the operation's job has of its own; None: it has none.

    Raises `BadInput` where its job is not here.
    """
    return _job(operation).task_queue if isinstance(operation, Transform) else None


def checked_job(operation: Transform) -> tuple[Job, Params]:
    """The job and its parameters. Raises `BadInput` naming what there is."""
    job = _job(operation)
    check_params(operation.params)
    return job, job.parameters(operation.params)


def _job(operation: Transform) -> Job:
    try:
        return find_job(operation.job)
    except JobBroken as error:
        raise BadInput(str(error), "operation.job") from error


def plan_job(
    operation: Transform,
    request: JobInput,
    attributes: Attributes,
    described: Described,
    writer: Writer,
    found: Sampled | None = None,
) -> tuple[Transform, str, list[str]]:
    """(the operation with all parameters, the code's hash, warnings). Raises `BadInput`, `Refused`."""
    job, params = checked_job(operation)
    condition = _query(job, params, attributes, described)
    if job.destructive and not request.dry_run and not isinstance(request.scope, Quarantined):
        _check_recovery(job, request, described)
    if job.destructive:
        _check_deleting(attributes, described, writer)
    warnings = []
    if condition is not None:
        _try(job, condition, attributes, described)
        warnings.append(_outside(condition, request, described))
        warnings += _unmatched(condition, request, found)
    # Defaults are taken now: one that is the time of day must be the same for every record.
    complete = operation.model_copy(update={"params": params.model_dump(mode="json")})
    check_params(complete.params)
    return complete, job.code, warnings


def index_types(described: Described) -> dict[str, str]:
    """The attributes that are keys of an index, with their types."""
    types = {a["AttributeName"]: a["AttributeType"] for a in described.description["AttributeDefinitions"]}
    own = {attribute.name for attribute in described.key}
    names = {name for names in described.index_keys.values() for name in names} - own
    return {name: types[name] for name in sorted(names) if name in types}


def keys_of_indexes(described: Described) -> list[IndexKey]:
    """Each key attribute of each index that is not the table's own."""
    types, description = index_types(described), described.description
    return [
        IndexKey(
            index=index["IndexName"],
            name=key["AttributeName"],
            type=types[key["AttributeName"]],
            partition=key["KeyType"] == "HASH",
        )
        for kind in ("GlobalSecondaryIndexes", "LocalSecondaryIndexes")
        for index in description.get(kind) or []
        for key in index["KeySchema"]
        if key["AttributeName"] in types
    ]


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


def _try(job: Job, condition: Condition, attributes: Attributes, described: Described) -> None:
    """Ask DynamoDB for one row by the query: what it cannot read is found before the job begins."""
    stamp = Stamp(attributes.version, attributes.run, 1, "probe")
    parameters: dict[str, Any] = {**filter_of(condition, stamp), "Limit": 1}
    try:
        ask(described.table, "scan", TableName=described.table.table, **parameters)
    except CallFailed as failed:
        if failed.failure.code in ("ValidationException", "ValidationError"):
            raise BadInput(
                f"DynamoDB refuses the query of job {job.name!r}: {failed.failure.message}", "operation.job"
            ) from failed
        raise verdict(failed, "dynamodb:Scan", described.table.table) from failed


def _outside(condition: Condition, request: JobInput, described: Described) -> str:
    """What becomes of records outside the query: whether a read can leave them out depends on the read."""
    scope = request.scope
    handed_out = isinstance(scope, Keys | Quarantined)
    if isinstance(scope, Partitions):  # a Query's filter must not name the table's keys
        keys = {attribute.name for attribute in described.key}
        handed_out = scope.index is not None or bool(named(condition) & keys)
    if handed_out:
        return "records outside the query are handed out, and counted as filtered"
    return "records outside the query are not handed out, and not counted"


def _unmatched(condition: Condition, request: JobInput, found: Sampled | None) -> list[str]:
    """A query that a mistake in a name makes false for every record: said before it is complete with none."""
    if found is None or not found.items or not isinstance(request.scope, Complete | Sample):
        return []
    holds = compiled(condition)
    if any(holds(item) for item in found.items):
        return []
    of = f"none of the table's {found.rows} records" if found.whole else f"none of {found.rows} sampled records"
    missing = sorted(name for name in named(condition) if not any(name in item for item in found.items))
    more = f"; none of them has an attribute {' or '.join(map(repr, missing))}" if missing else ""
    return [f"the query finds {of}{more}"]


def _check_deleting(attributes: Attributes, described: Described, writer: Writer) -> None:
    """Whether records may be deleted, tried on a key no item has. Anything but a denial shows itself later."""
    parameters: dict[str, Any]
    stamp, key = Stamp(attributes.version, attributes.run, 1, "probe"), impossible_key(described.key)
    if writer == "partiql":
        builder = StatementBuilder(described.table.table, tuple(key), stamp)
        statement = builder.statement(key, Write(delete=True))
        action, call, parameters = "PartiQLDelete", "batch_execute_statement", {"Statements": [statement]}
    elif writer == "update_item":
        asked = delete_parameters(key, Write(delete=True), stamp)
        action, call, parameters = "DeleteItem", "delete_item", {"TableName": described.table.table, **asked}
    else:
        return
    code = ""
    try:
        answer = ask(described.table, call, **parameters)
        code = ((answer.get("Responses") or [{}])[0].get("Error") or {}).get("Code", "")
    except CallFailed as failed:
        code = failed.failure.code
    if code in DENIED:
        raise denied([f"dynamodb:{action}"], described.table.table)


def _check_recovery(job: Job, request: JobInput, described: Described) -> None:
    """What is taken away by mistake can be had back, or somebody has said that it need not."""
    recovery = described.facts.point_in_time_recovery
    if recovery or request.allow_no_recovery:
        return
    state = "has no point-in-time recovery" if recovery is False else "does not tell whether it can be restored"
    raise Refused(
        f"job {job.name!r} may delete records or attributes, and {described.table.table} {state}; switch it on "
        "(aws dynamodb update-continuous-backups), or set allow_no_recovery",
        "NoRecovery",
    )
