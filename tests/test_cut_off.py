"""A worker that is cut off from Temporal, and not from DynamoDB."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator

import pytest

from testbed.embedded import Engine, TemporalServer
from testbed.faults import Fault, FaultKind, FaultPlan
from testbed.forwarder import Forwarder
from testbed.job import until
from testbed.stack import Stack
from testbed.workers import Workers
from tests.stack import SETTINGS, quick_stack
from tests.tables import Table
from tests.test_control import has_begun
from tests.test_crashes import exact

Make = Callable[..., Table]
RECORDS = 4000
#: Two shards write 100 records a second: no round ends by itself before the test does.
SLOW = FaultPlan(faults=(Fault(kind=FaultKind.SLOW, seconds=0.5, operations="writes"),))
#: Seconds without an answer after which the server gives up an attempt, and the attempt itself.
TIMEOUT = float(SETTINGS["REINDEXER_HEARTBEAT_TIMEOUT"])
#: Seconds after which what runs would run for a minute: the first rounds of two shards take 3 and 3.5, and
#: end with the batch of 0.5 that is out.
FIRST_ROUNDS = 5.0
#: Seconds after which a pause has taken effect at the latest: the server waits for 10 each for the tasks of the
#: job and of a shard that it has handed to the worker, then for the heartbeat timeout; and a busy machine.
UNTIL_PAUSED = 10 + 10 + TIMEOUT + 10


@pytest.fixture(scope="module")
def line(temporal: TemporalServer) -> Iterator[Forwarder]:
    with Forwarder(temporal.address) as running:
        yield running


@pytest.fixture(scope="module")
def severable(
    temporal: TemporalServer, engine: Engine, line: Forwarder, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    """A stack whose workers reach Temporal through `line`, in rounds that would last for a minute."""
    logs = tmp_path_factory.mktemp("severable")
    settings = {"TEMPORAL_ADDRESS": line.address, "REINDEXER_ROUND_SECONDS": "60"}
    with (
        quick_stack(logs, "reindexer-severable", settings, temporal=temporal, engine=engine) as made,
        made.workers,
    ):
        yield made


@pytest.fixture(scope="module")
def beside(severable: Stack) -> Iterator[Workers]:
    """Workers of the same queues that no one cuts off, to be started by a test."""
    reaches = {"TEMPORAL_ADDRESS": severable.temporal.address}
    workers = severable.beside(settings=reaches, log="beside.log").workers
    yield workers
    workers.close()


async def last_write(stack: Stack, table: Table, seconds: float) -> float:
    """When the last write was applied within the next this many seconds, monotonic."""
    until_then = time.monotonic() + seconds
    before, at = -1, 0.0
    while time.monotonic() < until_then:
        applied = stack.proxy.truth().applied(table.name)
        before, at = applied, time.monotonic() if applied != before else at
        await asyncio.sleep(0.1)
    return at


@pytest.mark.alone
@pytest.mark.long
async def test_its_writes_end_within_a_heartbeat_timeout(
    severable: Stack, line: Forwarder, make_table: Make
) -> None:
    table = make_table()
    table.fill(RECORDS)
    severable.proxy.set_plan(SLOW)
    handle = await severable.start({"table": table.name, "total_segments": 2})
    await has_begun(handle, table)
    await asyncio.sleep(FIRST_ROUNDS)

    line.cut()
    cut_at = time.monotonic()
    try:
        written_at = await last_write(severable, table, TIMEOUT + 4)  # 2 s more than it may last
    finally:
        line.restore()
    assert written_at - cut_at < TIMEOUT + 2
    severable.proxy.set_plan(FaultPlan())

    await exact(severable, table, handle, RECORDS)


@pytest.mark.alone
@pytest.mark.long
async def test_a_paused_job_is_quiet_though_its_worker_was_never_told(
    severable: Stack, line: Forwarder, beside: Workers, make_table: Make
) -> None:
    table = make_table()
    table.fill(RECORDS)
    severable.proxy.set_plan(SLOW)
    handle = await severable.start({"table": table.name, "total_segments": 2})
    await has_begun(handle, table)
    await asyncio.sleep(FIRST_ROUNDS)

    line.cut()
    try:
        beside.start()
        await handle.signal("pause")
        await until(handle, lambda p: p["state"] == "paused", seconds=UNTIL_PAUSED)
        before = severable.proxy.truth(wait=2).applied(table.name)
        await asyncio.sleep(3)
        assert severable.proxy.truth().applied(table.name) == before < RECORDS
    finally:
        line.restore()
    severable.proxy.set_plan(FaultPlan())
    await handle.signal("resume")

    await exact(severable, table, handle, RECORDS)
