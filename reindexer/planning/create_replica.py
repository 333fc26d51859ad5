"""Creating a replica: with keys, indexes and capacity mode of its table, and a time to live of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from reindexer.answers import CallFailed
from reindexer.dynamo.table import TableClient
from reindexer.errors import BadInput, Refused, Unavailable
from reindexer.items import GONE
from reindexer.models import Replicate
from reindexer.planning.asking import ask, verdict
from reindexer.planning.facts import IMPOSSIBLE, MISSING, Described, describe, named

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

#: What is said of a table that is not there for good, by its state.
_WAITS = {
    "CREATING": "DynamoDB is creating the replica {table}",
    "DELETING": "DynamoDB is deleting a table called {table}; the replica is created once that is gone",
}
_IS = "the table {table} is {state}"
_FIELD = "operation.to.table"


def find_replica(
    operation: Replicate, source: Described, client: DynamoDBClient, *, rescans: bool = False
) -> Described | None:
    """The replica as the job is going to have it; nothing is touched. None: as it is described.

    One that is going to be made has no ARN yet. `rescans`: a follow has filled it, and none is made instead.

    Raises `Unavailable`, to be tried again, while DynamoDB makes it; `BadInput`, `Refused` and
    `EnvironmentFault` where there can be none.
    """
    name = operation.to.table
    if not (operation.create or rescans):
        return None
    named(name, client, _FIELD)  # or refuses it
    table = TableClient(client, name)
    state = _state(table)
    if state is None and rescans:
        raise replica_gone(name)
    if state is None and name.startswith("arn:"):
        raise BadInput(f"there is no {name}; name the table that is to be created", _FIELD)
    if state is None:
        return _to_be_made(table, source)
    if state != "ACTIVE" and state != "UPDATING":
        raise Unavailable("TableNotActive", _WAITS.get(state, _IS).format(table=name, state=state))
    found = describe(name, client, _FIELD)
    own = not rescans and found.ttl is None and found.ttl_unknown is None
    return replace(found, ttl=GONE) if own else found


def replica_gone(name: str) -> Refused:
    """What a follow is refused whose replica was deleted, whether another table has its name now or not."""
    return Refused(
        f"the replica {name} that this follow has filled was deleted; cancel the follow, and start another",
        "ReplicaGone",
    )


def create_replica(name: str, source: Described, client: DynamoDBClient) -> None:
    """Have DynamoDB begin to make it; it may be repeated. Raises `EnvironmentFault`, `Refused`."""
    table = TableClient(client, name)
    try:
        ask(table, "create_table", **parameters(name, source.description))
    except CallFailed as failed:
        if failed.failure.code != "ResourceInUseException":  # another attempt has just begun it
            raise verdict(failed, "dynamodb:CreateTable", name) from failed


def _to_be_made(table: TableClient, source: Described) -> Described:
    """It holds nothing, and has neither stream nor replicas of its own."""
    facts = {"items": 0, "size_bytes": 0, "stream": None, "kinesis": False, "point_in_time_recovery": None}
    return replace(
        source,
        table=table,
        arn="",
        identity="",
        facts=source.facts.model_copy(update=facts),
        description={**source.description, "Replicas": []},
        ttl=GONE,
        ttl_unknown=None,
    )


def _state(table: TableClient) -> str | None:
    try:
        return str(ask(table, "describe_table", TableName=table.table)["Table"]["TableStatus"])
    except CallFailed as failed:
        if failed.failure.code in MISSING:
            return None
        if failed.failure.code in IMPOSSIBLE:
            raise BadInput(f"{table.table!r} cannot be a table: {failed.failure.message}", _FIELD) from failed
        raise verdict(failed, "dynamodb:DescribeTable", table.table) from failed


def expire(table: TableClient) -> None:
    """Have DynamoDB remove tombstones, unless the table has a time to live; it may be repeated.

    Raises `EnvironmentFault`, `Refused`.
    """
    wanted = {"Enabled": True, "AttributeName": GONE}
    try:
        found = ask(table, "describe_time_to_live", TableName=table.table).get("TimeToLiveDescription", {})
        if found.get("TimeToLiveStatus", "DISABLED") == "DISABLED":
            ask(table, "update_time_to_live", TableName=table.table, TimeToLiveSpecification=wanted)
    except CallFailed as failed:
        raise verdict(failed, "dynamodb:UpdateTimeToLive", table.table) from failed


def parameters(name: str, description: Mapping[str, Any]) -> dict[str, Any]:
    """CreateTable's parameters for a table like the one that is described."""
    mode = (description.get("BillingModeSummary") or {}).get("BillingMode", "PROVISIONED")
    provisioned = mode == "PROVISIONED"
    made: dict[str, Any] = {
        "TableName": name,
        "AttributeDefinitions": list(description["AttributeDefinitions"]),
        "KeySchema": list(description["KeySchema"]),
        "BillingMode": mode,
    }
    if provisioned:
        made["ProvisionedThroughput"] = _throughput(description)
    for kind in ("GlobalSecondaryIndexes", "LocalSecondaryIndexes"):
        indexes = [
            {name: index[name] for name in ("IndexName", "KeySchema", "Projection")}
            for index in description.get(kind) or []
        ]
        if provisioned and kind == "GlobalSecondaryIndexes":  # a local one has the table's
            for made_index, index in zip(indexes, description.get(kind) or [], strict=True):
                made_index["ProvisionedThroughput"] = _throughput(index)
        if indexes:
            made[kind] = indexes
    return made


def _throughput(described: Mapping[str, Any]) -> dict[str, int]:
    given = described.get("ProvisionedThroughput") or {}
    return {name: max(1, int(given.get(name, 1))) for name in ("ReadCapacityUnits", "WriteCapacityUnits")}
