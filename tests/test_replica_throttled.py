"""A replica that takes no write for long: nothing is given up, all waits in order, and is equal afterwards."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from reindexer.models import Stop
from testbed.faults import Fault, FaultKind, FaultPlan
from testbed.job import outcome, until
from testbed.stack import Stack
from tests.driving import Life
from tests.model_replica import Replicated as Model
from tests.model_replica import row
from tests.model_table import Plan
from tests.planted import Make
from tests.test_follow_end_to_end import Writer
from tests.test_index_end_to_end import FAST
from tests.test_replicate_end_to_end import Replicated, until_drained

_HOUR = 3600.0  # seconds
#: Seconds of the real servers: some back-offs of half a minute, which is the longest.
_THROTTLED = 75.0
#: Seconds until a pause has stopped writes, of a follow that is not at rest; and as many for a loaded machine.
_PAUSED = 2.0 + 3.0


@pytest.mark.unit
def test_an_hour_without_capacity_gives_up_nothing_and_leaves_the_replica_equal() -> None:
    """By the model's clock: a scan and a follow go on in rounds, while the table changes."""
    world = Model([row(key) for key in range(40)])
    began, calls = world.clock.now, {"throttled": 0}

    def met(_: int) -> Plan:
        if world.clock.now < began + _HOUR:
            calls["throttled"] += 1
            return Plan(call="throttled")
        return Plan()

    world.replica.plan = met
    scan, stream = world.shard(), world.shard(world.lineages)
    while world.clock.now < began + _HOUR - 120:  # no round reaches beyond the hour
        world.put(world.written % 7)
        if world.written % 5 == 0:
            world.delete(world.written % 7)
        for shard in (scan, stream):
            shard.one_round(Life())
            assert shard.last is not None
            assert shard.last.stop in (Stop.THROTTLED, Stop.SLICE)  # a slice of the stream's is 5 s
            assert shard.isolated == []
            assert shard.last.stop is Stop.SLICE or shard.last.service == "DynamoDB for r", (
                "who has no capacity"
            )
            world.clock.now += 5.0  # the workflow's durable timer
    assert world.replica.rows == {}
    assert (scan.tally.settled, stream.tally.settled) == (0, 0)
    assert set(scan.stops) == {Stop.THROTTLED}
    assert calls["throttled"] < 10 * _HOUR, "of 25 rows and seven changes: each is tried once in some seconds"
    scan.run()
    for _ in range(20):
        stream.one_round(Life())
    assert (scan.isolated, stream.isolated, world.differing()) == ([], [], [])
    assert stream.tally.scanned == len(world.stream.written)
    assert world.replica.wrong == []


async def _events(handle: Any) -> int:
    """Of the newest runs of a follow and its shards."""
    found = 0
    async for each in handle._client.list_workflows(f"WorkflowId STARTS_WITH '{handle.id}'"):
        described = await handle._client.get_workflow_handle(each.id).describe()
        found += described.history_length
    return found


@pytest.mark.nightly  # it is throttled for longer than a minute
async def test_a_follow_whose_replica_is_throttled_says_so_pauses_and_is_equal_afterwards(
    quiet: Stack, make_table: Make
) -> None:
    replicated = Replicated(make_table, rows=100)
    handle = await replicated.follow(quiet, limits=FAST)
    await until_drained(replicated, handle)
    none = frozenset(("PutItem", "BatchExecuteStatement"))
    throttle = Fault(
        kind=FaultKind.THROTTLE, probability=1.0, operations=none, tables=frozenset((replicated.replica.name,))
    )
    writer = Writer(replicated.table, 150)
    with writer.running():
        quiet.proxy.set_plan(FaultPlan(seed=1, faults=(throttle,)))
        seen = await until(handle, lambda now: now["throttle"] is not None, seconds=60)
        assert f"throttled by DynamoDB for {replicated.replica.name}, waiting" in seen["throttle"]["reason"]
        began, events = time.monotonic(), await _events(handle)
        lagging = await until(handle, lambda now: now["lag_seconds"] > 20, seconds=_THROTTLED)
        assert lagging["throttle"] == seen["throttle"], "since the same moment"
        while time.monotonic() < began + _THROTTLED:
            await asyncio.sleep(1)
        later = await handle.query("progress")
        assert later["lag_seconds"] > lagging["lag_seconds"]
        assert later["tally"]["quarantined"] == later["isolated"] == 0
        assert await _events(handle) - events < _THROTTLED * 10, "some rounds and looks a minute"
        await handle.signal("pause", {"reason": "throttled"})
        asked = time.monotonic()
        await until(handle, lambda now: now["state"] == "paused", seconds=30)
        assert time.monotonic() - asked < _PAUSED
        quiet.proxy.set_plan(FaultPlan())
        await handle.signal("resume")
        await until(handle, lambda now: now["throttle"] is None and now["lag_seconds"] < 5, seconds=120)
    await replicated.equal(120)
    seen = await handle.query("progress")
    assert seen["tally"]["quarantined"] == 0
    await handle.cancel()
    await outcome(handle)
