"""The part of a plan that is about a second table: found, reached, and comparable with the first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from reindexer.answers import CallFailed
from reindexer.errors import BadInput, Refused
from reindexer.models import (
    Compare,
    Complete,
    JobInput,
    KeyAttribute,
    Operation,
    OtherTable,
    Partitions,
    Quarantined,
    Repair,
    Sample,
    Scope,
    Source,
    TableFacts,
    Uses,
    Verb,
    With,
)
from reindexer.operations import verb_of
from reindexer.planning.asking import ask, verdict
from reindexer.planning.capacity import capacity_of, uses_of
from reindexer.planning.checks import check_not_replicas_of_one, check_replicas
from reindexer.planning.compare_index import check_compared_index, compares_index, segments_beside
from reindexer.planning.facts import Described, describe
from reindexer.planning.probes import Writer, probe_access, probe_copying
from reindexer.planning.reach import Reach
from reindexer.planning.sampled_segments import sampled_segments
from reindexer.planning.scopes import sources_of
from reindexer.planning.segments import check_segments
from reindexer.tally import Outcome

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

#: Makes a client that reaches a second table. Raises `EnvironmentFault`.
Connect: TypeAlias = "Callable[[With], DynamoDBClient]"


@dataclass(frozen=True)
class Second:
    """The second table as planning found it. `facts`: with the capacity that its budget is chosen by."""

    table: OtherTable
    described: Described
    facts: TableFacts


def plan_second(
    job: JobInput, operation: Operation, described: Described, connect: Connect, known: Described | None = None
) -> Second | None:
    """The table that the job compares its own with; None for any other job. `known`: as it is described.

    Raises `BadInput` where it is the table itself, has another key, or where the job cannot compare as asked,
    `Refused` and `EnvironmentFault` as `describe` does.
    """
    verb = verb_of(operation)
    named = isinstance(job.scope, Partitions) and job.scope.index is None
    if operation.beside is None:
        if job.limits.other_read_units_per_second is not None:
            raise BadInput("only compare and repair read a second table", "limits.other_read_units_per_second")
        return None
    other, left_out, lag = operation.beside
    _check_left_out(left_out, described)
    field = "operation.to.table" if verb.copies else "operation.with.table"
    client = connect(other)
    found = known or describe(other.table, client, field)
    if (found.arn, found.identity) == (described.arn, described.identity):
        raise BadInput(f"{found.arn} is the table itself; name another one, or where it is", field)
    if _by_name(found.key) != _by_name(described.key):
        raise BadInput(
            f"its key is {_words(found.key)}, that of {described.table.table} is {_words(described.key)}: only "
            "tables with the same key attributes, by name and type, can be copied or compared",
            field,
        )
    attributes = job.attributes
    writes = verb.writes_other and not job.dry_run
    uses = Uses() if writes else uses_of(operation, attributes, None, writes=False)
    return Second(
        table=OtherTable(
            table=found.table.table,
            table_arn=found.arn,
            table_id=found.identity,
            region=client.meta.region_name,
            endpoint=other.endpoint,
            role_arn=other.role_arn,
            external_id=other.external_id,
            left_out=[attributes.version, attributes.run, *left_out],
            expiries=list(dict.fromkeys(name for name in (described.ttl, found.ttl) if name)),
            lag_seconds=lag,
            ttl=found.ttl if verb.copies else None,
            same_partitions=verb.rewrites and named and found.key == described.key,
        ),
        described=found,
        facts=found.facts.model_copy(update=dict(capacity_of(found.description, uses))),
    )


def larger(described: Described, second: Second | None) -> TableFacts:
    """What the number of shards is chosen by: of two tables that are read, the larger counts."""
    facts = described.facts
    if second is None:
        return facts
    items, size = second.facts.items, second.facts.size_bytes
    return facts.model_copy(
        update={"items": max(facts.items, items), "size_bytes": max(facts.size_bytes, size)}
    )


def check_second(
    first: Described, second: Second, verb: Verb, reach: Reach, job: JobInput, sources: Sequence[Source]
) -> tuple[Writer, list[str]]:
    """How the second table is going to be written, and warnings. Raises `Refused`, `EnvironmentFault`."""
    found, warnings = second.described, list[str]()
    writes = verb.writes_other and not job.dry_run
    if writes:
        check_not_replicas_of_one(first, found)
        warnings += check_replicas(found, allowed=job.allow_multi_region)
        if isinstance(job.scope, Quarantined):
            pass  # what it takes up, a job that was allowed has given up
        elif Outcome.REMOVED in verb.outcomes:
            _check_recovery(found, allowed=job.allow_no_recovery)
        else:
            _check_empty(found)
    writer, notes = probe_access(found.table, reach, job.attributes, writes=writes, by_key=True)
    warnings += notes
    if writes:
        writer, notes = probe_copying(found.table, reach, job.attributes, writer, verb.outcomes)
        warnings += notes
    if verb.compares and not job.dry_run:
        check_segments(found, sources)
    if second.described.ttl_unknown:
        warnings.append(
            f"whether records of {second.table.table} expire is not known ({second.described.ttl_unknown}): "
            "expired ones are compared like others"
        )
    return writer, warnings


def _check_empty(found: Described) -> None:
    table = found.table.table
    try:
        page = ask(found.table, "scan", TableName=table, Limit=1, ConsistentRead=True)
    except CallFailed as failed:
        raise verdict(failed, "dynamodb:Scan", table) from failed
    if page.get("Items"):
        raise Refused(
            f"backfill fills an empty table, and {table} holds records; to repair what differs leave it out",
            "NotEmpty",
        )


def _check_recovery(found: Described, *, allowed: bool) -> None:
    if found.facts.point_in_time_recovery or allowed:
        return
    raise Refused(
        f"repair replaces and removes records of {found.table.table}, which has no point-in-time recovery; "
        "switch it on (aws dynamodb update-continuous-backups), or set allow_no_recovery",
        "NoRecovery",
    )


def sources_for(job: JobInput, described: Described, second: Second | None, run: str) -> list[Source]:
    """The sources of a scope that names no partitions; a sample of two tables is one of segments."""
    facts = larger(described, second)
    if second and isinstance(job.scope, Sample):
        return list(sampled_segments(described, second.described, facts.items, job.scope.limit, run))
    if isinstance(job.scope, Complete) and compares_index(job.operation):
        return list(segments_beside(job, facts, run))
    return sources_of(job.scope, described.key, facts, job.total_segments, run)


def check_repair(job: JobInput, operation: Repair) -> None:
    """What needs no table. Raises `BadInput`."""
    if isinstance(job.scope, Sample):
        raise BadInput("repair takes whole tables, partitions or keys; compare takes a sample", "scope")
    if operation.backfill and job.scope.kind not in ("complete", "quarantined"):
        raise BadInput(f"a backfill fills a whole table, not {job.scope.kind}", "scope")
    _check_partitions(job.scope)


def check_compare(job: JobInput, operation: Compare) -> None:
    """What needs neither table nor cluster. Raises `BadInput`."""
    if compares_index(operation):
        check_compared_index(job)
        return
    if isinstance(job.scope, Quarantined):
        raise BadInput("compare gives up no records that could be run again; name them as keys", "scope")
    _check_partitions(job.scope)


def _check_partitions(scope: Scope) -> None:
    if isinstance(scope, Partitions) and scope.index is not None:
        raise BadInput(
            "compare and repair read partitions of the tables themselves: an index has no consistent read; "
            "name values of the tables' partition key",
            "scope.index",
        )


def _check_left_out(left_out: Sequence[str], described: Described) -> None:
    keys = {attribute.name for attribute in described.key}
    for number, name in enumerate(left_out):
        if name in keys:
            raise BadInput(
                f"{name!r} is a key attribute, by which rows are found", f"operation.leave_out[{number}]"
            )


def _by_name(key: Sequence[KeyAttribute]) -> dict[str, str]:
    """Which of them is the partition key makes no difference to a record."""
    return {attribute.name: attribute.type for attribute in key}


def _words(key: Sequence[KeyAttribute]) -> str:
    return " and ".join(f"{attribute.name} ({attribute.type})" for attribute in key)
