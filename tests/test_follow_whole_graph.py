"""What lineages cannot see of their stream is seen by the follow's look at the whole of it."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from testbed.faults.search import SearchFaultProxy
from testbed.job import outcome, until
from testbed.stack import Stack
from tests.planted import Make
from tests.tables import Table, made_up_key
from tests.test_follow_end_to_end import Followed

pytest_plugins = ["tests.search_proxied"]

#: A look at the whole stream every 7.5 s, and rounds that end within seconds.
SHORT = {"REINDEXER_LOOK_SECONDS": "0.2", "REINDEXER_ROUND_SECONDS": "1", "REINDEXER_PROCESSES": "1"}
#: Listings: more than there are in the test.
ALWAYS = 10_000


@asynccontextmanager
async def started(quiet: Stack, followed: Followed) -> AsyncIterator[tuple[Any, str]]:
    """The follow, with the name of its index."""
    beside = quiet.beside(f"follow-{uuid.uuid4().hex[:8]}", SHORT)
    with beside.workers as workers:
        workers.come_up()
        handle = await followed.start(beside)
        seen = await until(handle, lambda seen: seen["state"] == "catching_up")
        yield handle, f"{followed.alias}-{seen['epoch']}"
        await handle.cancel()
        await outcome(handle)


async def equal(followed: Followed, index: str) -> None:
    """The index is what the table is, within a minute; readers need not have it yet."""
    for _ in range(60):
        if not followed.judged(index):
            return
        await asyncio.sleep(1)
    assert followed.judged(index) == []


def put_all(table: Table, rows: int, what: str) -> None:
    table.put(*({**made_up_key(table.key, number), what: {"BOOL": True}} for number in range(rows)))


@pytest.mark.nightly  # it waits for more than a minute
async def test_a_sibling_that_is_listed_a_minute_late_is_adopted(
    quiet: Stack, make_table: Make, search_proxy: SearchFaultProxy, search: str
) -> None:
    followed = Followed(make_table, search_proxy, search, rows=40)
    lineages = quiet.proxy.lineages(followed.stream)
    async with started(quiet, followed) as (handle, index):
        left, right = await asyncio.to_thread(lineages.split, lineages.root)
        await asyncio.to_thread(lineages.hide, right, ALWAYS)
        put_all(followed.table, 40, "late")
        await until(handle, lambda seen: seen.get("stream_shards") == 1)
        await asyncio.sleep(80)  # the sibling is not asked for any more after 60
        assert followed.judged(index) != [], "the half of the keys is not read"
        await asyncio.to_thread(lineages.hide, right, 0)
        await until(handle, lambda seen: seen.get("stream_shards") == 2)
        await equal(followed, index)
        await asyncio.sleep(20)  # more looks adopt nothing again
        handed_out = lineages.truth().handed_out
        assert len(handed_out[right]) == len({record.sequence_number for record in handed_out[right]})
        assert handed_out[left]


async def test_a_parent_that_is_not_listed_parks_and_says_which_time_is_lost(
    quiet: Stack, make_table: Make, search_proxy: SearchFaultProxy, search: str
) -> None:
    followed = Followed(make_table, search_proxy, search, rows=10)
    lineages = quiet.proxy.lineages(followed.stream)
    async with started(quiet, followed) as (handle, index):
        child = await asyncio.to_thread(lineages.roll, lineages.root, listed_after=ALWAYS)
        put_all(followed.table, 10, "between")
        await asyncio.to_thread(lineages.roll, child)
        put_all(followed.table, 10, "behind")
        seen = await until(handle, lambda seen: seen["state"] == "parked")
        assert "StreamHole" in seen["reason"]
        assert " UTC may be lost" in seen["reason"]
        await asyncio.to_thread(lineages.hide, child, 0)
        await handle.signal("resume")
        await equal(followed, index)
        await until(handle, lambda seen: seen["state"] != "parked")


@pytest.mark.nightly
async def test_a_stream_that_is_switched_off_and_on_again_parks_until_the_table_is_scanned_again(
    quiet: Stack, make_table: Make, search_proxy: SearchFaultProxy, search: str
) -> None:
    followed = Followed(make_table, search_proxy, search, rows=10)
    table, stream = followed.table, followed.stream
    async with started(quiet, followed) as (handle, index):
        switch(table, None)
        table.client.delete_item(TableName=table.name, Key=made_up_key(table.key, 4))
        seen = await until(handle, lambda seen: seen["state"] == "parked")
        assert "Stream" in seen["reason"]
        switch(table, "NEW_AND_OLD_IMAGES")
        assert followed.stream != stream
        # An engine may put what it knew of the table before into the other stream; DynamoDB does not.
        await asyncio.to_thread(quiet.proxy.lineages(followed.stream).trim)
        await handle.signal("resume", {"rescan": True})
        await until(handle, lambda now: now["epoch"] > seen["epoch"] and now["state"] == "catching_up")
        await equal(followed, index)


def switch(table: Table, view: str | None) -> None:
    """Switch the table's stream off, or on with this view."""
    specification: Any = {"StreamEnabled": False}
    if view is not None:
        specification = {"StreamEnabled": True, "StreamViewType": view}
    table.client.update_table(TableName=table.name, StreamSpecification=specification)
