"""An activity that sends no heartbeats of its own is known to be alive, and only while its worker is."""

from __future__ import annotations

import asyncio
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from temporalio import activity, workflow
from temporalio.client import Client, WorkflowFailureError
from temporalio.common import RetryPolicy
from temporalio.exceptions import TimeoutError as TemporalTimeout
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from activities.heartbeats import Heartbeats
from testbed.embedded import TemporalServer

pytestmark = pytest.mark.alone

TIMEOUT = 1.5  # seconds; heartbeats go every half second


@activity.defn(name="in_a_thread")
def in_a_thread() -> str:
    time.sleep(2 * TIMEOUT)
    return "done"


@activity.defn(name="on_the_loop")
async def on_the_loop() -> str:
    await asyncio.sleep(2 * TIMEOUT)
    return "done"


@activity.defn(name="take_lock")
async def says_how_far_it_is() -> str:
    activity.heartbeat("here")
    await asyncio.sleep(2 * TIMEOUT)
    return "done"


@workflow.defn(name="Waits")
class Waits:
    @workflow.run
    async def run(self, name: str) -> str:
        answer: str = await workflow.execute_activity(
            name,
            heartbeat_timeout=timedelta(seconds=TIMEOUT),
            start_to_close_timeout=timedelta(seconds=60),
            retry_policy=RetryPolicy(maximum_attempts=1),
        )
        return answer


async def run(temporal: TemporalServer, name: str) -> str:
    client, queue = await Client.connect(temporal.address), f"heartbeats-{uuid.uuid4().hex[:8]}"
    with ThreadPoolExecutor(2) as pool:
        async with Worker(
            client,
            task_queue=queue,
            workflows=[Waits],
            activities=[in_a_thread, on_the_loop, says_how_far_it_is],
            activity_executor=pool,
            interceptors=[Heartbeats()],
            workflow_runner=UnsandboxedWorkflowRunner(),
        ):
            answer: str = await client.execute_workflow("Waits", name, id=queue, task_queue=queue)
            return answer


@pytest.mark.parametrize("name", ["in_a_thread", "on_the_loop"])
async def test_one_that_works_for_longer_than_the_timeout_is_not_given_up(
    temporal: TemporalServer, name: str
) -> None:
    assert await run(temporal, name) == "done"


async def test_one_that_sends_its_own_is_left_alone(temporal: TemporalServer) -> None:
    """What it says of itself is not replaced by nothing: none is sent for it, and it is given up."""
    with pytest.raises(WorkflowFailureError) as failed:
        await run(temporal, "take_lock")
    lost = failed.value.cause.__cause__
    assert isinstance(lost, TemporalTimeout)
    assert lost.last_heartbeat_details == ["here"]
