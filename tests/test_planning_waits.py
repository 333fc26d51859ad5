"""A job that cannot be planned yet says why, is tried again, and fails after a bound; a refused one at once."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from temporalio import activity
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from activities.failures import translated
from commands.input.exits import Exit
from commands.temporal.ending import ending
from reindexer.connect import DATA_CONVERTER
from reindexer.errors import BadInput, Unavailable
from testbed.job import outcome, progress, until
from testbed.obtain import obtain
from testbed.stack import Stack
from tests.cli import command
from tests.planted import Make
from workflows.options import PLAN_ATTEMPTS
from workflows.reindex_table import ReindexTable

#: Nothing listens there: port 1 is reserved.
NOWHERE = "http://127.0.0.1:1"


@asynccontextmanager
async def planned_by(answers: Sequence[Exception]) -> AsyncIterator[tuple[Client, list[int]]]:
    """Temporal's time-skipping server, where planning answers so, the last one for ever; (client, attempts)."""
    attempts: list[int] = []

    @activity.defn(name="make_plan")
    async def make_plan(_request: Any) -> None:
        attempts.append(activity.info().attempt)
        with translated():
            raise answers[min(len(attempts), len(answers)) - 1]

    path = obtain("test-server").command[0]
    async with (
        await WorkflowEnvironment.start_time_skipping(
            test_server_existing_path=path, data_converter=DATA_CONVERTER
        ) as environment,
        Worker(environment.client, task_queue="planning", workflows=[ReindexTable], activities=[make_plan]),
    ):
        yield environment.client, attempts


@pytest.mark.stack
async def test_planning_that_meets_what_may_pass_is_tried_for_minutes_then_the_job_fails() -> None:
    async with planned_by([Unavailable("ConnectTimeoutError", "cities-eu got no answer")]) as (
        client,
        attempts,
    ):
        handle = await client.start_workflow("ReindexTable", {"table": "t"}, id="job", task_queue="planning")
        kind, failure = await outcome(handle)
        assert attempts == [1] * PLAN_ATTEMPTS, "Temporal itself makes no second one"
        assert (kind, "cities-eu got no answer" in failure["message"]) == ("PlanFailed", True)
        description = await handle.describe()
        assert description.close_time is not None
        assert 120 < (description.close_time - description.start_time).total_seconds() < 300
        end = await ending(client, "job")
        assert (end.code, "cities-eu got no answer" in end.sentence) == (Exit.INCOMPLETE, True)


@pytest.mark.stack
async def test_a_job_that_is_refused_at_a_later_attempt_is_not_planned_again() -> None:
    passing, refused = Unavailable("ConnectTimeoutError", "no answer"), BadInput("there is no table t", "table")
    async with planned_by([passing, passing, refused]) as (client, attempts):
        handle = await client.start_workflow("ReindexTable", {"table": "t"}, id="job", task_queue="planning")
        kind, failure = await outcome(handle)
        assert (kind, failure["message"]) == ("BadInput", "table: there is no table t")
        assert len(attempts) == 3
        assert (await ending(client, "job")).code is Exit.BAD_INPUT


async def test_a_second_table_that_cannot_be_reached_is_named_while_planning_waits(
    quiet: Stack, make_table: Make
) -> None:
    operation = {"kind": "compare", "with": {"table": "cities-eu", "endpoint": NOWHERE}}
    handle = await quiet.start({"table": make_table().name, "operation": operation})
    seen = await until(handle, lambda p: p["reason"] is not None)
    assert seen["state"] == "planning"
    for part in (f"of {PLAN_ATTEMPTS}", "dynamodb:DescribeTable on cities-eu", NOWHERE):
        assert part in seen["reason"], seen
    code, out, err = await asyncio.to_thread(command, dict(quiet.environment), "status", handle.id)
    assert (code, "cities-eu" in out) == (3, True), err
    await handle.cancel()
    assert await outcome(handle) == ("CancelledError", {})


async def test_a_second_table_that_is_not_there_is_refused_at_once(quiet: Stack, make_table: Make) -> None:
    name = f"nowhere-{uuid.uuid4().hex[:8]}"
    operation = {"kind": "repair", "with": {"table": name}}
    handle = await quiet.start({"table": make_table().name, "operation": operation})
    kind, failure = await outcome(handle)
    assert (kind, f"there is no table {name}" in failure["message"]) == ("BadInput", True)
    assert (await progress(handle))["reason"] is None
