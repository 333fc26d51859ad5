"""A redrive: the records an earlier run gave up, at that run's target and under that run's stamp.

The stamp has to be the old one: a write of the old run that was thought lost may have landed, and is then
recognised as done.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field as with_default

from pydantic import TypeAdapter, ValidationError

from reindexer.errors import BadInput, Refused
from reindexer.items import Key, from_json_key, key_identity, key_text
from reindexer.ledger import Ledger
from reindexer.models import (
    Attributes,
    JobInput,
    KeyAttribute,
    KeyList,
    Operation,
    Quarantined,
    QuarantineEntry,
    Unconfirmed,
)
from reindexer.operations import verb_of
from reindexer.planning.scopes import typed_key
from reindexer.planning.sizing import key_lists
from reindexer.sinks.evidence import MARK_OVERWRITTEN
from reindexer.streams.order import floor_of

_OPERATION: TypeAdapter[Operation] = TypeAdapter(Operation)


@dataclass(frozen=True, slots=True)
class Redrive:
    """What the entries say about the target, and the records themselves."""

    sources: list[KeyList]
    version: int
    stamp: str
    attributes: Attributes
    operation: Operation
    warnings: list[str] = with_default(default_factory=list)


def plan_redrive(
    job: JobInput, scope: Quarantined, table_arn: str, schema: Sequence[KeyAttribute], ledger: Ledger
) -> Redrive:
    """The open failures of the scope. `BadInput` where there are none, `Refused` where they do not agree."""
    entries = ledger.failures.open(scope.job, scope.run, scope.error)
    if scope.keys is not None:
        entries = _named(entries, scope, schema)
    if not entries:
        raise BadInput(_nothing(scope, ledger), "scope")
    arns = sorted({entry.table_arn for entry in entries} - {table_arn})
    if arns:
        raise BadInput(f"the failures of that run are records of {arns[0]}, not of {table_arn}", "table")
    targets = {(entry.version, entry.stamp) for entry in entries}
    if len(targets) > 1:
        raise Refused("the failures of that run have different targets; redrive them by keys", "MixedTargets")
    unconfirmed = {
        _identity(one.key): Unconfirmed(key=one.key, deletion=one.deleting)
        for one in entries
        if one.applied == "unknown"
    }
    marked = {_identity(one.key) for one in entries if one.marked or one.error == MARK_OVERWRITTEN}

    # What a follow gave up is written at the order of its own change, whatever has landed meanwhile.
    follows = any(entry.order is not None for entry in entries)
    floor = floor_of(entries[0].version) if follows else 0
    orders = {_identity(entry.key): entry.order or floor for entry in entries}

    def times(key: Key) -> int:
        """How often the plan names it."""
        return 1 + sum(_identity(key) in those for those in (unconfirmed, marked))

    lists, taken = key_lists([entry.key for entry in entries], times)
    warnings = []
    if taken < len(entries):
        warnings.append(f"{len(entries)} records are open, {taken} fit one job: redrive again for the rest")
    first = entries[0]
    return Redrive(
        sources=[
            part.model_copy(
                update={
                    "unconfirmed": [
                        unconfirmed[name] for name in map(_identity, part.keys) if name in unconfirmed
                    ],
                    "marked": [key for key in part.keys if _identity(key) in marked],
                    "orders": [orders[_identity(key)] for key in part.keys] if follows else [],
                }
            )
            for part in lists
        ],
        version=first.version,
        stamp=first.stamp,
        attributes=first.attributes or job.attributes,
        operation=operation_of(job, ledger).at(first.version),
        warnings=warnings,
    )


def operation_of(job: JobInput, ledger: Ledger) -> Operation:
    """What the job does to a record; of a redrive what that run did, from its report where there is one.

    Its version is not the redrive's. Raises `Refused` and `EnvironmentFault` where the ledger cannot be read.
    """
    if not isinstance(job.scope, Quarantined) or not verb_of(job.operation).writes:
        return job.operation
    report = ledger.reports.find(job.scope.job, job.scope.run)
    if report is None:
        return job.operation
    try:
        return _OPERATION.validate_python(report.operation)
    except ValidationError:  # shortened to fit the ledger
        return job.operation


def _named(
    entries: list[QuarantineEntry], scope: Quarantined, schema: Sequence[KeyAttribute]
) -> list[QuarantineEntry]:
    """The entries of the keys asked for. Raises `BadInput` for a key that has none."""
    by_key = {_identity(entry.key): entry for entry in entries}
    found = []
    for index, given in enumerate(scope.keys or []):
        field = f"scope.keys[{index}]"
        key = typed_key(given, schema, field)
        entry = by_key.get(_identity(key))
        if entry is None:
            raise BadInput(f"{key_text(key)} is not among the {len(entries)} open failures of that run", field)
        found.append(entry)
    return list({_identity(entry.key): entry for entry in found}.values())  # a key named twice is one record


def _identity(key: Key) -> object:
    return key_identity(from_json_key(key))


def _nothing(scope: Quarantined, ledger: Ledger) -> str:
    of = f" of class {scope.error}" if scope.error else ""
    text = f"nothing to redrive: run {scope.run!r} of job {scope.job!r} has no open failures{of}"
    last = ledger.runs.last(scope.job)
    if last is None:
        return f"{text}; the ledger knows no such job"
    return text if last == scope.run else f"{text}; its newest run is {last!r}"
