"""Looking at shards: what their workflows say of themselves, and what their running rounds have done."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, cast

import pytest
from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.common import RetryPolicy
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from activities.clients import Clients
from activities.look import LookActivities, look_at
from reindexer.models import (
    Counts,
    Isolated,
    Looked,
    LookInput,
    Progress,
    Seen,
    ShardSummary,
    Situation,
    Verification,
    VerifyResult,
)
from reindexer.tally import Tally
from testbed.embedded import TemporalServer

PARKED = Situation(state="parked", reason="no", summary=ShardSummary(counts=Counts(tally=Tally(scanned=9))))
BEATS: dict[str, Any] = {
    "reindex_round": Progress(
        tally=Tally(scanned=3, updated=2), isolated=[Isolated(key={"id": {"S": "a"}})], read_units=1.5
    ),
    "verify_segment": VerifyResult(scanned=7, behind=1, read_units=2.0),
    "reindex_record": {"not": "looked at"},
}


@workflow.defn(name="FakeShard")
class FakeShard:
    """Runs one activity until it is cancelled."""

    @workflow.run
    async def run(self, name: str, memo: Any) -> None:
        if memo is not None:
            workflow.upsert_memo({"shard": memo})
        if name:
            await workflow.execute_activity(name, start_to_close_timeout=timedelta(minutes=1))


@workflow.defn(name="FakeRoot")
class FakeRoot:
    """Looks once."""

    @workflow.run
    async def run(self, request: LookInput) -> Looked:
        looked: Looked = await workflow.execute_activity(
            "look", request, result_type=Looked, start_to_close_timeout=timedelta(seconds=10),
            retry_policy=RetryPolicy(maximum_attempts=3),
        )  # fmt: skip
        return looked


def beating(name: str, details: Any) -> Callable[..., Any]:
    @activity.defn(name=name)
    async def heartbeat() -> None:
        activity.heartbeat(details)
        await asyncio.Event().wait()

    return heartbeat


@asynccontextmanager
async def shards(server: TemporalServer, run: str, **each: tuple[str, Any]) -> AsyncIterator[Client]:
    """Fake shards of `job` by their names; each runs the named activity and has the memo."""
    client = await server.connect()
    beats = [beating(name, details) for name, details in BEATS.items()]
    beats.append(beating("unreadable", "x"))
    queue, no_tables = f"look-{run}", cast(Clients, None)
    async with Worker(
        client,
        task_queue=queue,
        workflows=[FakeShard, FakeRoot],
        activities=[*beats, LookActivities(no_tables, client).look],
        workflow_runner=UnsandboxedWorkflowRunner(),
        graceful_shutdown_timeout=timedelta(0),
    ):
        handles = [
            await client.start_workflow("FakeShard", args=list(how), id=f"job/{run}/{name}", task_queue=queue)
            for name, how in each.items()
        ]
        try:
            yield client
        finally:
            for handle in handles:
                if (await handle.describe()).close_time is None:
                    await handle.terminate()


async def until(client: Client, run: str, names: dict[int, str], there: Callable[[Looked], bool]) -> Looked:
    for _ in range(100):
        looked = await look_at(client, "job", run, names)
        if there(looked):
            return looked
        await asyncio.sleep(0.1)  # seconds; a heartbeat is with the server in one
    raise AssertionError(f"not seen: {looked}")


async def test_open_shards_are_seen_with_what_their_rounds_have_done(temporal: TemporalServer) -> None:
    run = uuid.uuid4().hex[:10]
    each: dict[str, tuple[str, Any]] = {
        "works": ("reindex_round", PARKED), "reads": ("verify_segment", Situation()),
        "records": ("reindex_record", Situation(state="throttled")), "quiet": ("unreadable", None),
        "ended": ("", PARKED), "newer": ("unreadable", {"of": "a newer version"}),
    }  # fmt: skip
    names = dict(enumerate([*each, "never-started"], start=5))
    async with shards(temporal, run, **each) as client:
        looked = await until(
            client,
            run,
            names,
            lambda seen: len(seen.shards) == 4 and all(seen.shards[n].running != Counts() for n in (5, 6)),
        )
    assert looked.shards == {
        5: Seen(
            situation=PARKED,
            running=Counts(tally=Tally(scanned=3, updated=2), isolated=1, read_units=1.5),
        ),
        6: Seen(
            situation=Situation(),
            running=Counts(checked=Verification(scanned=7, behind=1), read_units=2.0),
        ),
        7: Seen(situation=Situation(state="throttled")),
        8: Seen(situation=Situation()),
    }
    assert looked.ended == [9, 11], "closed, and not there; 10 cannot be read"


async def test_waiting_costs_no_event(temporal: TemporalServer) -> None:
    run = uuid.uuid4().hex[:10]
    async with shards(temporal, run, pending=("", PARKED)) as client:
        request = LookInput(job="job", run=run, names={0: "none"}, seconds=1.0)
        handle = await client.start_workflow(
            "FakeRoot", request, id=f"root-{run}", task_queue=f"look-{run}", result_type=Looked
        )
        assert (await handle.result()).shards == {}
        events = (await handle.fetch_history()).events
        assert len(events) == 11, "two workflow tasks of three events, three of the activity, start and end"
        began, ended = events[0].event_time.ToDatetime(), events[-1].event_time.ToDatetime()
        assert ended - began >= timedelta(seconds=1)


def test_the_first_attempt_fails_at_once_with_the_delay() -> None:
    client: Any = None
    with pytest.raises(ApplicationError) as not_yet:
        asyncio.run(
            ActivityEnvironment().run(
                LookActivities(client, client).look, LookInput(job="j", run="r", names={}, seconds=8.0)
            )
        )
    assert (not_yet.value.type, not_yet.value.next_retry_delay) == ("NotYet", timedelta(seconds=8))
