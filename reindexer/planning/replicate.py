"""The part of a plan that is about a replica: what it may follow, and the epoch of what is written there."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from reindexer.answers import CallFailed
from reindexer.dynamo.wire import projection
from reindexer.errors import BadInput, Refused
from reindexer.items import GONE, ORDER, WireItem, to_json_key
from reindexer.ledger import Ledger
from reindexer.models import (
    ORDERER,
    Complete,
    JobInput,
    PlanInput,
    Quarantined,
    Replicate,
    SampledSegments,
    Segment,
    destination_of_table,
)
from reindexer.planning.asking import ask, verdict
from reindexer.planning.checks import check_not_replicas_of_one, check_replicas
from reindexer.planning.create_replica import replica_gone
from reindexer.planning.draft import Draft
from reindexer.planning.facts import Described
from reindexer.planning.probes import Writer, probe_replica
from reindexer.planning.reach import Reach
from reindexer.planning.sampled_segments import sampled_segments
from reindexer.planning.sizing import segments, shard_count
from reindexer.sinks.table import impossible_key
from reindexer.streams.order import next_epoch

#: Seconds for which a difference has to last while changes are followed: at the tip they take one or two.
FOLLOW_LAG = 10.0
#: Keys of the sample that is compared: a difference in one record of 300 is found by 96 of 100 of them.
_COMPARED = 1000
#: Rows that are looked at for an order: one page, some read units.
_SAMPLED = 500


def check_replicate(job: JobInput) -> None:
    """What needs no table. Raises `BadInput`."""
    if not isinstance(job.scope, Complete | Quarantined):
        raise BadInput(
            f"a replica is made of a whole table, not of {job.scope.kind}: the rest would be missing; repair "
            "takes partitions and keys",
            "scope",
        )
    if job.dry_run:
        raise BadInput("a replica gets every record: there is nothing to try", "dry_run")
    if job.limits.other_read_units_per_second is not None:
        raise BadInput("only compare and repair have it", "limits.other_read_units_per_second")


def check_not_a_replica(described: Described, ledger: Ledger, *, allowed: bool, repairs: bool = False) -> None:
    """A table that a job writes to as its replica is not changed by another one. Raises `Refused`.

    `repairs`: without orders. A deletion would leave no mark, and a late write bring the record back.
    """
    holder = ledger.locks.holder(destination_of_table(described.arn, described.identity), ORDERER)
    if holder is None or allowed:
        return
    instead = "change the table that it copies"
    if repairs:
        instead = (
            "write named records again with `reindexer refresh`, all of them with "
            f"`reindexer rescan {holder.workflow_id}`"
        )
    raise Refused(
        f"{described.table.table} is the replica of job {holder.workflow_id}, which writes over what others "
        f"change there: {instead}, or cancel that job; if it has stopped, set force_lock",
        "ReplicaInUse",
    )


@dataclass(frozen=True)
class PlannedReplica:
    """How a replica is going to be written. `begins`: by a scan of an epoch of its own."""

    writer: Writer
    epoch: int
    begins: bool
    refilled: int  # as in `Plan`
    checks: list[Segment | SampledSegments]  # likewise
    warnings: list[str]


def plan_replica(draft: Draft, operation: Replicate, replica: Described) -> PlannedReplica:
    """An epoch that the draft has is that of a run; else a follow that resumes takes up the last one.

    Any other job gets a new one. Raises `Refused`, `EnvironmentFault`.
    """
    request, source, ledger, epoch = draft.request, draft.described, draft.ledger, draft.aim.version
    writer, warnings = _checked(source, replica, draft.reach, request.job, operation, ledger)
    begins = not epoch and not request.resumes
    rows = _rows(replica) if begins and replica.arn else []
    place = destination_of_table(replica.arn, replica.identity)
    if request.destination not in ("", place):
        raise replica_gone(replica.table.table)
    last = ledger.epochs.last(place)
    if epoch and last and last > epoch:
        raise Refused(
            f"{replica.table.table} was filled again since that run: its scan has read these records",
            "Superseded",
        )
    foreign = not request.rescans and any("N" not in row.get(ORDER, {}) for row in rows)
    if foreign and not operation.replace:
        raise Refused(
            f"{replica.table.table} holds records that no replica has: they would be replaced, or removed "
            f"where {source.table.table} has none of that key; set replace if that is meant",
            "NotAReplica",
        )
    made_of = ledger.epochs.source_of(place) if rows else ""
    if made_of not in ("", source.arn) and not operation.replace:
        raise Refused(
            f"{replica.table.table} is a replica of {made_of}: its records would be replaced, or removed where "
            f"{source.table.table} has none of that key; set replace if that is meant",
            "NotAReplica",
        )
    if not epoch:
        epoch = _epoch(last, rows, replica, request)
    refilled = shard_count(replica.facts.items, replica.facts.size_bytes) if rows else 0
    checks = _checks(request, source, replica) if begins else []
    return PlannedReplica(writer, epoch, begins, refilled, checks, warnings)


def plan_refreshed_replica(draft: Draft, replica: Described) -> PlannedReplica:
    """The replica as it is, with its last epoch. Raises `Refused`, `EnvironmentFault`."""
    source, reach, job, ledger = draft.described, draft.reach, draft.request.job, draft.ledger
    check_not_replicas_of_one(source, replica)
    name, place = replica.table.table, destination_of_table(replica.arn, replica.identity)
    epoch, made_of = ledger.epochs.last(place), ledger.epochs.source_of(place)
    if epoch is None:
        raise Refused(f"nothing has been replicated to {name} yet: `reindexer replicate` does", "NotReplicated")
    if made_of not in ("", source.arn):
        raise Refused(f"{name} is a replica of {made_of}, not of {source.arn}", "NotReplicated")
    warnings = check_replicas(replica, allowed=job.allow_multi_region)
    within = reach.within
    if within is not None and (within.index is not None or replica.key != source.key):
        why = f"index {within.index}" if within.index else f"partitions that {name} does not have"
        warnings.append(f"records are named by {why}: what {name} alone has is not found")
        reach = Reach(reach.key, keys=[to_json_key(impossible_key(reach.key))])  # of single records
    writer, notes = probe_replica(replica.table, reach, job.attributes)
    return PlannedReplica(writer, epoch, False, 0, [], [*warnings, *notes])


def _checks(request: PlanInput, source: Described, replica: Described) -> list[Segment | SampledSegments]:
    """What is compared once the replica is complete: a sample, unless all of it is asked for, or nothing."""
    facts = source.facts
    if request.job.verify == "complete":
        return list(segments(facts.items, facts.size_bytes, request.job.total_segments, request.run))
    if not request.job.verify:
        return []
    other = replica if replica.arn else source  # one that is not there yet is as large once it is filled
    return list(sampled_segments(source, other, facts.items, _COMPARED, request.run))


def _checked(
    source: Described, replica: Described, reach: Reach, job: JobInput, operation: Replicate, ledger: Ledger
) -> tuple[Writer, list[str]]:
    check_not_replicas_of_one(source, replica)
    check_not_a_replica(source, ledger, allowed=operation.allow_chain)
    warnings = check_replicas(replica, allowed=job.allow_multi_region)
    writer, notes = ("partiql", []) if not replica.arn else probe_replica(replica.table, reach, job.attributes)
    of_source = destination_of_table(source.arn, source.identity)
    was_one = ledger.epochs.last(of_source) is not None
    holder = ledger.locks.holder(of_source, ORDERER) if was_one else None
    if holder and replica.arn == ledger.epochs.source_of(of_source) and not job.force_lock:
        raise Refused(
            f"job {holder.workflow_id} copies {replica.table.table} to {source.table.table}: each would copy "
            "the other's changes without end; cancel that job; if it has stopped, set force_lock",
            "IsReplica",
        )
    if not operation.allow_chain and (was_one or any(ORDER in row for row in _rows(source))):
        raise Refused(
            f"{source.table.table} is a replica itself, or was one, and two that copy each other never come to "
            "rest; set allow_chain if nothing copies back",
            "IsReplica",
        )
    name = replica.table.table
    if replica.ttl not in (None, GONE, source.ttl):
        warnings.append(
            f"{name} has a time to live by {replica.ttl}, and {source.table.table} does not: DynamoDB removes "
            "records there that the table keeps"
        )
    if replica.ttl_unknown:
        warnings.append(
            f"whether records of {name} expire is not known ({replica.ttl_unknown}): tombstones "
            f"({GONE}) carry no other attribute"
        )
    elif replica.ttl is None:
        warnings.append(
            f"{name} has no time to live, so that tombstones ({GONE}) stay; to have DynamoDB remove "
            f"them: aws dynamodb update-time-to-live --table-name {name} --time-to-live-specification "
            f"Enabled=true,AttributeName={GONE}"
        )
    return writer, [*warnings, *notes]


def _epoch(last: int | None, rows: list[WireItem], replica: Described, request: PlanInput) -> int:
    """Of a new backfill above all that is stored; of a follow that goes on the last one."""
    if request.resumes:
        if not last:
            name = replica.table.table
            raise Refused(f"nothing has been replicated to {name} yet: begin with a backfill", "NoPositions")
        return last
    stored = [int(Decimal(row[ORDER]["N"])) for row in rows if "N" in row.get(ORDER, {})]
    try:
        return next_epoch(int(request.started_at.timestamp() * 1000), last, max(stored, default=None))
    except ValueError as error:
        raise Refused(
            f"{replica.table.table} holds an order that another program has written: {error}", "NotAReplica"
        ) from error


def _rows(described: Described) -> list[WireItem]:
    """What the first rows carry of our own."""
    name, shape = described.table.table, projection([ORDER])
    try:
        page = ask(described.table, "scan", TableName=name, Limit=_SAMPLED, **shape)
    except CallFailed as failed:
        raise verdict(failed, "dynamodb:Scan", name) from failed
    rows: list[WireItem] = page.get("Items", [])
    return rows
