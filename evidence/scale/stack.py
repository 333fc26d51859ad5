"""Servers, fault proxy and workers for one scaled run, with Temporal's limits lowered."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from temporalio.client import Client, WorkflowHandle
from temporalio.contrib.pydantic import pydantic_data_converter

from evidence.exactness.tables import put
from reindexer.dynamo.client import make_client
from reindexer.ledger import Ledger
from reindexer.settings import settings
from testbed.embedded import Engine, TemporalServer, caller_free_environment, dynamodb_engine, temporal_server
from testbed.faults import FaultPlan, FaultProxy, fault_proxy
from testbed.surroundings import forget_the_caller
from testbed.workers import Workers

QUEUE = "reindexer"


@dataclass(frozen=True)
class Stack:
    """What runs. `dynamodb`: boto3's client of the engine itself, past the proxy."""

    temporal: TemporalServer
    engine: Engine
    proxy: FaultProxy
    workers: Workers
    dynamodb: Any

    async def connect(self) -> Client:
        """A client of the Temporal server."""
        return await Client.connect(self.temporal.address, data_converter=pydantic_data_converter)

    async def start(self, job: Mapping[str, Any], name: str) -> WorkflowHandle[Any, Any]:
        """The job."""
        client = await self.connect()
        return await client.start_workflow("ReindexTable", dict(job), id=name, task_queue=QUEUE)


@contextmanager
def stack(folder: Path, dynamic_config: Mapping[str, object], **more: str) -> Iterator[Stack]:
    """All of it for the block. `more`: REINDEXER_ settings of the workers, without that prefix."""
    with (
        temporal_server(logs=folder, dynamic_config=dynamic_config) as temporal,
        dynamodb_engine(logs=folder) as engine,
        fault_proxy(engine.endpoint_url, FaultPlan(), logs=folder) as proxy,
    ):
        forget_the_caller(caller_free_environment(engine.endpoint_url, temporal.address))
        settings.cache_clear()
        Ledger(settings().ledger_table).create()
        environment = caller_free_environment(proxy.endpoint_url, temporal.address)
        environment |= {f"REINDEXER_{name.upper()}": value for name, value in more.items()}
        environment.setdefault("REINDEXER_PROCESSES", "2")
        with Workers(environment, folder / "worker.log") as workers:
            workers.come_up()
            yield Stack(temporal, engine, proxy, workers, make_client(lean=False))
            workers.stop()


def fill(client: Any, table: str, rows: int, size: int = 0) -> None:
    """A table of rows of about this many bytes."""
    client.create_table(
        TableName=table,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
    )
    items = (
        {
            "id": {"S": f"row-{number:08d}"},
            "goes": {"BOOL": number % 3 > 0},
            "text": {"S": "x" * size},
        }
        for number in range(rows)
    )
    put(client, table, items)
