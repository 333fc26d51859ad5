"""A whole stack for workflow tests: real server, real engine behind the fault proxy, worker processes."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.exceptions import ApplicationError

from reindexer.ledger import Ledger
from testbed.embedded import Engine, TemporalServer, caller_free_environment
from testbed.faults import FaultProxy
from testbed.workers import Workers

CHECKOUT = Path(__file__).resolve().parent.parent

#: Settings that make a test quick: a dead worker is noticed in 3 s, rounds hand back every 5 s.
QUICK = {
    "REINDEXER_PROCESSES": "2",
    "REINDEXER_HEARTBEAT_TIMEOUT": "3",
    "REINDEXER_HEARTBEAT_INTERVAL": "0.2",
    "REINDEXER_ROUND_SECONDS": "5",
    "REINDEXER_GRACEFUL_SHUTDOWN_SECONDS": "5",
    "REINDEXER_LOOK_SECONDS": "0.5",
}


@dataclass
class Stack:
    temporal: TemporalServer
    engine: Engine
    proxy: FaultProxy
    workers: Workers
    queue: str

    @property
    def environment(self) -> dict[str, str]:
        return self.workers.environment

    def ledger(self) -> Ledger:
        """The ledger, read past the proxy."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("AWS_ENDPOINT_URL_DYNAMODB", self.engine.endpoint_url)
            return Ledger("reindexer-ledger")

    async def connect(self) -> Client:
        return await Client.connect(self.temporal.address, data_converter=pydantic_data_converter)

    async def start(self, input: Any, workflow_id: str | None = None, **more: Any) -> WorkflowHandle[Any, Any]:
        client = await self.connect()
        name = workflow_id or f"job-{uuid.uuid4().hex[:8]}"
        return await client.start_workflow("ReindexTable", input, id=name, task_queue=self.queue, **more)


def stack_environment(temporal: TemporalServer, endpoint: str, queue: str) -> dict[str, str]:
    return {
        **caller_free_environment(endpoint, temporal.address),
        **QUICK,
        "REINDEXER_TASK_QUEUE": queue,
        "REINDEXER_LEDGER_TABLE": "reindexer-ledger",
    }


async def progress(handle: WorkflowHandle[Any, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = await handle.query("progress")
    return answer


async def until(
    handle: WorkflowHandle[Any, Any], condition: Callable[[dict[str, Any]], bool], seconds: float = 30
) -> dict[str, Any]:
    """Poll `progress` until the condition holds; fails with the last answer."""
    deadline = time.monotonic() + seconds
    last: dict[str, Any] = {}
    while time.monotonic() < deadline:
        last = await progress(handle)
        if condition(last):
            return last
        await asyncio.sleep(0.1)
    raise AssertionError(f"not within {seconds} s; last seen {last}")


async def outcome(handle: WorkflowHandle[Any, Any], seconds: float = 120) -> tuple[str, dict[str, Any]]:
    """("complete", report), or (failure type, report or {})."""
    try:
        return "complete", await asyncio.wait_for(handle.result(), seconds)
    except WorkflowFailureError as error:
        cause = error.cause
        if isinstance(cause, ApplicationError):
            details = cause.details[0] if cause.details else {"message": cause.message}
            return cause.type or "", details
        return type(cause).__name__, {}


async def events(handle: WorkflowHandle[Any, Any]) -> AsyncIterator[Any]:
    async for event in handle.fetch_history_events():
        yield event
