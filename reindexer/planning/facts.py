"""What DynamoDB says of the table: found by name or ARN, described, and put into `TableFacts`."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reindexer.answers import CallFailed
from reindexer.dynamo.identity import table_id
from reindexer.dynamo.table import TableClient
from reindexer.errors import BadInput, Refused
from reindexer.models import KeyAttribute, TableFacts
from reindexer.planning.asking import UNKNOWN_OPERATION, ask, verdict

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

#: arn:<partition>:dynamodb:<region>:<account>:table/<name>
_ARN = re.compile(r"arn:[^:]+:dynamodb:(?P<region>[^:]*):(?P<account>[^:]*):table/(?P<name>[A-Za-z0-9_.-]+)$")
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,255}$")  # DynamoDB's characters and length
#: Why the TTL attribute is not known to credentials that may not ask for it.
TTL_DENIED = "dynamodb:DescribeTimeToLive is denied"
#: Codes of DescribeTable: there is no such table; no table can have that name.
MISSING = frozenset(("ResourceNotFoundException", "TableNotFoundException"))
IMPOSSIBLE = frozenset(("ValidationException", "ValidationError"))
_LIST_CALLS = 10  # pages of 100 names looked through for a near name: enough, and done within a second


@dataclass(frozen=True, slots=True)
class Described:
    """One table. `index_keys`: index name → its key attributes."""

    table: TableClient
    arn: str
    identity: str
    key: list[KeyAttribute]
    facts: TableFacts
    index_keys: Mapping[str, list[str]]
    description: Mapping[str, Any]
    kinesis_unknown: str | None  # why it could not be asked whether changes go to a Kinesis stream
    ttl: str | None = None  # the attribute by which records expire
    ttl_unknown: str | None = None  # why it could not be asked for


def describe(given: str, client: DynamoDBClient, field: str = "table") -> Described:
    """Find and describe the table that `given`, a name or an ARN, means. `field`: of the input that names it.

    Raises `BadInput` for the field where there is no such table here, naming near names, `Refused` where
    it is not ACTIVE or may not be described, `EnvironmentFault` where AWS cannot be asked.
    """
    table = named(given, client, field)
    region = client.meta.region_name
    description = _describe(table, given, region, field)
    if given != table.table and description["TableArn"] != given:
        raise BadInput(
            f"{given} is not within reach: this worker finds {description['TableArn']} under that name; "
            f"a job runs in the table's own Region and account (here: {region})",
            field,
        )
    if description["TableStatus"] not in (
        "ACTIVE",
        "UPDATING",
    ):  # while updating it is read and written as ever
        raise Refused(
            f"table {table.table} is {description['TableStatus']}; a job needs it ACTIVE", "TableNotActive"
        )
    types = {entry["AttributeName"]: entry["AttributeType"] for entry in description["AttributeDefinitions"]}
    keys = sorted(description["KeySchema"], key=lambda entry: str(entry["KeyType"]))  # HASH before RANGE
    kinesis, unknown = _kinesis(table)
    ttl, ttl_unknown = _time_to_live(table)
    return Described(
        table=table,
        arn=description["TableArn"],
        identity=table_id(description),
        key=[KeyAttribute(name=k["AttributeName"], type=types[k["AttributeName"]]) for k in keys],
        facts=_facts(table, description, region, kinesis=kinesis),
        index_keys={
            index["IndexName"]: [entry["AttributeName"] for entry in index["KeySchema"]]
            for index in _indexes(description)
        },
        description=description,
        kinesis_unknown=unknown,
        ttl=ttl,
        ttl_unknown=ttl_unknown,
    )


def named(given: str, client: DynamoDBClient, field: str = "table") -> TableClient:
    """The table of that name or ARN, whether there is one or not. Raises `BadInput` where it is neither."""
    arn = _ARN.match(given)
    if arn is None and not _NAME.match(given):
        raise BadInput(
            f"{given!r} is neither a table's name (letters, digits, and _ . -) nor its ARN, "
            "arn:aws:dynamodb:REGION:ACCOUNT:table/NAME",
            field,
        )
    return TableClient(client, arn["name"] if arn else given)


def _describe(table: TableClient, given: str, region: str, field: str) -> Mapping[str, Any]:
    try:
        answer: Mapping[str, Any] = ask(table, "describe_table", TableName=table.table)["Table"]
    except CallFailed as failed:
        code = failed.failure.code
        if code in MISSING:
            raise BadInput(f"there is no table {given} in {region}{_near(table)}", field) from failed
        if code in IMPOSSIBLE:
            raise BadInput(f"{given!r} cannot be a table: {failed.failure.message}", field) from failed
        raise verdict(failed, "dynamodb:DescribeTable", given) from failed
    return answer


def _near(table: TableClient) -> str:
    """`; did you mean …?`, if tables may be listed and one is called alike."""
    names: list[str] = []
    start: dict[str, str] = {}
    try:
        for _ in range(_LIST_CALLS):
            answer = ask(table, "list_tables", tries=2, **start)
            names += answer.get("TableNames", [])
            if not answer.get("LastEvaluatedTableName"):
                break
            start = {"ExclusiveStartTableName": answer["LastEvaluatedTableName"]}
    except CallFailed:
        return ""  # not to be listed: then there is no hint
    near = difflib.get_close_matches(table.table, names, n=3)
    if near:
        return f"; did you mean {' or '.join(near)}?"
    return "; there are no tables at all" if not names else ""


def _indexes(description: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [
        *(description.get("GlobalSecondaryIndexes") or []),
        *(description.get("LocalSecondaryIndexes") or []),
    ]


def _facts(table: TableClient, description: Mapping[str, Any], region: str, *, kinesis: bool) -> TableFacts:
    parts = description["TableArn"].split(":")  # arn:aws:dynamodb:REGION:ACCOUNT:table/…
    stream = description.get("StreamSpecification") or {}
    return TableFacts(
        account=parts[4] if len(parts) > 4 else "",
        region=parts[3] if len(parts) > 3 else region,
        items=max(0, int(description.get("ItemCount") or 0)),
        size_bytes=max(0, int(description.get("TableSizeBytes") or 0)),
        indexes=[index["IndexName"] for index in _indexes(description)],
        stream=stream.get("StreamViewType") if stream.get("StreamEnabled") else None,
        kinesis=kinesis,
        point_in_time_recovery=_recovery(table),
    )


def _kinesis(table: TableClient) -> tuple[bool, str | None]:
    """(whether changes go to a Kinesis data stream, why that is not known). Not knowing it is no failure."""
    try:
        answer = ask(table, "describe_kinesis_streaming_destination", tries=2, TableName=table.table)
    except CallFailed as failed:
        code = failed.failure.code
        if failed.failure.denied:
            return False, "dynamodb:DescribeKinesisStreamingDestination is denied"
        return False, None if code in UNKNOWN_OPERATION else f"asked for it, DynamoDB answers {code}"
    states = [entry.get("DestinationStatus") for entry in answer.get("KinesisDataStreamDestinations", [])]
    return any(state in ("ACTIVE", "ENABLING", "UPDATING") for state in states), None


def _time_to_live(table: TableClient) -> tuple[str | None, str | None]:
    """(the attribute by which records expire, why that is not known). Not knowing it is no failure."""
    try:
        answer = ask(table, "describe_time_to_live", tries=2, TableName=table.table)
    except CallFailed as failed:
        code = failed.failure.code
        if failed.failure.denied:
            return None, TTL_DENIED
        return None, None if code in UNKNOWN_OPERATION else f"asked for it, DynamoDB answers {code}"
    described = answer.get("TimeToLiveDescription", {})
    on = described.get("TimeToLiveStatus") in ("ENABLED", "ENABLING")  # the latter for up to an hour
    return described.get("AttributeName") if on else None, None


def _recovery(table: TableClient) -> bool | None:
    """Whether point-in-time recovery is on; None where it cannot be asked."""
    try:
        answer = ask(table, "describe_continuous_backups", tries=2, TableName=table.table)
    except CallFailed:
        return None
    backups = answer.get("ContinuousBackupsDescription", {})
    state = backups.get("PointInTimeRecoveryDescription", {}).get("PointInTimeRecoveryStatus")
    return None if state is None else state == "ENABLED"
