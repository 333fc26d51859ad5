"""What a job is after: the operation with its version, held against what the table carries."""

from __future__ import annotations

from dataclasses import dataclass

from reindexer.dynamo.index_keys import IndexKeys
from reindexer.ledger import Ledger
from reindexer.models import JobInput, Operation, PlanInput, Purpose
from reindexer.operations import verb_of
from reindexer.planning.checks import check_reserved, refused_by_indexes
from reindexer.planning.facts import Described
from reindexer.planning.index_keys import index_types, keys_of_indexes
from reindexer.planning.reach import Reach
from reindexer.planning.sampling import Sampled, sample
from reindexer.planning.unstamp import plan_unstamp
from reindexer.planning.verbs import planner_of
from reindexer.planning.versions import check_used, target_version


@dataclass(frozen=True)
class Aim:
    """What the job is after: the operation with its version, and what the table's sample says to it."""

    operation: Operation
    version: int
    stamp: str
    purpose: Purpose | None = None  # of a redrive that of the run whose records it takes up
    found: Sampled | None = None


def aim_of(
    request: PlanInput, described: Described, ledger: Ledger, reach: Reach, *, writes: bool
) -> tuple[Aim, list[str]]:
    """What a job that is no redrive is after, and warnings."""
    job = request.job
    version, found, warnings = _version(request, described, ledger, reach)
    if writes and found is not None:
        warnings += check_reserved(found, described, allowed=job.allow_multi_region)
    if found is not None:
        warnings += refused_by_indexes(found, IndexKeys(index_types(described), keys_of_indexes(described)))
    operation = job.operation.at(version)
    purpose = planner_of(operation).purpose(operation)
    return Aim(operation, version, request.run, purpose, found), warnings


def check_use(job: JobInput, aim: Aim, described: Described, ledger: Ledger) -> list[str]:
    """A warning, or `BadInput`, where the version was used for something else."""
    if aim.purpose is None:
        return []
    used = ledger.versions.other_use(described.arn, job.attributes.version, aim.version, aim.purpose)
    return check_used(used, aim.version, allowed=job.allow_used)


def _version(
    request: PlanInput, described: Described, ledger: Ledger, reach: Reach
) -> tuple[int, Sampled | None, list[str]]:
    job = request.job
    verb, asked = verb_of(job.operation), job.operation.version
    if verb.compares or verb.writes_other or verb.rewrites:
        return 0, None, []  # it judges by none
    if verb.writes_index:  # for its mapping; the epoch is chosen later
        return 0, sample(described.table, job.attributes, request.run, reach, items=True), []
    if not verb.writes:
        assert isinstance(asked, int), "what only reads names the version that it judges by"
        return asked, None, []
    items = verb.runs_job  # for its query
    also = [*index_types(described), *([described.ttl] if described.ttl else [])]
    found = sample(described.table, job.attributes, request.run, reach, items=items, also=also)
    recorded = ledger.versions.highest(described.arn, job.attributes.version)
    if not verb.stamps:
        version, warnings = 0, plan_unstamp(job, described, recorded, found)
    else:
        version, warnings = target_version(
            job.operation, request.started_at, recorded, found, allow_lower=job.allow_lower
        )
        if found.wrong_type:
            warnings.append(
                f"in a sample of {found.rows} records {found.wrong_type} hold something else than a number in "
                f"{job.attributes.version}; such records are quarantined, never written"
            )
    if described.facts.items == 0 and found.rows:
        warnings.append(
            "DynamoDB counts 0 records, yet there are some: its count is up to six hours old, so remaining "
            "time is not known and large tables are better given total_segments"
        )
    return version, found, warnings
