"""What a job asks for that needs neither table nor cluster to be refused."""

from __future__ import annotations

from reindexer.errors import BadInput
from reindexer.models import Complete, JobInput, Operation, PlanInput, Quarantined, Verb
from reindexer.planning.bounds import check_run, check_workflow_id
from reindexer.planning.verbs import planner_of


def check_asked(request: PlanInput, asked: Operation, verb: Verb) -> None:
    """What does not go with the verb. Raises `BadInput`."""
    job = request.job
    if request.follows and not verb.followed:
        raise BadInput(
            f"{verb.kind} ends with the table; index and replicate can follow its stream", "operation"
        )
    if job.limits.bytes_per_second is not None and not verb.writes_index:
        raise BadInput("only index and refresh write documents", "limits.bytes_per_second")
    if job.limits.write_units_per_second is not None and verb.writes_index:
        raise BadInput(f"{verb.kind} writes nothing to the table", "limits.write_units_per_second")
    fills_replica = verb.copies and not verb.rewrites
    whole_index = verb.makes_index and isinstance(job.scope, Complete) and not job.dry_run
    if job.verify == "complete" and not fills_replica and not whole_index:
        raise BadInput("complete is for a replica, or an index of a whole table", "verify")
    if asked.creates_replica and request.resumes:
        raise BadInput("needs a backfill: a new table holds nothing to keep equal", "operation.create")
    if job.confirm and (job.dry_run or not verb.in_place):
        raise BadInput("is for a job that writes to the table, whose stream others follow", "confirm")


def check_operation(job: JobInput, verb: Verb) -> None:
    """What needs no table: an unknown job or wrong parameters are refused at once."""
    if isinstance(job.scope, Quarantined):
        check_workflow_id(job.scope.job, "scope.job")
        check_run(job.scope.run, "scope.run")
    if job.dry_run and verb.writes_other and not verb.compares:
        raise BadInput("a backfill creates every record: there is nothing to try", "dry_run")
    if job.dry_run and (not verb.tried_out or isinstance(job.scope, Quarantined)):
        why = (
            "a touch changes nothing but two attributes"
            if verb.writes
            else f"{verb.kind} writes nothing anyway"
        )
        raise BadInput(f"only a transform, an unstamp or an index can be tried out; {why}", "dry_run")
    if not isinstance(job.scope, Quarantined):
        planner_of(job.operation).check(job.operation)
