"""A table that is followed while it is measured: its writers and its shards."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from temporalio.client import Client, WorkflowHandle

from activities.look import look_at
from evidence.benchmarks.destinations import PROBE, Destination, probed
from evidence.benchmarks.tables import KEY
from reindexer.dynamo.client import make_client
from testbed.cities import cities
from testbed.job import outcome, until
from testbed.stack import Stack

_BATCH = 25  # DynamoDB's most for BatchWriteItem
_LOOK = 0.1  # seconds between two looks at the shards: a look costs the server milliseconds
_DRAINS = 180.0  # seconds until readers have the index: a minute of empty pages, and what comes before


def make_streamed(name: str) -> str:
    """An empty table with a stream of both images; the stream's ARN."""
    client: Any = make_client(lean=False)
    client.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": KEY, "AttributeType": "S"}],
        KeySchema=[{"AttributeName": KEY, "KeyType": "HASH"}],
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    )
    client.get_waiter("table_exists").wait(TableName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    return str(client.describe_table(TableName=name)["Table"]["LatestStreamArn"])


def prepare_changes(
    number: int, count: int, table: str, records: int, changes: int, turn: int
) -> Callable[[], int]:
    """Ready to write: this process's part of `changes` to `records` cities, one after another."""
    client: Any = make_client(lean=False)
    client.describe_table(TableName=table)
    mine = list(itertools.islice(cities(records), number, None, count))
    left = len(range(number, changes, count))

    def work() -> int:
        wave = itertools.cycle(mine)
        for start in range(0, left, _BATCH):
            items = itertools.islice(wave, min(_BATCH, left - start))
            puts = [{"PutRequest": {"Item": _changed(item, turn + start)}} for item in items]
            pending: Any = {table: puts}
            while pending:
                pending = client.batch_write_item(RequestItems=pending).get("UnprocessedItems")
        return left

    return work


def _changed(item: dict[str, Any], turn: int) -> dict[str, Any]:
    return {**item, "turn": {"N": str(turn)}}


@dataclass
class Followed:
    """One follow. `lineages`: how many of the job's shards follow; they are its first."""

    servers: Stack
    to: Destination
    table: str
    stream: str
    lineages: int = 1
    run: str = ""

    @property
    def job(self) -> str:
        """Its workflow."""
        return self.to.name

    async def start(self, *, drain: bool = True) -> WorkflowHandle[Any, Any]:
        """Started, and where `drain` is asked for, with the destination given to readers."""
        client = await self.servers.connect()
        limits = dict.fromkeys(("records_per_second", "read_units_per_second"), "unlimited")
        job = {"table": self.table, "operation": self.to.operation, "limits": limits}
        queue = self.servers.queue
        handle = await client.start_workflow("FollowTable", job, id=self.job, task_queue=queue)
        seen = await until(handle, lambda seen: bool(seen.get("drained" if drain else "run")), _DRAINS)
        self.run = str(seen["run"])
        return handle

    async def handle(self) -> WorkflowHandle[Any, Any]:
        """The follow's, for a loop that did not start it."""
        return (await self.servers.connect()).get_workflow_handle(self.job)

    async def settled(self, client: Client) -> int:
        """Changes that are settled so far, by the shards' heartbeats, which are half a second old."""
        names = {number: f"shard-{number:03}" for number in range(self.lineages)}
        looked = await look_at(client, self.job, self.run, names)
        every = [seen.situation.summary.counts + seen.running for seen in looked.shards.values()]
        return sum(counts.tally.scanned for counts in every)

    async def until_settled(self, client: Client, number: int, seconds: float = 600.0) -> None:
        """Wait until that many are. Raises `TimeoutError`."""
        async with asyncio.timeout(seconds):
            while await self.settled(client) < number:
                await asyncio.sleep(_LOOK)

    async def end(self) -> None:
        """Cancel it, and remove what it wrote."""
        handle = await self.handle()
        await handle.cancel()
        await outcome(handle)
        self.to.remove()

    def put(self, number: int, probe: str) -> None:
        """One change, to be looked for."""
        _writer().put_item(TableName=self.table, Item={KEY: {"S": probed(number)}, PROBE: {"S": probe}})


_clients: list[Any] = []


def _writer() -> Any:
    """boto3's client, made once."""
    if not _clients:
        _clients.append(make_client(lean=False))
    return _clients[0]


class Trickle:
    """Changes at a given rate, one by one, until it is stopped; runs in the event loop."""

    def __init__(self, followed: Followed, per_second: float) -> None:
        self._followed, self._every = followed, 1 / per_second
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Trickle:
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None
        self._task.cancel()

    async def _run(self) -> None:
        for number in itertools.count():
            began = time.monotonic()
            await asyncio.to_thread(self._followed.put, -1 - number % 100, "")
            await asyncio.sleep(max(0.0, self._every - (time.monotonic() - began)))
