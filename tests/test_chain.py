"""Commands on a job whose root has continued as new: they follow the chain, whatever moment of it they meet."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from temporalio.client import Client, WorkflowHandle
from temporalio.service import RPCError

from commands.input.exits import Exit
from commands.limits import set_limits
from commands.list import _jobs
from commands.temporal.ending import ending
from commands.temporal.history import run_stamp
from commands.temporal.server import open_job, progress_of
from commands.temporal.status import job_status
from reindexer.errors import BadInput
from reindexer.models import JobProgress, ShardsDone
from reindexer.settings import settings
from reindexer.tally import Tally
from testbed.embedded import TemporalServer
from tests.stand_in import RUN, SLOW, WRONG, working


@pytest.fixture
async def client(temporal: TemporalServer, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Client]:
    """A client, and a queue of this test's own in the settings of the commands."""
    monkeypatch.setenv("REINDEXER_TASK_QUEUE", f"stand-in-{uuid.uuid4().hex[:8]}")
    settings.cache_clear()
    yield await temporal.connect()
    settings.cache_clear()


async def begin(client: Client, **asked: Any) -> WorkflowHandle[Any, Any]:
    name = f"job-{uuid.uuid4().hex[:8]}"
    queue = settings().task_queue
    started = await client.start_workflow("ReindexTable", {"run": RUN, **asked}, id=name, task_queue=queue)
    return client.get_workflow_handle(started.id)


async def in_cycle(handle: WorkflowHandle[Any, Any], number: int) -> JobProgress:
    """Its progress, once it is in that run of its chain."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        answer = await progress_of(handle)
        if answer and answer.cycle >= number:
            return answer
        await asyncio.sleep(0.05)
    raise AssertionError(f"not in cycle {number} within 20 s")


async def until(client: Client, job: str, good: Callable[[Any], bool]) -> Any:
    deadline = time.monotonic() + 20
    while not good(status := await job_status(client, job)) and time.monotonic() < deadline:
        await asyncio.sleep(0.1)
    return status


async def test_what_waits_for_the_end_waits_over_all_runs(client: Client) -> None:
    async with working(client, settings().task_queue):
        handle = await begin(client)
        waiting = asyncio.create_task(ending(client, handle.id))
        for number in (1, 2):
            await handle.signal("cycle")
            await in_cycle(handle, number)
        late = asyncio.create_task(ending(client, handle.id))
        await asyncio.sleep(0.2)
        assert not waiting.done()
        await handle.signal("finish")
        for end in (await waiting, await late):
            assert end.code is Exit.COMPLETE
            assert end.report
            assert end.report.job == handle.id


async def test_the_state_of_a_job_is_of_the_job_not_of_its_run(client: Client) -> None:
    async with working(client, settings().task_queue):
        handle = await begin(client, shards=True)
        first = await handle.describe()
        status = await until(client, handle.id, lambda s: s.progress.tally.scanned == 27)
        assert status.progress.tally.scanned == 27, "20 by its memo, 7 by the heartbeat of its round"
        assert [entry["shard"] for entry in status.in_flight] == ["shard-001"]
        assert status.in_flight[0]["tally"]["scanned"] == 7
        await handle.signal("cycle")
        await in_cycle(handle, 1)
        status = await job_status(client, handle.id)
        assert status.started_at == first.start_time
        assert status.run_id != first.run_id
        assert (status.workers, status.code) == (True, Exit.NOT_FINISHED)
        await handle.terminate()


@pytest.mark.parametrize("cycles", [0, 2])
async def test_without_workers_the_last_run_tells_it_all(client: Client, cycles: int) -> None:
    queue = settings().task_queue
    async with working(client, queue):
        handle = await begin(client, shards=True)
        first = await handle.describe()
        for number in range(cycles):
            await until(client, handle.id, lambda s: bool(s.in_flight) and s.progress.tally.scanned == 27)
            await handle.signal("cycle")
            await in_cycle(handle, number + 1)
        await until(client, handle.id, lambda s: bool(s.in_flight) and s.progress.tally.scanned == 27)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("REINDEXER_TASK_QUEUE", f"nobody-{uuid.uuid4().hex[:8]}")  # as if none polled
            settings.cache_clear()
            status = await job_status(client, handle.id)
        settings.cache_clear()
        progress = status.progress
        assert (status.workers, progress.state, progress.cycle) == (False, "running", cycles)
        assert progress.tally == Tally(scanned=127, updated=127), "shard 0's result, and what is seen of 1"
        assert progress.shards == ShardsDone(total=2, done=1, running=1)
        assert progress.remaining == 500 - 127
        assert (progress.run, status.started_at) == (RUN, first.start_time)
        assert await run_stamp(client, handle.id) == RUN
        await handle.terminate()


async def test_controls_reach_the_current_run_and_cancel_only_their_own_job(client: Client) -> None:
    async with working(client, settings().task_queue):
        handle = await begin(client)
        opened = await open_job(client, handle.id)
        await handle.signal("cycle")
        await in_cycle(handle, 1)
        await opened.signal("pause", {"reason": "deploy"})
        answer = await progress_of(opened)
        assert answer is not None
        assert (answer.state, answer.cycle) == ("paused", 1)
        stranger = client.get_workflow_handle(handle.id, first_execution_run_id=str(uuid.uuid4()))
        with pytest.raises(RPCError, match="not found"):
            await stranger.cancel()
        await opened.cancel()
        end = await ending(client, handle.id)
        assert (end.code, end.left) == (Exit.INCOMPLETE, "cancelled")
        with pytest.raises(BadInput, match="is not running, it was cancelled"):
            await open_job(client, handle.id)


async def test_a_job_is_listed_once(client: Client) -> None:
    async with working(client, settings().task_queue):
        handle = await begin(client)
        for number in (1, 2):
            await handle.signal("cycle")
            await in_cycle(handle, number)
        await handle.signal("finish")
        await handle.result()
        deadline = time.monotonic() + 10  # until visibility has caught up
        statuses: list[Any] = []
        while time.monotonic() < deadline:
            statuses = [job.run.status for job in await _jobs(client, 1000) if job.run.id == handle.id]
            if len(statuses) == 1 and statuses[0].name == "COMPLETED":
                return
            await asyncio.sleep(0.2)
        raise AssertionError(statuses)


@pytest.mark.alone
async def test_limits_are_set_also_where_the_run_ends_before_it_answers(client: Client) -> None:
    async with working(client, settings().task_queue):
        handle = await begin(client)
        change = asyncio.create_task(set_limits(client, handle.id, {"records_per_second": SLOW}))
        await asyncio.sleep(0.5)  # until the first run has accepted it, which then never answers
        await handle.signal("cycle")
        answer = await asyncio.wait_for(change, 10)
        assert (answer["records_per_second"], answer["cycle"]) == (SLOW, 1)
        asked = time.monotonic()
        with pytest.raises(BadInput, match="not so many"):
            await set_limits(client, handle.id, {"records_per_second": WRONG})
        assert time.monotonic() - asked < 2, "what the job rejects is not sent again"
        await handle.signal("finish")
        await handle.result()
        with pytest.raises(BadInput, match="is not running"):
            await set_limits(client, handle.id, {"records_per_second": 5})


async def test_limits_and_figures_are_there_while_runs_follow_one_another(client: Client) -> None:
    """A run lasts 0.2 s: every moment of the hand-over is met."""
    async with working(client, settings().task_queue):
        handle = await begin(client, seconds=0.2)
        end = time.monotonic() + 6
        answers: list[Any] = []

        async def change(number: int) -> None:
            while time.monotonic() < end:
                limits = {"records_per_second": 100 + number}
                answers.append(await asyncio.wait_for(set_limits(client, handle.id, limits), 10))
                answers.append(await progress_of(handle))
                await asyncio.sleep(0.02)

        await asyncio.gather(*(change(number) for number in range(8)))
        last = await in_cycle(handle, 3)
        await handle.signal("finish")
        await handle.result()
    assert len(answers) > 50
    assert None not in answers
    assert last.limits is not None
    assert last.limits.records_per_second in range(100, 108), "carried"
