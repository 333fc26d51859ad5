"""What people write today: one process, a scan, UpdateItem on a pool of threads, boto3 as it comes."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
from botocore.config import Config

from evidence.benchmarks.crowd import crowd
from evidence.benchmarks.measured import Run
from evidence.benchmarks.tables import KEY, next_version

_THREADS = 16  # what such scripts take; boto3's own default pool has 10 connections, so it is raised, too


def run_script(table: str, records: int) -> Run:
    """As many of the table's first records as asked for."""
    return crowd(prepare, 1, table, records, next_version())


def prepare(_number: int, _count: int, table: str, records: int, version: int) -> Callable[[], int]:
    """A client with an open connection, and the script's body."""
    client: Any = boto3.client("dynamodb", config=Config(max_pool_connections=_THREADS))
    client.describe_table(TableName=table)

    def touch(key: Any) -> None:
        client.update_item(
            TableName=table,
            Key={KEY: key},
            UpdateExpression="SET #v = :v, #r = :r",
            ConditionExpression="attribute_exists(#k) AND NOT #v >= :v",
            ExpressionAttributeNames={"#v": "reindexVersion", "#r": "reindexRun", "#k": KEY},
            ExpressionAttributeValues={":v": {"N": str(version)}, ":r": {"S": f"script-{version}"}},
        )

    def work() -> int:
        with ThreadPoolExecutor(_THREADS) as pool:
            return sum(1 for _ in pool.map(touch, itertools.islice(_keys(client, table), records)))

    return work


def _keys(client: Any, table: str) -> Iterator[Any]:
    for page in client.get_paginator("scan").paginate(TableName=table, ProjectionExpression=KEY):
        for row in page["Items"]:
            yield row[KEY]
