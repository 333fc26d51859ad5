"""Whether the job may and can do what it is going to do: tried on a key that no item has, within its scope.

A permission is only known by use, and whether an engine honours conditions too. Nothing real is changed by it,
and at most one row is read.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from reindexer.answers import Action, CallFailed, Failure
from reindexer.dynamo.table import TableClient
from reindexer.dynamo.taxonomy import of_statement
from reindexer.dynamo.wire import Stamp, StatementBuilder, delete_parameters, update_parameters
from reindexer.errors import EnvironmentFault, Refused
from reindexer.items import WireKey, Write, wire_value
from reindexer.models import Attributes, PartitionScope
from reindexer.planning.asking import UNKNOWN_OPERATION, ask, denied, verdict
from reindexer.planning.partitions.scope import where
from reindexer.planning.reach import NO_RUN, Reach
from reindexer.sinks.table import another_impossible
from reindexer.tally import Outcome
from reindexer.throttle import backoff

Writer = Literal["partiql", "update_item", "bulk", "none"]
#: IAM actions of DynamoDB by which records are created and removed.
WriteAction = Literal["PartiQLInsert", "PartiQLDelete", "PutItem", "DeleteItem"]
#: What an outcome needs, in batches and one by one.
_COPYING: Mapping[Outcome, tuple[WriteAction, WriteAction]] = {
    Outcome.CREATED: ("PartiQLInsert", "PutItem"),
    Outcome.REMOVED: ("PartiQLDelete", "DeleteItem"),
}

#: Tries of a statement that is throttled or answered by 5xx inside a 200; the call itself has its own.
_STATEMENT_TRIES = 4


@dataclass(frozen=True, slots=True)
class Probe:
    """What one probe showed. `usable`: the condition was refused, as it must be. `failure` None: it was not."""

    usable: bool
    failure: Failure | None = None

    @property
    def denied(self) -> bool:
        return self.failure is not None and self.failure.denied


def probe_access(
    table: TableClient, reach: Reach, attributes: Attributes, *, writes: bool, by_key: bool = False
) -> tuple[Writer, list[str]]:
    """How records are going to be written, and warnings about it. `writes` False: reads alone are tried.

    `by_key`: single records are read by their keys besides.

    Raises `Refused` naming every IAM action that is missing, `EnvironmentFault` for anything else in the way.
    """
    missing = _missing_reads(table, reach, by_key=writes or by_key)
    if not writes:
        if missing:
            raise denied(missing, table.table)
        return "none", []
    batch = _tried(_partiql, table, reach, attributes)
    if batch.usable and not missing:
        return "partiql", []
    single = _tried(_update_item, table, reach, attributes)
    if not single.usable and not batch.usable:
        if single.denied:
            raise denied([*missing, "dynamodb:PartiQLUpdate", "dynamodb:UpdateItem"], table.table)
        raise _unusable(table, single)
    if missing:
        raise denied(missing, table.table)
    return "update_item", [_why_single(batch)]


def probe_copying(
    table: TableClient, reach: Reach, attributes: Attributes, writer: Writer, outcomes: Collection[Outcome]
) -> tuple[Writer, list[str]]:
    """How records are going to be created and removed, after `probe_access` has chosen a `writer`; warnings.

    Raises `Refused` naming every IAM action that is missing.
    """
    stamp = Stamp(attributes.version, attributes.run, 1, NO_RUN)
    pairs = [pair for outcome, pair in _COPYING.items() if outcome in outcomes]
    batches = [batch for batch, _ in pairs if writer == "partiql" and is_denied(batch, table, reach, stamp)]
    if writer == "partiql" and not batches:
        return writer, []
    missing: list[str] = [single for _, single in pairs if is_denied(single, table, reach, stamp)]
    if batches and _tried(_update_item, table, reach, attributes).denied:
        missing.append("UpdateItem")
    if missing:
        raise denied([f"dynamodb:{action}" for action in (*batches, *missing)], table.table)
    if writer == "update_item":
        return writer, []
    why = f"{' and '.join(f'dynamodb:{action}' for action in batches)} denied"
    return "update_item", [f"records are written one by one, which is much slower: {why}"]


def probe_replica(table: TableClient, reach: Reach, attributes: Attributes) -> tuple[Writer, list[str]]:
    """How items are going to be put into a replica, and warnings.

    Raises `Refused` naming every IAM action that is missing.
    """
    stamp = Stamp(attributes.version, attributes.run, 1, NO_RUN)
    missing = _missing_reads(table, reach, by_key=True)
    if is_denied("PutItem", table, reach, stamp):
        missing.append("dynamodb:PutItem")
    if missing:
        raise denied(missing, table.table)
    batch = _tried(_partiql, table, reach, attributes)
    if batch.usable and not is_denied("PartiQLInsert", table, reach, stamp):
        return "partiql", []
    why = "dynamodb:PartiQLInsert is denied" if batch.usable else _why_no_batch(batch)
    return "update_item", [f"records are put one by one, which is much slower: {why}"]


def is_denied(action: WriteAction, table: TableClient, reach: Reach, stamp: Stamp) -> bool:
    """Whether a write is denied, tried so that none happens. Anything but a denial shows itself later.

    Of keys that an item may have, a deletion asks for a run stamp that nothing carries. An INSERT knows no
    condition: it is tried on a key that no item has, beside an update that is refused, and so is the whole.
    Under a role limited to some partition keys there may be no such key; then it is not known.
    """
    keys = [(key, exists) for key, exists in reach.probe_keys if not (exists and action == "PartiQLInsert")]
    if len(keys) < len(reach.probe_keys):
        return False
    return all(_is_denied(action, table, key, stamp) for key, _ in keys)


def _is_denied(action: WriteAction, table: TableClient, key: WireKey, stamp: Stamp) -> bool:
    call, asked = _trial(action, table.table, key, stamp)
    try:
        # A cancelled transaction looks like an error that passes: one answer says all.
        answer = ask(table, call, **({"tries": 1} if action == "PartiQLInsert" else {}), **asked)
    except CallFailed as failed:
        return failed.failure.denied
    error = (answer.get("Responses") or [{}])[0].get("Error")
    return bool(error) and of_statement(error).denied


def _trial(action: WriteAction, table: str, key: WireKey, stamp: Stamp) -> tuple[str, dict[str, Any]]:
    """(call, its parameters) of a write that is refused, if it is not denied."""
    statements, delete = StatementBuilder(table, tuple(key), stamp), Write(delete=True)
    match action:
        case "PartiQLInsert":
            both = (statements.statement(key, Write(create=True)), statements.statement(_beside(key), Write()))
            return "execute_transaction", {"TransactStatements": list(both)}
        case "PartiQLDelete":
            return "batch_execute_statement", {"Statements": [statements.statement(key, delete)]}
        case "PutItem":
            never = {
                "ConditionExpression": "#r = :r",
                "ExpressionAttributeNames": {"#r": stamp.run_attribute},
                "ExpressionAttributeValues": {":r": stamp.mark_value},
            }
            return "put_item", {"TableName": table, "Item": key, **never}
        case "DeleteItem":
            return "delete_item", {"TableName": table, **delete_parameters(key, delete, stamp)}


def _beside(key: WireKey) -> WireKey:
    """Another key that no item has, of the same partition where there is a sort key."""
    name = list(key)[-1]
    return {**key, name: another_impossible(key[name])}


def _missing_reads(table: TableClient, reach: Reach, *, by_key: bool) -> list[str]:
    """The IAM actions for reading that are denied, of those that the scope needs."""
    within = reach.within
    reads: list[tuple[str, str, dict[str, Any]]] = []
    if reach.scans:
        reads.append(("dynamodb:Scan", "scan", {"TableName": table.table, "Limit": 1}))
    if by_key or reach.keys or (within is not None and within.index is not None):
        key, _ = reach.probe_keys[-1]
        request = {table.table: {"Keys": [key], "ConsistentRead": True}}
        reads.append(("dynamodb:BatchGetItem", "batch_get_item", {"RequestItems": request}))
    if within is not None:
        of = f" on {where(table.table, within.index)}" if within.index else ""
        reads.append((f"dynamodb:Query{of}", "query", _query(table, within, reach.values[0])))
    missing = []
    for action, operation, parameters in reads:
        try:
            ask(table, operation, **parameters)
        except CallFailed as failed:
            if not failed.failure.denied:
                raise verdict(failed, action, table.table) from failed
            missing.append(action)
    return missing


def _query(table: TableClient, within: PartitionScope, value: str) -> dict[str, Any]:
    """A Query of one row of a partition of the scope."""
    return {
        "TableName": table.table,
        "Limit": 1,
        **({"IndexName": within.index} if within.index else {}),
        "KeyConditionExpression": "#k = :k",
        "ExpressionAttributeNames": {"#k": within.partition.name},
        "ExpressionAttributeValues": {":k": wire_value(within.partition.type, value)},
    }


def _tried(
    way: Callable[[TableClient, WireKey, Write, Stamp], Probe],
    table: TableClient,
    reach: Reach,
    attributes: Attributes,
) -> Probe:
    """One way of writing, on the first key of the scope's that it is not denied for."""
    stamp = Stamp(attributes.version, attributes.run, 1, NO_RUN)  # any version: no item is written
    for key, exists in reach.probe_keys:
        # What may exist is asked to carry a run stamp that nothing does, so that no write succeeds.
        write = Write(guards={attributes.run: stamp.run_value}) if exists else Write()
        probe = way(table, key, write, stamp)
        if not probe.denied:
            break
    return probe


def _partiql(table: TableClient, key: WireKey, write: Write, stamp: Stamp) -> Probe:
    """An UPDATE of an item that does not exist must be refused; who answers "done" ignores conditions."""
    statement = StatementBuilder(table.table, tuple(key), stamp).statement(key, write)
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


def _update_item(table: TableClient, key: WireKey, write: Write, stamp: Stamp) -> Probe:
    """The same through UpdateItem, which creates a missing item unless its condition is honoured."""
    parameters = update_parameters(key, write, stamp, tuple(key))
    try:
        ask(table, "update_item", TableName=table.table, **parameters)
    except CallFailed as failed:
        return _refused(table, "dynamodb:UpdateItem", failed)
    return Probe(False)


def _refused(table: TableClient, action: str, failed: CallFailed) -> Probe:
    """What a refused probe shows. Raises where it shows nothing: a busy service, expired credentials."""
    failure = failed.failure
    tells = failure.denied or failure.code in UNKNOWN_OPERATION or not failure.known
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
    return f"records are written one by one through UpdateItem, which is much slower: {_why_no_batch(batch)}"


def _why_no_batch(batch: Probe) -> str:
    failure = batch.failure
    if failure is None:
        return "the service ignores conditions in PartiQL"
    if batch.denied:
        return "dynamodb:PartiQLUpdate is denied"
    if failure.code in UNKNOWN_OPERATION:
        return "the service knows no BatchExecuteStatement"
    return f"a conditional PartiQL update was answered by {failure.code}: {failure.message}"
