"""Following a table into an index on the real servers: equal once drained, whatever was written meanwhile."""

from __future__ import annotations

import asyncio
import random
import threading
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from testbed.faults import FaultPlan
from testbed.faults.search import SearchFaultPlan, SearchFaultProxy, search_fault_proxy
from testbed.job import outcome, until
from testbed.search import SearchServer
from testbed.stack import Stack
from tests.planted import Make, content
from tests.searching import ask
from tests.tables import Table, made_up_key
from tests.test_index_end_to_end import FAST, SLOW, Indexed

pytest_plugins = ["tests.search_proxied"]


class Writer:
    """Changes, creates and deletes rows, one after another, until it is asked to stop."""

    def __init__(self, table: Table, keys: int, seed: int = 1) -> None:
        self._table, self._keys = table, keys
        self._random = random.Random(seed)
        self._stop = threading.Event()
        self.writes = 0
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        while not self._stop.is_set():
            key = made_up_key(self._table.key, self._random.randrange(self._keys))
            if self._random.random() < 0.3:
                self._table.client.delete_item(TableName=self._table.name, Key=key)
            else:
                item = {**key, **content(self.writes, written={"N": str(self.writes)})}
                self._table.client.put_item(TableName=self._table.name, Item=item)
            self.writes += 1
            time.sleep(0.03)  # some 30 a second: of more, each costs a core 10 ms with all that follows them

    @contextmanager
    def running(self) -> Iterator[None]:
        self._thread.start()
        try:
            yield
        finally:
            self.stop()

    def stop(self) -> None:
        """Write no more."""
        self._stop.set()
        self._thread.join()


class Followed(Indexed):
    """A table with a stream."""

    def __init__(self, make_table: Make, search_proxy: SearchFaultProxy, search: str, **more: Any) -> None:
        super().__init__(make_table, search_proxy, search, stream="NEW_AND_OLD_IMAGES", **more)

    @property
    def stream(self) -> str:
        described = self.table.client.describe_table(TableName=self.table.name)
        return str(described["Table"]["LatestStreamArn"])

    async def start(self, stack: Stack, **more: Any) -> Any:
        client = await stack.connect()
        name = f"follow-{uuid.uuid4().hex[:8]}"
        return await client.start_workflow("FollowTable", self.job(**more), id=name, task_queue=stack.queue)

    async def equal(self, seconds: float = 60) -> None:
        """The index is what the table is, by the judge, within seconds."""
        deadline = time.monotonic() + seconds
        while (found := self.judged()) and time.monotonic() < deadline:
            await asyncio.sleep(1)
        assert found == []


@asynccontextmanager
async def ticking(followed: Followed) -> AsyncIterator[None]:
    """A change now and then: the one after the end of something shows at once that all before has been read."""

    async def tick() -> None:
        number = 0
        while True:
            number += 1
            item = {**made_up_key(followed.table.key, 0), "tick": {"N": str(number)}}
            await asyncio.to_thread(followed.table.put, item)
            await asyncio.sleep(0.3)

    task = asyncio.ensure_future(tick())
    try:
        yield
    finally:
        task.cancel()


async def test_what_is_written_during_and_after_the_scan_is_in_the_index(
    quiet: Stack, make_table: Make, search_proxy: SearchFaultProxy, search: str
) -> None:
    followed = Followed(make_table, search_proxy, search, rows=400)
    quiet.proxy.set_plan(FaultPlan.mixed(0.1))
    search_proxy.set_plan(SearchFaultPlan.mixed(0.1))
    writer = Writer(followed.table, 500)
    with writer.running():
        handle = await followed.start(quiet, limits=SLOW)
        seen = await until(handle, lambda seen: seen["state"] == "backfilling")
        assert not seen["drained"]
        await until(handle, lambda seen: seen["tally"]["updated"] > 200)
        await handle.execute_update("set_limits", FAST)
        seen = await until(handle, drained, seconds=150)
        assert followed.behind_alias() == [seen_index(followed, seen)]
    await followed.equal()
    await until(handle, lambda seen: seen["state"] == "following" and seen["lag_seconds"] == 0)
    await handle.cancel()
    assert (await outcome(handle))[0] == "CancelledError"
    report = quiet.ledger().reports.find(handle.id, None)
    assert report is not None
    assert report.balanced
    assert report.index is not None
    assert report.index.moved
    assert writer.writes > 200
    assert followed.proxy.truth().went_back(f"{report.index.index}-write") == []


def drained(seen: dict[str, Any]) -> bool:
    return bool(seen.get("drained"))


def seen_index(followed: Followed, seen: dict[str, Any]) -> str:
    return f"{followed.alias}-{seen['epoch']}"


@pytest.mark.parametrize("kills", [1, pytest.param(2, marks=pytest.mark.nightly)])
@pytest.mark.long
async def test_killed_workers_and_divided_shards_lose_no_change(
    quiet: Stack, make_table: Make, search_proxy: SearchFaultProxy, search: str, kills: int
) -> None:
    """Stream shards split and roll under load, children are listed late, workers are killed: all is there."""
    followed = Followed(make_table, search_proxy, search, rows=200)
    lineages = quiet.proxy.lineages(followed.stream)
    beside = quiet.beside(f"follow-{uuid.uuid4().hex[:8]}")
    writer = Writer(followed.table, 250)
    with writer.running(), beside.workers as workers:
        workers.come_up()
        handle = await followed.start(beside, limits=SLOW)
        await until(handle, lambda seen: seen["tally"]["updated"] > 20)
        [first] = lineages.truth().shards
        left, right = await asyncio.to_thread(lineages.split, first.shard, listed_after=2)
        await asyncio.to_thread(workers.kill)
        workers.start()
        await handle.execute_update("set_limits", FAST)
        await until(handle, lambda seen: seen["tally"]["deleted"] > 20)
        await asyncio.to_thread(lineages.roll, left, parent_open_for=2)
        await asyncio.to_thread(lineages.split, right)
        if kills > 1:
            await asyncio.to_thread(workers.kill)
            workers.start()
        await until(handle, drained, seconds=150)
        await until(handle, lambda seen: seen["stream_shards"] == 3)
        writer.stop()
        await followed.equal()
        await handle.cancel()
        await outcome(handle)
    index = followed.behind_alias()[0]
    assert followed.proxy.truth().went_back(f"{index}-write") == []


async def test_a_trimmed_position_parks_and_is_never_skipped(
    quiet: Stack, make_table: Make, search_proxy: SearchFaultProxy, search: str
) -> None:
    followed = Followed(make_table, search_proxy, search, rows=20)
    lineages = quiet.proxy.lineages(followed.stream)
    handle = await followed.start(quiet)
    await until(handle, lambda seen: seen["tally"]["updated"] >= 20)
    followed.table.put({**made_up_key(followed.table.key, 1), "again": {"BOOL": True}})
    await until(handle, lambda seen: seen["tally"]["updated"] >= 21)
    await handle.signal("pause")
    await until(handle, lambda seen: seen["state"] == "paused")
    for number in range(5):
        followed.table.put({**made_up_key(followed.table.key, number), "later": {"BOOL": True}})
    await asyncio.to_thread(lineages.trim)
    await handle.signal("resume")
    seen = await until(handle, lambda seen: seen["state"] == "parked")
    assert "StreamTrimmed" in seen["reason"]
    await handle.cancel()
    await outcome(handle)


async def test_a_follow_goes_on_over_pauses_and_runs_of_its_workflow(
    quiet: Stack, make_table: Make, search_proxy: SearchFaultProxy, search: str
) -> None:
    followed = Followed(make_table, search_proxy, search, rows=100)
    short = {"REINDEXER_CYCLE_EVENTS": "60", "REINDEXER_LOOK_SECONDS": "0.2", "REINDEXER_ROUND_SECONDS": "1"}
    beside = quiet.beside(f"follow-{uuid.uuid4().hex[:8]}", short)
    writer = Writer(followed.table, 100)
    with writer.running(), beside.workers as workers:
        workers.come_up()
        handle = await followed.start(beside)
        await until(handle, lambda seen: seen["cycle"] >= 2)
        await handle.signal("pause")
        seen = await until(handle, lambda seen: seen["state"] == "paused")
        await handle.signal("resume")
        await until(handle, lambda now: now["tally"]["updated"] > seen["tally"]["updated"])
        await until(handle, drained, seconds=150)
        writer.stop()
        await followed.equal()
        await handle.cancel()
        await outcome(handle)
    report = quiet.ledger().reports.find(handle.id, None)
    assert report is not None
    assert report.balanced


async def test_a_table_without_a_stream_is_refused(
    quiet: Stack, make_table: Make, search_proxy: SearchFaultProxy, search: str
) -> None:
    indexed = Indexed(make_table, search_proxy, search, rows=1)
    client = await quiet.connect()
    name = f"follow-{uuid.uuid4().hex[:8]}"
    handle = await client.start_workflow("FollowTable", indexed.job(), id=name, task_queue=quiet.queue)
    kind, refused = await outcome(handle)
    assert (kind, "--stream-specification" in refused["message"]) == ("BadInput", True)


async def test_a_follow_goes_on_where_the_ledger_says_and_scans_nothing(
    quiet: Stack, make_table: Make, search_proxy: SearchFaultProxy, search: str
) -> None:
    followed = Followed(make_table, search_proxy, search, rows=60)
    handle = await followed.start(quiet)
    async with ticking(followed):  # in row 0, which is changed later too
        await until(handle, drained, seconds=150)
    await handle.cancel()
    await outcome(handle)
    index = followed.behind_alias()
    for number in range(10):
        followed.table.put({**made_up_key(followed.table.key, number), "later": {"BOOL": True}})
    followed.table.client.delete_item(TableName=followed.table.name, Key=made_up_key(followed.table.key, 50))
    assert len(followed.judged()) == 11
    again = await followed.start(quiet, backfill=False)
    # The last ticks may be among them.
    seen = await until(again, lambda seen: seen["tally"]["scanned"] >= 11)
    await followed.equal()
    assert seen["tally"]["scanned"] < 60
    assert followed.behind_alias() == index
    await again.cancel()
    await outcome(again)


async def test_a_follow_that_never_was_cannot_go_on(
    quiet: Stack, make_table: Make, search_proxy: SearchFaultProxy, search: str
) -> None:
    followed = Followed(make_table, search_proxy, search, rows=1)
    kind, refused = await outcome(await followed.start(quiet, backfill=False))
    assert (kind, "begin with a backfill" in refused["message"]) == ("NoPositions", True)


@pytest.mark.nightly
async def test_deletions_stay_deleted_where_opensearch_is_killed_and_restarted(
    quiet: Stack, make_table: Make, tmp_path: Path
) -> None:
    """OpenSearch forgets its own tombstones in a restart; ours are documents."""
    with (
        SearchServer(logs=tmp_path) as server,
        search_fault_proxy(server.url, SearchFaultPlan()) as search_proxy,
    ):
        followed = Followed(make_table, search_proxy, server.url, rows=150)
        writer = Writer(followed.table, 150)
        with writer.running():
            handle = await followed.start(quiet, limits=SLOW)
            for deleted, end in ((10, server.kill), (40, server.stop)):
                await until(handle, partial(_has_deleted, deleted))
                await asyncio.to_thread(end)
                await asyncio.to_thread(server.restart)
            await handle.execute_update("set_limits", FAST)
            await until(handle, drained, seconds=150)
            writer.stop()
        await followed.equal()
        await handle.cancel()
        await outcome(handle)


def _has_deleted(number: int, seen: dict[str, Any]) -> bool:
    return bool(seen["tally"]["deleted"] >= number)


@pytest.mark.long
@pytest.mark.nightly
async def test_what_a_follow_gives_up_is_redriven_beside_it_at_its_own_order(
    quiet: Stack, make_table: Make, search_proxy: SearchFaultProxy, search: str
) -> None:
    followed = Followed(make_table, search_proxy, search, rows=20)
    mapping = {"properties": {"size": {"type": "double"}}}
    handle = await followed.start(quiet, operation={"mapping": mapping})
    await until(handle, lambda seen: seen["tally"]["updated"] >= 20)
    key = made_up_key(followed.table.key, 7)
    followed.table.put({**key, "size": {"S": "large"}})
    await until(handle, lambda seen: seen["tally"]["quarantined"] == 1)
    [entry] = quiet.ledger().failures.open(handle.id, (await handle.query("progress"))["run"], None)
    assert entry.order is not None
    followed.table.put({**key, "size": {"N": "1"}})  # the stream carries it, at a higher order
    newest = f"/{followed.alias}-*/_search?q=size:1.0"
    while not ask(search, "GET", newest)[1]["hits"]["hits"]:
        await asyncio.sleep(0.5)
    scope = {"kind": "quarantined", "job": entry.job, "run": entry.run}
    state, report = await outcome(await quiet.start({**followed.job(), "scope": scope}))
    assert state == "complete", report
    assert report["tally"]["superseded"] == 1
    assert not report["index"]["moved"]
    await handle.cancel()
    await outcome(handle)
    status, found = ask(search, "GET", f"/{followed.alias}-*/_search?q=size:1.0&size=5")
    assert (status, [hit["_id"] for hit in found["hits"]["hits"]]) == (200, ["row-000007"])


async def test_a_follow_that_was_ended_during_its_scan_needs_another_scan(
    quiet: Stack, make_table: Make, search_proxy: SearchFaultProxy, search: str
) -> None:
    """Changes alone would give readers an index of a part of the table."""
    followed = Followed(make_table, search_proxy, search, rows=400)
    handle = await followed.start(quiet, limits=SLOW)
    await until(handle, lambda seen: seen["tally"]["updated"] > 20)
    await handle.cancel()
    await outcome(handle)
    kind, refused = await outcome(await followed.start(quiet, backfill=False))
    assert (kind, "begin with a backfill" in refused["message"]) == ("NotScanned", True)
    assert followed.behind_alias() == []
