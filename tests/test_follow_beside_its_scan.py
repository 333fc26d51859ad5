"""A follow beside its scan: room for both, and no index for readers before both are through."""

from __future__ import annotations

import asyncio
import uuid

from testbed.faults import Fault, FaultKind, FaultPlan
from testbed.faults.search import SearchFaultProxy
from testbed.job import outcome, until
from testbed.stack import Stack
from tests.planted import Make
from tests.test_follow_end_to_end import Followed, Writer, drained

pytest_plugins = ["tests.search_proxied"]


async def test_a_follow_leaves_the_scan_its_room(
    quiet: Stack, make_table: Make, search_proxy: SearchFaultProxy, search: str
) -> None:
    """With as much room as shards that follow, a scan would wait for their end, which never comes."""
    followed = Followed(make_table, search_proxy, search, rows=60)
    # A round that follows would give a slot that it shares back once a minute.
    few = {"REINDEXER_ROUNDS_PER_PROCESS": "1", "REINDEXER_PROCESSES": "1", "REINDEXER_ROUND_SECONDS": "60"}
    own = quiet.beside(f"follow-{uuid.uuid4().hex[:8]}", few)
    with own.workers as workers:
        workers.come_up()
        handle = await followed.start(own, limits={"shards_in_flight": 1})
        await until(handle, lambda seen: seen["shards"]["done"] == 3)
        await handle.cancel()
        await outcome(handle)


async def test_readers_get_no_index_before_what_changed_during_its_scan(
    quiet: Stack, make_table: Make, search_proxy: SearchFaultProxy, search: str
) -> None:
    followed = Followed(make_table, search_proxy, search, rows=60)
    unread = Fault(kind=FaultKind.SERVER_ERROR, operations=frozenset(("GetRecords",)))
    quiet.proxy.set_plan(FaultPlan(faults=(unread,)))
    handle = await followed.start(quiet)
    await until(handle, lambda seen: seen["state"] == "catching_up")
    await asyncio.sleep(4)  # what the check of an index takes, several times over
    assert followed.behind_alias() == []
    quiet.proxy.set_plan(FaultPlan())
    writer = Writer(followed.table, 60)
    with writer.running():
        await until(handle, drained, seconds=150)
    assert len(followed.behind_alias()) == 1
    await handle.cancel()
    await outcome(handle)
