"""Tables of the matrix, filled and looked at past the proxy."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

from exactness.kinds import record_name

_numbers = itertools.count(1)
_PER_CALL = 25  # DynamoDB's limit of BatchWriteItem


def make(client: Any, records: int) -> str:
    """A new table with so many made-up records; its name."""
    name = f"cell-{next(_numbers)}"
    client.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
    )
    client.get_waiter("table_exists").wait(TableName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 30})
    put(client, name, range(records))
    return name


def put(client: Any, table: str, numbers: range) -> None:
    """Whole-item puts: whatever stood there before, stamps included, is gone."""
    for start in range(numbers.start, numbers.stop, _PER_CALL):
        batch = range(start, min(start + _PER_CALL, numbers.stop))
        rows = [{"PutRequest": {"Item": {"id": {"S": record_name(number)}}}} for number in batch]
        pending = {table: rows}
        while pending:
            pending = client.batch_write_item(RequestItems=pending).get("UnprocessedItems") or {}


def rows(client: Any, table: str) -> Iterator[dict[str, Any]]:
    """All of it, read consistently."""
    for page in client.get_paginator("scan").paginate(TableName=table, ConsistentRead=True):
        yield from page["Items"]
