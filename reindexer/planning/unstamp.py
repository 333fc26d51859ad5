"""Planning the removal of stamps: what follows from it, and whether they are stamps at all."""

from __future__ import annotations

from reindexer.errors import Refused
from reindexer.models import Attributes, JobInput
from reindexer.planning.facts import Described
from reindexer.planning.sampling import Sampled


def plan_unstamp(job: JobInput, described: Described, recorded: int | None, found: Sampled) -> list[str]:
    """Warnings. `recorded`: the highest version that the ledger knows of in the version attribute.

    Raises `Refused` of kind `NoRecovery` where attributes are named that no known job has written: they may be
    an application's own, and could not be had back.
    """
    table, attributes = described.table.table, job.attributes
    names = f"{attributes.version} and {attributes.run}"
    warnings = [f"to later jobs the records are as never touched: none of them carries {names} any more"]
    if described.facts.stream is not None or described.facts.kinesis:
        warnings.append(
            "the stream fires once more for each record that loses them: DynamoDB tells of it as a MODIFY event"
        )
    if not recorded and attributes != Attributes():
        unknown = (
            f"no job that the ledger knows of has written {attributes.version} in {table}; {names} are removed "
            "from every record, whatever they hold"
        )
        if not (described.facts.point_in_time_recovery or job.allow_no_recovery or job.dry_run):
            raise Refused(
                f"{unknown}, and {table} has no point-in-time recovery; check the names, then switch it on "
                "(aws dynamodb update-continuous-backups), or set allow_no_recovery",
                "NoRecovery",
            )
        warnings.append(unknown)
    if found.wrong_type:
        warnings.append(
            f"in a sample of {found.rows} records {found.wrong_type} hold something else than a number in "
            f"{attributes.version}; it is removed all the same"
        )
    return warnings
