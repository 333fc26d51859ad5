"""The servers themselves crash in mid-job: Temporal's and the engine's, both on files that outlive them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from reindexer.dynamo.client import make_client
from testbed.embedded import available_engines
from testbed.faults import FaultPlan
from testbed.stack import Stack
from tests.stack import quick_stack
from tests.tables import Table, create_table
from tests.test_control import has_begun
from tests.test_crashes import RECORDS, exact, slow

pytestmark = [pytest.mark.stack, pytest.mark.nightly]


@pytest.fixture(scope="module")
def durable(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack of its own whose servers may be killed."""
    name = next((name for name in available_engines() if name in ("dynoxide", "local")), None)
    if name is None:
        pytest.skip("no engine here keeps its data through a crash")
    folder = tmp_path_factory.mktemp("durable")
    with (
        quick_stack(
            folder,
            "reindexer-durable",
            engine=name,
            temporal_database=folder / "temporal.db",
            engine_database=folder / "engine",
        ) as made,
        made.workers,
    ):
        yield made


@pytest.fixture
def table(durable: Stack) -> Table:
    with durable.surroundings():
        made = create_table(make_client(lean=False))
    made.fill(RECORDS)
    durable.proxy.set_plan(slow())
    return made


async def begun(stack: Stack, table: Table) -> Any:
    handle = await stack.start({"table": table.name, "total_segments": 6})
    await has_begun(handle, table)
    return handle


async def test_the_engine_is_killed_in_mid_job(durable: Stack, table: Table) -> None:
    handle = await begun(durable, table)

    await asyncio.to_thread(durable.engine.process.kill)
    await asyncio.sleep(12)  # beyond what one round bears
    await asyncio.to_thread(durable.engine.process.start)
    durable.proxy.set_plan(FaultPlan())

    await exact(durable, table, handle)


async def test_temporal_is_killed_in_mid_job(durable: Stack, table: Table) -> None:
    handle = await begun(durable, table)

    await asyncio.to_thread(durable.temporal.process.kill)
    await asyncio.sleep(4)
    await asyncio.to_thread(durable.temporal.process.start)
    durable.proxy.set_plan(FaultPlan())

    client = await durable.connect()
    await exact(durable, table, client.get_workflow_handle(handle.id))


async def test_all_of_it_is_killed_in_mid_job(durable: Stack, table: Table) -> None:
    handle = await begun(durable, table)

    durable.workers.kill()
    await asyncio.to_thread(durable.engine.process.restart)
    await asyncio.to_thread(durable.temporal.process.restart)
    durable.workers.start()
    durable.proxy.set_plan(FaultPlan())

    client = await durable.connect()
    await exact(durable, table, client.get_workflow_handle(handle.id))
