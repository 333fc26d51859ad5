"""Tables for tests: random names, every type of key, odd names, and rows to fill them with."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from reindexer.dynamo.table import TableClient
from reindexer.items import WireItem, WireKey
from reindexer.models import Attributes, KeyAttribute, Target, Touch

#: Attribute and table names that break whatever is not quoted or aliased: dots, dashes, reserved words, quotes.
ODD_NAMES = ["a.b", "a-b", "select", 'with "quotes"', "it's", "with space", "#hash", ":colon", "ünï"]

#: An index for partitions: tenants, and a number that not every row has.
BY_TENANT = {"by-tenant": [KeyAttribute(name="tenant", type="S"), KeyAttribute(name="at", type="N")]}


@dataclass(frozen=True)
class Table:
    """A table of a test: its client, its names, and the target that a round needs."""

    client: Any  # boto3's; typed stubs would want every wire dictionary spelt out
    name: str
    arn: str
    id: str
    key: tuple[KeyAttribute, ...]

    @property
    def calls(self) -> TableClient:
        return TableClient(self.client, self.name)

    def target(self, version: int = 7, stamp: str = "run-1", writer: str = "partiql", **more: Any) -> Target:
        fields: dict[str, Any] = {"attributes": Attributes(), "operation": Touch(), **more}
        return Target(
            table=self.name,
            table_arn=self.arn,
            table_id=self.id,
            key=list(self.key),
            version=version,
            stamp=stamp,
            writer=writer,
            **fields,
        )

    def put(self, *items: WireItem) -> None:
        """Puts items, 25 a call (DynamoDB's limit)."""
        for start in range(0, len(items), 25):
            pending = {self.name: [{"PutRequest": {"Item": item}} for item in items[start : start + 25]]}
            while pending:
                pending = self.client.batch_write_item(RequestItems=pending).get("UnprocessedItems") or {}

    def fill(self, rows: int, **attributes: Any) -> list[WireKey]:
        """Puts `rows` items with made-up keys, and returns their keys."""
        keys = [made_up_key(self.key, number) for number in range(rows)]
        self.put(*({**key, **attributes} for key in keys))
        return keys

    def get(self, key: WireKey) -> WireItem | None:
        item: WireItem | None = self.client.get_item(TableName=self.name, Key=key, ConsistentRead=True).get(
            "Item"
        )
        return item

    def items(self) -> Iterator[WireItem]:
        """All items, read consistently."""
        for page in self.client.get_paginator("scan").paginate(TableName=self.name, ConsistentRead=True):
            yield from page["Items"]

    def drop(self) -> None:
        try:
            self.client.delete_table(TableName=self.name)
        except ClientError as error:
            if error.response["Error"]["Code"] != "ResourceNotFoundException":  # a test may have dropped it
                raise


def made_up_key(key: Sequence[KeyAttribute], number: int) -> WireKey:
    """A key of the given types; the same number gives the same key."""
    values: dict[str, dict[str, Any]] = {
        "S": {"S": f"row-{number:06}"},
        "N": {"N": str(number)},
        "B": {"B": b"\x00row" + number.to_bytes(4, "big")},
    }
    return {attribute.name: values[attribute.type] for attribute in key}


_numbers = itertools.count()


def create_table(
    client: Any,
    *,
    hash_type: str = "S",
    range_type: str | None = None,
    hash_name: str = "id",
    range_name: str = "sort",
    name: str | None = None,
    rows: int = 0,
    stream: str | None = None,
    indexes: Mapping[str, Sequence[KeyAttribute]] | None = None,
) -> Table:
    """A new table, ready for use. `stream`: a view type such as NEW_IMAGE; `rows`: made-up rows in it.

    `indexes`: global ones, keys alone projected: name → partition key and, if any, sort key.
    """
    name = name or f"table.{next(_numbers)}-{uuid.uuid4().hex[:8]}_x"  # every character a table name may have
    key = [KeyAttribute(name=hash_name, type=hash_type)]
    if range_type:
        key.append(KeyAttribute(name=range_name, type=range_type))
    more: dict[str, Any] = {}
    if stream:
        more["StreamSpecification"] = {"StreamEnabled": True, "StreamViewType": stream}
    if indexes:
        more["GlobalSecondaryIndexes"] = [
            {"IndexName": index, "KeySchema": _schema(parts), "Projection": {"ProjectionType": "KEYS_ONLY"}}
            for index, parts in indexes.items()
        ]
    attributes = {part.name: part.type for parts in (key, *(indexes or {}).values()) for part in parts}
    client.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": n, "AttributeType": kind} for n, kind in attributes.items()],
        KeySchema=_schema(key),
        **more,
    )
    client.get_waiter("table_exists").wait(TableName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 30})
    about = client.describe_table(TableName=name)["Table"]
    identity = str(about.get("TableId") or about["CreationDateTime"].isoformat())
    table = Table(client, name, about["TableArn"], identity, tuple(key))
    table.fill(rows)
    return table


def _schema(key: Sequence[KeyAttribute]) -> list[dict[str, str]]:
    kinds = ("HASH", "RANGE")
    return [{"AttributeName": part.name, "KeyType": kind} for part, kind in zip(key, kinds, strict=False)]
