"""Creating a replica: with keys, indexes and capacity mode of its table, and a time to live of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from reindexer.answers import CallFailed
from reindexer.dynamo.table import TableClient
from reindexer.errors import BadInput, Unavailable
from reindexer.items import GONE
from reindexer.models import With
from reindexer.planning.asking import ask, verdict
from reindexer.planning.facts import IMPOSSIBLE, MISSING, Described, named

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

#: What is said of a table that is not there for good, by its state.
_WAITS = {
    "CREATING": "DynamoDB is creating the replica {table}",
    "DELETING": "DynamoDB is deleting a table called {table}; the replica is created once that is gone",
}
_IS = "the table {table} is {state}"
_FIELD = "operation.to.table"


def ensure_replica(to: With, source: Described, client: DynamoDBClient, *, preview: bool) -> Described | None:
    """Create the replica where there is no table of its name, and give one without a time to live its own.

    None: it is there. A preview makes nothing: what it describes is the table that is going to be made, which
    has no ARN yet. Raises `Unavailable`, to be tried again, while DynamoDB makes it; `BadInput`, `Refused` and
    `EnvironmentFault` where it cannot be made.
    """
    named(to.table, client, _FIELD)  # or refuses it
    table = TableClient(client, to.table)
    state = _state(table)
    if state is None and to.table.startswith("arn:"):
        raise BadInput(f"there is no {to.table}; name the table that is to be created", _FIELD)
    if state is None and preview:
        return _to_be_made(table, source)
    if state is None:
        try:
            ask(table, "create_table", **parameters(to.table, source.description))
        except CallFailed as failed:
            if failed.failure.code != "ResourceInUseException":  # another attempt has just begun it
                raise verdict(failed, "dynamodb:CreateTable", to.table) from failed
        state = _state(table)
    if state != "ACTIVE" and state != "UPDATING":
        raise Unavailable("TableNotActive", _WAITS.get(str(state), _IS).format(table=to.table, state=state))
    if not preview:
        _expire(table)
    return None


def _to_be_made(table: TableClient, source: Described) -> Described:
    """It holds nothing, and has neither stream nor replicas of its own."""
    facts = {"items": 0, "size_bytes": 0, "stream": None, "kinesis": False, "point_in_time_recovery": False}
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


def _expire(table: TableClient) -> None:
    """Have DynamoDB remove tombstones, unless the table has another time to live."""
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
