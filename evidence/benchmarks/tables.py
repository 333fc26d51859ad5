"""The tables that are measured: cities of GeoNames, repeated under new ids until there are enough."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from typing import Any

from evidence.benchmarks.crowd import crowd
from evidence.benchmarks.measured import Run
from reindexer.dynamo.client import make_client
from testbed.cities import LARGE, cities

KEY = "id"
_BATCH = 25  # DynamoDB's most for BatchWriteItem
_TRIES = 20  # of a batch of which something comes back; half a minute with the waits below


def make_table(name: str, records: int, processes: int, inhabitants: int = LARGE) -> Run:
    """Create a table without a stream and fill it, from several processes. `inhabitants`: see `cities`."""
    client: Any = make_client(lean=False)
    client.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": KEY, "AttributeType": "S"}],
        KeySchema=[{"AttributeName": KEY, "KeyType": "HASH"}],
    )
    client.get_waiter("table_exists").wait(TableName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    return crowd(prepare, processes, name, records, inhabitants)


def prepare(number: int, count: int, table: str, records: int, inhabitants: int) -> Callable[[], int]:
    """Every `count`-th city, ready to be written."""
    client: Any = make_client(lean=False)
    client.describe_table(TableName=table)
    items = list(itertools.islice(cities(records, inhabitants), number, None, count))

    def work() -> int:
        for start in range(0, len(items), _BATCH):
            _write(client, table, items[start : start + _BATCH])
        return len(items)

    return work


def _write(client: Any, table: str, batch: list[dict[str, Any]]) -> None:
    requests: Any = {table: [{"PutRequest": {"Item": item}} for item in batch]}
    for tried in range(_TRIES):
        requests = client.batch_write_item(RequestItems=requests).get("UnprocessedItems")
        if not requests:
            return
        time.sleep(min(2.0, 0.05 * 2**tried))  # seconds; from a few answers' time to what a person bears
    raise RuntimeError(f"the engine left records of {table} unwritten {_TRIES} times")


def next_version() -> int:
    """A target above all before it: every run changes every record again. As the job's own default."""
    return int(time.time() * 1000)
