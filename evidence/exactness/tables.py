"""Tables of the matrix, filled and looked at past the proxy."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import Any

from evidence.exactness.scenes import Scene

_numbers = itertools.count(1)
_PER_CALL = 25  # DynamoDB's limit of BatchWriteItem


def make(client: Any, scene: Scene, rows: Iterable[dict[str, Any]], *, stream: bool = False) -> str:
    """A new table of the scene with these rows; its name. `stream`: with both images."""
    name = f"cell-{next(_numbers)}"
    more: dict[str, Any] = {}
    types = dict(scene.types)
    if scene.index:
        types["tenant"] = "S"
        keys = {"KeySchema": _schema(["tenant"]), "Projection": {"ProjectionType": "KEYS_ONLY"}}
        more["GlobalSecondaryIndexes"] = [{"IndexName": scene.index, **keys}]
    if stream:
        more["StreamSpecification"] = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
    client.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": kind} for name, kind in types.items()],
        KeySchema=_schema(list(scene.types)),
        **more,
    )
    client.get_waiter("table_exists").wait(TableName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 30})
    put(client, name, rows)
    return name


def _schema(names: list[str]) -> list[dict[str, str]]:
    return [
        {"AttributeName": name, "KeyType": kind} for name, kind in zip(names, ("HASH", "RANGE"), strict=False)
    ]


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
