"""The plan: everything that is decided before the first record is read, with the reason for each choice.

Nothing is written but probes to a key that no item has; a replica is made once nothing refuses the job.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from reindexer.dynamo.other_table import other_client
from reindexer.errors import BadInput
from reindexer.items import Key
from reindexer.ledger import Ledger
from reindexer.models import (
    JobInput,
    KeyList,
    Lineages,
    Partitions,
    Plan,
    PlanInput,
    Quarantined,
    Source,
    Target,
    chosen,
)
from reindexer.operations import redriven, verb_of
from reindexer.planning.aim import Aim, aim_of, check_use
from reindexer.planning.asked import check_asked, check_operation
from reindexer.planning.bounds import check_plan, check_workflow_id
from reindexer.planning.capacity import capacity_of, uses_of
from reindexer.planning.checks import (
    check_attributes,
    check_index_types,
    check_replicas,
    followers_advice,
)
from reindexer.planning.compare import Connect, plan_second, sources_for
from reindexer.planning.create_replica import create_replica
from reindexer.planning.destinations import planner_of_destination
from reindexer.planning.draft import Draft
from reindexer.planning.facts import Described, describe
from reindexer.planning.follow import follow_sources, images_missing, positions_of, without_passed
from reindexer.planning.index_keys import index_types, keys_of_indexes
from reindexer.planning.partitions.scope import checked_scope
from reindexer.planning.partitions.shards import plan_partitions
from reindexer.planning.probes import probe_access
from reindexer.planning.reach import reach_of
from reindexer.planning.readers import readers_advice
from reindexer.planning.redrive import Redrive, plan_redrive
from reindexer.planning.replicate import FOLLOW_LAG, check_not_a_replica
from reindexer.planning.search import ConnectSearch
from reindexer.planning.segments import check_segments
from reindexer.planning.time_to_live import plan_expiry
from reindexer.planning.verbs import planner_of
from reindexer.search.client import SearchClient

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

#: A list of up to this many keys is worked off record by record: each is then seen on its own in Temporal's UI.
_KEYS_AS_RECORDS = 100


def make_plan(
    request: PlanInput,
    *,
    client: DynamoDBClient,
    ledger: Ledger,
    heartbeat_timeout: float,
    connect: Connect = other_client,
    connect_search: ConnectSearch = SearchClient,
) -> Plan:
    """Decide what the job is going to do. `client` makes single attempts; a busy service is asked for 10 s.

    `connect` makes one for a second table, `connect_search` one for a search index.

    Raises `BadInput` where the input is at fault, `Refused` where the job may not start as things are,
    `EnvironmentFault` (retryable: `Unavailable`) where AWS does not let it be found out.
    """
    plan = _decided(request, client, ledger, heartbeat_timeout, connect, connect_search)
    beside, other = request.job.operation.beside, plan.target.other
    if request.preview or beside is None or other is None or other.table_arn:
        return plan
    create_replica(other.table, describe(request.job.table, client), connect(beside.table))
    return _decided(request, client, ledger, heartbeat_timeout, connect, connect_search)


def _decided(
    request: PlanInput,
    client: DynamoDBClient,
    ledger: Ledger,
    heartbeat_timeout: float,
    connect: Connect,
    connect_search: ConnectSearch,
) -> Plan:
    """As `make_plan`, with a replica that is not there yet as it is going to be."""
    job, verb = request.job, verb_of(request.job.operation)
    check_workflow_id(request.workflow_id)
    check_operation(job, verb)
    ledger.store.check()
    described = describe(job.table, client)
    if described.table.table == ledger.table:
        raise BadInput("is the ledger, which holds locks and reports; no job changes it", "table")
    redrive = _redrive(job, described, ledger)
    asked = redrive.operation if redrive else job.operation
    verb = redriven(asked) if redrive else verb
    planner = planner_of_destination(asked)
    planner.check(job, asked)
    check_asked(request, asked, verb)
    found = None if redrive else planner.find(request, asked, described, connect)
    second = plan_second(job, asked, described, connect, found)
    writes = verb.writes and not job.dry_run
    writes_here = writes and verb.in_place
    attributes = redrive.attributes if redrive else job.attributes
    warnings = check_attributes(attributes, described)
    if verb.writes and verb.stamps:  # a dry run is to show what a run would meet
        check_index_types(attributes, described)
    if writes_here:
        warnings += check_replicas(described, allowed=job.allow_multi_region)
        check_not_a_replica(described, ledger, allowed=job.force_lock)
    within, values = checked_scope(job.scope, described) if isinstance(job.scope, Partitions) else (None, [])
    sources: list[Source] = []
    if redrive:
        sources = list(redrive.sources)
    elif within is None:
        sources = sources_for(job, described, second, request.run)
    reach = reach_of(described.key, within, values, sources)
    writer, notes = probe_access(
        described.table,
        reach,
        attributes,
        writes=writes_here,
        by_key=second is not None or verb.rewrites or verb.compares,
    )
    warnings += notes
    uses = uses_of(asked, attributes, within, writes=writes_here)
    facts = described.facts.model_copy(update=dict(capacity_of(described.description, uses)))
    limits, limits_from = chosen(
        job.limits,
        facts,
        second.facts if second else None,
        writes_other=verb.writes_other,
        writes_index=verb.writes_index,
    )
    if redrive:
        aim = Aim(redrive.operation, redrive.version, redrive.stamp)
        warnings += redrive.warnings
    else:
        if not job.dry_run:  # which reads without segments
            check_segments(described, sources)
        aim, notes = aim_of(request, described, ledger, reach, writes=writes)
        warnings += notes
        if within is not None:  # after what may refuse the job: it takes the longest
            sources, notes = plan_partitions(within, values, job, described, limits, request.run)
            warnings += notes
        warnings += check_use(job, aim, described, ledger)
    draft = Draft(request, verb, writes, described, sources, reach, attributes, writer, aim, ledger)
    destination = planner.plan(draft, asked, second, connect_search)
    aim, writer = destination.aim, destination.writer
    sources += destination.documents
    warnings += destination.warnings
    warnings += followers_advice(verb_of(aim.operation), described)
    expiry, ttl, notes = plan_expiry(job, attributes, described, aim.found, request.started_at)
    warnings += notes
    operation, code = aim.operation, None
    if finish := planner_of(operation).finish:
        operation, code, notes = finish(operation, job, attributes, described, writer, reach, aim.found)
        warnings += notes
    other = second.table if second else None
    if other and request.follows:  # what has just changed is under way
        other = other.model_copy(update={"lag_seconds": FOLLOW_LAG})
    target = Target(
        table=described.table.table,
        table_arn=described.arn,
        table_id=described.identity,
        key=described.key,
        attributes=attributes,
        version=aim.version,
        stamp=aim.stamp,
        writer=writer,
        operation=operation,
        code=code,
        index_keys=index_types(described),
        indexes=keys_of_indexes(described),
        within=within,
        expiry=expiry,
        other=other,
        search=destination.search,
    )
    if request.follows:
        place, name = (target.destination, target.version), target.destination_name
        sources = follow_sources(request, described, ledger, place, name, sources, client.meta.region_name)
        warnings += images_missing(described, copies=verb.copies) + readers_advice(
            described, client.meta.region_name
        )
    positions: list[Lineages] = []
    if writes and (destination.begins or request.rescans or destination.creation):
        positions, notes = positions_of(request, described, sources, client.meta.region_name)
        warnings += notes
    plan = Plan(
        run=request.run,
        target=target,
        begins=destination.begins,
        refilled=destination.refilled,
        checks=destination.checks,
        other_facts=second.facts if second else None,
        creation=destination.creation,
        positions=positions,
        verb=verb,
        facts=facts,
        limits=limits,
        isolation=_isolation(job, sources),
        sources=without_passed(sources),
        warnings=warnings,
        limits_from=limits_from,
        ttl=ttl,
        uses=uses,
        purpose=aim.purpose if writes else None,
        heartbeat_timeout=heartbeat_timeout,
    )
    return check_plan(plan)


def _redrive(job: JobInput, described: Described, ledger: Ledger) -> Redrive | None:
    if not isinstance(job.scope, Quarantined):
        return None
    return plan_redrive(job, job.scope, described.arn, described.key, ledger)


def _isolation(job: JobInput, sources: Sequence[Source]) -> Literal["batch", "record"]:
    if job.isolation is not None:
        return job.isolation
    if isinstance(job.scope, Quarantined):
        return "record"  # they failed before: each gets its own retries at once
    keys: list[Key] = [key for source in sources if isinstance(source, KeyList) for key in source.keys]
    return "record" if 0 < len(keys) <= _KEYS_AS_RECORDS else "batch"
