"""Whether the job may and can do what it is going to do: tried on a key that no item has.

A permission is only known by use, and whether an engine honours conditions too. Nothing real is read or changed
by it beyond one row of a scan.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from reindexer.dynamo.table import CallFailed, TableClient
from reindexer.dynamo.taxonomy import Action, Failure, of_statement
from reindexer.dynamo.wire import Stamp, StatementBuilder, update_parameters
from reindexer.errors import EnvironmentFault, Refused
from reindexer.items import Write
from reindexer.models import Attributes, KeyAttribute, PartitionScope
from reindexer.planning.asking import DENIED, UNKNOWN_OPERATION, ask, denied, verdict
from reindexer.planning.partition_scope import where
from reindexer.sinks.table import impossible_key
from reindexer.throttle import backoff

Writer = Literal["partiql", "update_item", "none"]

#: Tries of a statement that is throttled or answered by 5xx inside a 200; the call itself has its own.
_STATEMENT_TRIES = 4


@dataclass(frozen=True, slots=True)
class Probe:
    """What one probe showed. `usable`: the condition was refused, as it must be. `failure` None: it was not."""

    usable: bool
    failure: Failure | None = None

    @property
    def denied(self) -> bool:
        return self.failure is not None and self.failure.code in DENIED


def probe_access(
    table: TableClient,
    key: Sequence[KeyAttribute],
    attributes: Attributes,
    *,
    writes: bool,
    within: PartitionScope | None = None,
) -> tuple[Writer, list[str]]:
    """How records are going to be written, and warnings about it. `writes` False: reads alone are tried.

    Raises `Refused` naming every IAM action that is missing, `EnvironmentFault` for anything else in the way.
    """
    missing = _missing_reads(table, key, within)
    if not writes:
        if missing:
            raise denied(missing, table.table)
        return "none", []
    batch = _partiql(table, key, attributes)
    if batch.usable and not missing:
        return "partiql", []
    single = _update_item(table, key, attributes)
    if not single.usable and not batch.usable:
        if single.denied:
            raise denied([*missing, "dynamodb:PartiQLUpdate", "dynamodb:UpdateItem"], table.table)
        raise _unusable(table, single)
    if missing:
        raise denied(missing, table.table)
    return "update_item", [_why_single(batch)]


def _missing_reads(table: TableClient, key: Sequence[KeyAttribute], within: PartitionScope | None) -> list[str]:
    """The IAM actions for reading that are denied."""
    request = {table.table: {"Keys": [impossible_key(key)], "ConsistentRead": True}}
    reads: list[tuple[str, str, dict[str, Any]]] = [
        ("dynamodb:Scan", "scan", {"TableName": table.table, "Limit": 1}),
        ("dynamodb:BatchGetItem", "batch_get_item", {"RequestItems": request}),
    ]
    if within is not None:
        of = f" on {where(table.table, within.index)}" if within.index else ""
        reads.append((f"dynamodb:Query{of}", "query", _query(table, within)))
    missing = []
    for action, operation, parameters in reads:
        try:
            ask(table, operation, **parameters)
        except CallFailed as failed:
            if failed.failure.code not in DENIED:
                raise verdict(failed, action, table.table) from failed
            missing.append(action)
    return missing


def _query(table: TableClient, within: PartitionScope) -> dict[str, Any]:
    """A Query of a partition that nothing is in."""
    name = within.partition.name
    return {
        "TableName": table.table,
        "Limit": 1,
        **({"IndexName": within.index} if within.index else {}),
        "KeyConditionExpression": "#k = :k",
        "ExpressionAttributeNames": {"#k": name},
        "ExpressionAttributeValues": {":k": impossible_key([within.partition])[name]},
    }


def _stamp(attributes: Attributes) -> Stamp:
    return Stamp(attributes.version, attributes.run, 1, "probe")  # any version: the item does not exist


def _partiql(table: TableClient, key: Sequence[KeyAttribute], attributes: Attributes) -> Probe:
    """An UPDATE of an item that does not exist must be refused; who answers "done" ignores conditions."""
    names = tuple(attribute.name for attribute in key)
    builder = StatementBuilder(table.table, names, _stamp(attributes))
    statement = builder.statement(impossible_key(key), Write())
    for tried in range(1, _STATEMENT_TRIES + 1):
        try:
            answer: dict[str, Any] = ask(table, "batch_execute_statement", Statements=[statement])
        except CallFailed as failed:
            return _refused(table, "dynamodb:PartiQLUpdate", failed)
        responses = answer.get("Responses") or [{}]
        error = responses[0].get("Error")
        if not error:
            return Probe(False)
        failure = of_statement(error)
        if failure.action not in (Action.WAIT, Action.RETRY) or tried == _STATEMENT_TRIES:
            return _refused(table, "dynamodb:PartiQLUpdate", CallFailed(failure))
        # Statement errors come inside a 200: the same call again is a new attempt.
        time.sleep(backoff(tried))
    raise AssertionError("unreachable: the last try returns")


def _update_item(table: TableClient, key: Sequence[KeyAttribute], attributes: Attributes) -> Probe:
    """The same through UpdateItem, which creates a missing item unless its condition is honoured."""
    names = tuple(attribute.name for attribute in key)
    parameters = update_parameters(impossible_key(key), Write(), _stamp(attributes), names)
    try:
        ask(table, "update_item", TableName=table.table, **parameters)
    except CallFailed as failed:
        return _refused(table, "dynamodb:UpdateItem", failed)
    return Probe(False)


def _refused(table: TableClient, action: str, failed: CallFailed) -> Probe:
    """What a refused probe shows. Raises where it shows nothing: a busy service, expired credentials."""
    failure = failed.failure
    tells = failure.code in (*DENIED, *UNKNOWN_OPERATION) or not failure.known
    if failure.action in (Action.WAIT, Action.RETRY, Action.LEAVE, Action.PARK) and not tells:
        raise verdict(failed, action, table.table) from failed
    return Probe(failure.action is Action.SETTLE, failure)


def _unusable(table: TableClient, probe: Probe) -> EnvironmentFault | Refused:
    """Neither way of writing works, and it is not a matter of permissions."""
    if probe.failure is None:
        return Refused(
            f"the service behind {table.table} ignores conditions: it accepted a write to an item that "
            "does not exist, so records could be written twice or backwards",
            "NoConditionalWrites",
        )
    return verdict(CallFailed(probe.failure), "dynamodb:UpdateItem", table.table)


def _why_single(batch: Probe) -> str:
    failure = batch.failure
    if failure is None:
        why = "the service ignores conditions in PartiQL"
    elif batch.denied:
        why = "dynamodb:PartiQLUpdate is denied"
    elif failure.code in UNKNOWN_OPERATION:
        why = "the service knows no BatchExecuteStatement"
    else:
        why = f"a conditional PartiQL update was answered by {failure.code}: {failure.message}"
    return f"records are written one by one through UpdateItem, which is much slower: {why}"
