"""Tables of the matrix, filled and looked at past the proxy."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

_numbers = itertools.count(1)
_PER_CALL = 25  # DynamoDB's limit of BatchWriteItem


def make(client: Any, records: int, row: Callable[[int], dict[str, Any]]) -> str:
    """A new table with so many records, made up by `row`; its name."""
    name = f"cell-{next(_numbers)}"
    client.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
    )
    client.get_waiter("table_exists").wait(TableName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 30})
    put(client, name, map(row, range(records)))
    return name


def put(client: Any, table: str, items: Iterable[dict[str, Any]]) -> None:
    """Whole-item puts: whatever stood there before, stamps included, is gone."""
    left = iter(items)
    while batch := list(itertools.islice(left, _PER_CALL)):
        pending = {table: [{"PutRequest": {"Item": item}} for item in batch]}
        while pending:
            pending = client.batch_write_item(RequestItems=pending).get("UnprocessedItems") or {}


def rows(client: Any, table: str) -> Iterator[dict[str, Any]]:
    """All of it, read consistently."""
    for page in client.get_paginator("scan").paginate(TableName=table, ConsistentRead=True):
        yield from page["Items"]
