"""A shard whose state is in the ledger, while the ledger is not there: nothing it has counted is lost."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest
from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, RetryState

from activities.kept import KeptActivities
from reindexer.models import (
    Control,
    Counts,
    HandBack,
    KeepInput,
    Kept,
    Segment,
    ShardInput,
    ShardState,
    ShardSummary,
)
from reindexer.tally import Tally
from tests.driving import target
from workflows.reindex_shard import ReindexShard
from workflows.shard.handing_back import keep, load
from workflows.shard.reporting import Telling
from workflows.shard.running_shard import RunningShard

PLACE = Kept(job="reindex-cities", run="stamp", index=3, number=4)
STATE = ShardState(tally=Tally(scanned=500, updated=500), cursor={"id": {"S": "x" * 2048}}, rounds=7)
KNOWN = ShardSummary(counts=Counts(tally=STATE.tally), rounds=7)


class Outside:
    """Temporal, as far as these parts use it: activities that fail, and waits that others end."""

    def __init__(self) -> None:
        self.there = False
        self.kept: list[KeepInput] = []
        self.waits: list[Callable[[], bool]] = []
        self.memos: list[Any] = []

    async def execute_activity_method(self, activity: Any, request: Any, **_: Any) -> Any:
        if not self.there:
            cause = ApplicationError("the ledger is being restored", type="LedgerUnavailable")
            error = ActivityError(
                "failed", scheduled_event_id=1, started_event_id=2, identity="", activity_id="1",
                activity_type=activity.__name__, retry_state=RetryState.MAXIMUM_ATTEMPTS_REACHED,
            )  # fmt: skip
            raise error from cause
        if activity is KeptActivities.keep_state:
            self.kept.append(request)
            return None
        assert (activity, request) == (KeptActivities.load_state, PLACE)
        return STATE

    async def wait_condition(self, condition: Callable[[], bool]) -> None:
        for _ in range(1000):
            if condition():
                return
            await asyncio.sleep(0)
        raise AssertionError("waits for ever")


@pytest.fixture
def outside(monkeypatch: pytest.MonkeyPatch) -> Outside:
    made = Outside()
    monkeypatch.setattr(workflow, "execute_activity_method", made.execute_activity_method)
    monkeypatch.setattr(workflow, "wait_condition", made.wait_condition)
    monkeypatch.setattr(workflow, "upsert_memo", made.memos.append)
    monkeypatch.setattr(workflow, "logger", logging.getLogger("test"))
    return made


def a_shard(**more: Any) -> RunningShard:
    fields: dict[str, Any] = {
        "job": "reindex-cities", "run": "stamp", "index": 3, "target": target(),
        "source": Segment(segment=3, total=4), "isolation": "batch", "heartbeat_timeout": 10.0,
        "control": Control(seq=5), "kept": PLACE, "summary": KNOWN, "hand_backs": 4,
    }  # fmt: skip
    return RunningShard(ShardInput(**(fields | more)))


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_it_parks_and_goes_on_once_the_ledger_is_there_and_it_is_resumed(outside: Outside) -> None:
    shard = a_shard()
    loading = asyncio.ensure_future(load(shard, Telling(shard)))
    await settle()
    assert shard.parked
    assert "being restored (LedgerUnavailable)" in shard.situation.reason
    assert shard.summary == KNOWN, "what is not loaded counts as before"
    assert outside.memos[-1]["shard"].summary == KNOWN

    shard.take(Control(seq=6, paused=True, paused_since=6))  # the root has parked the job
    await settle()
    assert not loading.done()
    outside.there = True
    shard.take(Control(seq=7))
    await loading
    assert (shard.loaded, shard.state, shard.situation.state) == (True, STATE, "running")


@pytest.mark.parametrize(
    ("control", "how", "doubt"),
    [(Control(seq=6, stop=True), "cancelled", True), (Control(seq=6, cycle=1), "yielded", False)],
)
async def test_asked_to_leave_it_hands_back_what_it_was_given(
    outside: Outside, control: Control, how: Any, doubt: bool
) -> None:
    made = ReindexShard(a_shard().request)
    shard = made._shard
    loading = asyncio.ensure_future(load(shard, Telling(shard)))
    await settle()
    shard.take(control)
    await loading
    assert not shard.loaded
    summary = KNOWN.model_copy(update={"doubt": doubt})
    assert made._as_it_came() == HandBack(how=how, summary=summary, kept=PLACE, hand_backs=4)


async def test_while_it_waits_each_pause_is_acknowledged(outside: Outside) -> None:
    shard = a_shard()
    telling = Telling(shard)
    loading = asyncio.ensure_future(load(shard, telling))
    await settle()
    shard.take(Control(seq=9, paused=True, paused_since=9))
    await settle()
    assert telling._acknowledged == 9
    assert telling._still is not None
    shard.take(Control(seq=10, stop=True))
    await loading


async def test_a_large_state_waits_for_the_ledger_also_where_the_root_hands_over(outside: Outside) -> None:
    """Handed back without it, the shard would begin from nothing."""
    shard = a_shard(kept=None, state=STATE)
    shard.take(Control(seq=6, cycle=1))
    keeping = asyncio.ensure_future(keep(shard, Telling(shard), STATE))
    await settle()
    assert not keeping.done()
    outside.there = True
    shard.take(Control(seq=7, cycle=1))
    place = PLACE.model_copy(update={"number": 5})
    assert await keeping == (None, place)
    assert outside.kept == [KeepInput(kept=place, state=STATE)]


async def test_a_small_state_travels(outside: Outside) -> None:
    state = ShardState(tally=Tally(scanned=1, updated=1), cursor={"id": {"S": "a"}})
    assert await keep(a_shard(), Telling(a_shard()), state) == (state, None)


async def test_of_a_cancelled_shard_the_counts_remain(outside: Outside) -> None:
    shard = a_shard(kept=None, state=STATE)
    shard.take(Control(seq=6, stop=True))
    assert await keep(shard, Telling(shard), STATE) == (None, None)
    assert shard.summary == STATE.summary
