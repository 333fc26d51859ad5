"""Pause, resume, limits, cancel: what an operator does to a running job, and how soon it shows."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from temporalio.client import WorkflowUpdateFailedError
from temporalio.common import SearchAttributeKey

from reindexer.tally import Outcome
from testbed.faults import Fault, FaultKind, FaultPlan
from testbed.job import outcome, progress, until
from testbed.stack import Stack
from tests.tables import Table
from tests.test_replay import replay

Make = Callable[..., Table]
#: Answers slow enough for a job of some thousand records to last for seconds.
SLOW = FaultPlan(faults=(Fault(kind=FaultKind.SLOW, seconds=0.15, operations="writes"),))


async def slow_job(stack: Stack, table: Table, **more: Any) -> Any:
    stack.proxy.set_plan(SLOW)
    return await stack.start({"table": table.name, "total_segments": 8, **more})


async def has_begun(handle: Any, table: Table) -> None:
    deadline = time.monotonic() + 60  # a second on a quiet machine
    while time.monotonic() < deadline:
        # Counted by the engine: thousands of items ten times a second would cost as much CPU as the job.
        found = table.client.scan(
            TableName=table.name, FilterExpression="attribute_exists(reindexVersion)", Select="COUNT"
        )
        if found["Count"]:
            return
        await asyncio.sleep(0.1)
    raise AssertionError("nothing was written within a minute")


@pytest.mark.alone
async def test_pause_stops_every_shard_within_two_seconds(quiet: Stack, make_table: Make) -> None:
    table = make_table()
    table.fill(4000)
    handle = await slow_job(quiet, table)
    await has_begun(handle, table)

    asked = time.monotonic()
    await handle.signal("pause", {"reason": "deploy"})
    seen = await until(handle, lambda p: p["state"] == "paused", seconds=10)
    took = time.monotonic() - asked

    assert seen["reason"] == "deploy"
    assert seen["in_flight"] == 0
    assert took < 5, "2 s on a quiet machine; a busy one gets more, but no round's length"
    before = quiet.proxy.truth(wait=2).applied(table.name)
    await asyncio.sleep(1)
    assert quiet.proxy.truth().applied(table.name) == before, "a paused job writes nothing"

    quiet.proxy.set_plan(FaultPlan())
    await handle.signal("resume")
    kind, report = await outcome(handle)
    assert (kind, report["tally"]["updated"], report["tally"]["scanned"]) == ("complete", 4000, 4000)
    assert [event["what"] for event in report["controls"]] == ["pause", "resume"]
    assert report["controls"][0]["reason"] == "deploy"


async def test_pause_works_whatever_comes_with_it(quiet: Stack, make_table: Make) -> None:
    table = make_table()
    table.fill(2000)
    handle = await slow_job(quiet, table)

    await handle.signal("pause", args=[{"nonsense": [1]}, "and", "more"])
    await until(handle, lambda p: p["state"] == "paused")

    await handle.signal("resume", "because")
    quiet.proxy.set_plan(FaultPlan())
    kind, report = await outcome(handle)
    assert (kind, report["tally"]["updated"]) == ("complete", 2000)


async def test_a_job_paused_before_it_starts_touches_nothing(quiet: Stack, make_table: Make) -> None:
    table = make_table()
    table.fill(50)
    handle = await quiet.start({"table": table.name}, start_signal="pause")

    await until(handle, lambda p: p["state"] == "paused")
    assert not any("reindexVersion" in item for item in table.items())

    await handle.signal("resume")
    kind, report = await outcome(handle)
    assert (kind, report["tally"]["updated"]) == ("complete", 50)


#: What comes with a resume, and what is said of it.
UNREADABLE: list[tuple[list[Any], str]] = [
    ([{"code": 5}], "code: should be 12 to 64 digits"),
    ([{"code": "not a hash at all"}], "(given: 'not a hash at all')"),
    ([{"cod": "0123456789ab"}], "cod: is not a known field (did you mean code?)"),
    ([[1, 2]], "it must be"),
    ([{}, {}], "at most one object comes with a resume (2 came)"),
]


async def test_a_resume_that_cannot_be_read_is_noted_and_resumes_nothing(
    quiet: Stack, make_table: Make
) -> None:
    table = make_table()
    table.fill(5)
    handle = await quiet.start({"table": table.name}, start_signal="pause", start_signal_args=[{"reason": "x"}])
    await until(handle, lambda p: p["state"] == "paused")

    for sent, says in UNREADABLE:
        await handle.signal("resume", args=sent)
        seen = await until(handle, partial(_says, says))
        assert (seen["state"], seen["reason"].startswith("x; a resume was refused: ")) == ("paused", True)
        details = (await handle.query("__temporal_workflow_metadata")).current_details
        assert says in details
        assert f"To go on: `reindexer resume {handle.id}`" in details
        assert not any("reindexVersion" in item for item in table.items())

    await handle.signal("resume", {"reason": "read"})
    kind, report = await outcome(handle)
    assert (kind, report["tally"]["updated"]) == ("complete", 5)
    refused = ["resume refused"] * len(UNREADABLE)
    assert [event["what"] for event in report["controls"]] == ["pause", *refused, "resume"]
    for (_, says), event in zip(UNREADABLE, report["controls"][1:], strict=False):
        assert says in event["reason"]
    await replay((await handle.fetch_history()).to_json())


def _says(what: str, seen: dict[str, Any]) -> bool:
    return what in seen["reason"]


@pytest.mark.alone
async def test_limits_hold_and_can_be_changed(quiet: Stack, make_table: Make) -> None:
    table = make_table()
    table.fill(1500)
    limits = {"records_per_second": 100}
    handle = await quiet.start({"table": table.name, "total_segments": 4, "limits": limits})
    await has_begun(handle, table)

    began, at = quiet.proxy.truth().applied(table.name), time.monotonic()
    await asyncio.sleep(4)
    rate = (quiet.proxy.truth().applied(table.name) - began) / (time.monotonic() - at)
    assert 40 < rate < 130

    answer = await handle.execute_update("set_limits", {"records_per_second": "unlimited", "reason": "night"})
    assert answer["records_per_second"] == "unlimited"
    kind, report = await outcome(handle, seconds=30)
    assert (kind, report["tally"]["updated"]) == ("complete", 1500)
    changed = report["controls"][0]
    assert (changed["what"], changed["reason"]) == ("set_limits", "night")


async def test_wrong_limits_are_rejected_and_change_nothing(quiet: Stack, make_table: Make) -> None:
    table = make_table()
    table.fill(10)
    handle = await quiet.start({"table": table.name}, start_signal="pause")
    await until(handle, lambda p: p["state"] == "paused")
    before = (await progress(handle))["limits"]

    wrong: list[tuple[Any, str]] = [
        ({"records_per_second": -5}, "records_per_second"),
        ({"no_such_limit": 5}, "no_such_limit"),
        ({}, "set_limits"),
        (None, "set_limits"),
        ("fast", "set_limits"),
    ]
    for change, named in wrong:
        with pytest.raises(WorkflowUpdateFailedError) as rejected:
            await handle.execute_update("set_limits", change)
        assert named in str(rejected.value.cause)
        assert (await progress(handle))["limits"] == before
    await handle.signal("resume")
    await outcome(handle)


async def test_cancel_ends_rounds_cleanly_and_the_ledger_tells_what_was_done(
    quiet: Stack, make_table: Make
) -> None:
    table = make_table()
    table.fill(4000)
    handle = await slow_job(quiet, table)
    await has_begun(handle, table)

    await handle.cancel()
    kind, _ = await outcome(handle, seconds=30)
    assert kind == "CancelledError"

    report = quiet.ledger().reports.find(handle.id)
    assert report is not None
    changed = sum("reindexVersion" in item for item in table.items())
    assert report.state == "cancelled"
    assert 0 < report.tally.scanned < 4000
    # What was written beyond a shard's cursor when it stopped is not counted: at most a batch or two a shard.
    assert report.tally[Outcome.UPDATED] <= changed <= report.tally[Outcome.UPDATED] + 8 * 50

    seen = await progress(handle)
    assert seen["tally"]["scanned"] == report.tally.scanned

    quiet.proxy.set_plan(FaultPlan())
    kind, redecide = await outcome(await quiet.start({"table": table.name}))
    assert (kind, redecide["tally"]["scanned"]) == ("complete", 4000), "the lock was released"


async def test_one_job_per_table_at_a_time(quiet: Stack, make_table: Make) -> None:
    table = make_table()
    table.fill(20)
    first = await quiet.start({"table": table.name}, start_signal="pause")
    await until(first, lambda p: p["state"] == "paused")

    kind, refusal = await outcome(await quiet.start({"table": table.name}))
    assert kind == "Locked"
    assert first.id in refusal["message"]

    await first.terminate()
    kind, report = await outcome(await quiet.start({"table": table.name}), seconds=40)
    assert (kind, report["tally"]["updated"]) == ("complete", 20), "a terminated job's lock is taken over"


async def test_a_shard_ended_by_hand_parks_the_job_and_resume_starts_it_again(
    quiet: Stack, make_table: Make
) -> None:
    table = make_table()
    table.fill(3000)
    handle = await slow_job(quiet, table)
    await has_begun(handle, table)
    run = (await progress(handle))["run"]

    client = await quiet.connect()
    await client.get_workflow_handle(f"{handle.id}/{run}/shard-002").terminate()
    seen = await until(handle, lambda p: p["state"] == "parked")
    assert "shard 2" in seen["reason"]

    quiet.proxy.set_plan(FaultPlan())
    await handle.signal("resume")
    kind, report = await outcome(handle)
    assert (kind, report["tally"]["scanned"], report["tally"]["updated"]) == ("complete", 3000, 3000)
    history = await client.get_workflow_handle(f"{handle.id}/{run}/shard-002-again-2").fetch_history()
    started = history.events[0].workflow_execution_started_event_attributes.input.payloads[0]
    assert json.loads(started.data)["state"]["timed_out"], "the ended shard's attempt may still have written"


@pytest.mark.nightly
async def test_a_shard_cancelled_by_hand_is_counted_once_when_it_goes_on(
    quiet: Stack, make_table: Make
) -> None:
    """What it had done beyond its cursor is met by the rounds of the shard started again."""
    table = make_table()
    table.fill(3000)
    handle = await slow_job(quiet, table)
    quiet.proxy.set_plan(FaultPlan(faults=(*FaultPlan.mixed(0.3, seed=5).faults, *SLOW.faults)))
    await has_begun(handle, table)
    run = (await progress(handle))["run"]

    client = await quiet.connect()
    for number in range(8):
        await client.get_workflow_handle(f"{handle.id}/{run}/shard-{number:03}").cancel()
    seen = await until(handle, lambda p: p["state"] == "parked" and not p["shards"]["running"])
    assert "cancelled from outside" in seen["reason"]

    quiet.proxy.set_plan(FaultPlan())
    await handle.signal("resume")
    kind, report = await outcome(handle)
    assert (kind, report["tally"]["scanned"], report["tally"]["updated"]) == ("complete", 3000, 3000)
    assert any("started again" in warning for warning in report["warnings"])


@pytest.mark.alone  # it is ended by hand, five times, before it ends by itself
async def test_a_job_cancelled_while_ended_shards_wait_agrees_with_the_stamps(
    quiet: Stack, make_table: Make
) -> None:
    table = make_table()
    table.fill(3000)
    handle = await slow_job(quiet, table)
    await has_begun(handle, table)
    run = (await progress(handle))["run"]
    client = await quiet.connect()
    for number in range(4):
        await client.get_workflow_handle(f"{handle.id}/{run}/shard-{number:03}").terminate()
    await client.get_workflow_handle(f"{handle.id}/{run}/shard-004").cancel()
    await until(handle, lambda p: p["state"] == "parked")

    await handle.cancel()
    await outcome(handle)
    report = quiet.ledger().reports.find(handle.id)
    assert report is not None
    assert (report.state, report.balanced) == ("cancelled", True)
    quiet.proxy.truth(wait=5)
    stamped = sum(item.get("reindexRun", {}).get("S") == run for item in table.items())
    assert 0 < report.tally[Outcome.UPDATED] == stamped < 3000


async def test_search_attributes_and_details_tell_what_it_is(quiet: Stack, make_table: Make) -> None:
    table = make_table()
    table.fill(10)
    handle = await quiet.start({"table": table.name})
    await outcome(handle)

    described = await handle.describe()
    attributes = described.typed_search_attributes
    assert attributes[SearchAttributeKey.for_keyword("ReindexTable")] == table.name
    assert attributes[SearchAttributeKey.for_keyword("ReindexState")] == "done"
    assert attributes[SearchAttributeKey.for_keyword("ReindexOperation")] == "touch"
    assert (await described.memo())["tally"]["updated"] == 10
    details = (await handle.query("__temporal_workflow_metadata")).current_details
    for shown in ("scanned\u2003 | 10 |", "**Warnings**", "**Plan**", "account\u2003 |", "limits\u2003 |"):
        assert shown in details, details
    assert f"touch `{table.name}` to version" in details
