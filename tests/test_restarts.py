"""The servers themselves crash in mid-job: Temporal's and the engine's, both on files that outlive them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from reindexer.dynamo.client import make_client
from reindexer.ledger import Ledger
from testbed.embedded import available_engines, dynamodb_engine, temporal_server
from testbed.faults import FaultPlan, fault_proxy
from testbed.workers import Workers
from tests.stack import Stack, stack_environment
from tests.tables import Table, create_table
from tests.test_control import has_begun
from tests.test_crashes import RECORDS, exact, slow

pytestmark = pytest.mark.servers


@pytest.fixture(scope="module")
def durable(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack of its own whose servers may be killed."""
    name = next((name for name in available_engines() if name in ("dynoxide", "local")), None)
    if name is None:
        pytest.skip("no engine here keeps its data through a crash")
    folder = tmp_path_factory.mktemp("durable")
    with (
        temporal_server(logs=folder, database=folder / "temporal.db") as temporal,
        dynamodb_engine(name, logs=folder, database=folder / "engine") as engine,
        fault_proxy(engine.endpoint_url, FaultPlan(), logs=folder) as proxy,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("AWS_ENDPOINT_URL_DYNAMODB", engine.endpoint_url)
        Ledger("reindexer-ledger").create()
        environment = stack_environment(temporal, proxy.endpoint_url, "reindexer-durable")
        with Workers(environment, folder / "worker.log") as workers:
            yield Stack(temporal, engine, proxy, workers, "reindexer-durable")


@pytest.fixture
def table(durable: Stack) -> Table:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL_DYNAMODB", durable.engine.endpoint_url)
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
