"""Scanning again into an index that a follow has filled: what was lost is made good, none counted twice."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import pytest

from testbed.faults import FaultPlan
from testbed.faults.search import SearchFaultPlan, SearchFaultProxy
from testbed.job import outcome, until
from testbed.stack import Stack
from tests.cli import command
from tests.planted import Make
from tests.tables import made_up_key
from tests.test_follow_end_to_end import Followed, Writer, drained, ticking
from tests.test_redrive import entry

pytest_plugins = ["tests.search_proxied"]

RESCAN = {"reason": "what was trimmed", "rescan": True}


def environment(stack: Stack) -> dict[str, str]:
    """Of an operator, who reaches DynamoDB without faults."""
    return {**stack.environment, "AWS_ENDPOINT_URL_DYNAMODB": stack.engine.endpoint_url}


def counted(seen: dict[str, Any], before: dict[str, Any]) -> dict[str, int]:
    more = {name: number - before["tally"][name] for name, number in seen["tally"].items()}
    return {name: number for name, number in more.items() if number}


@pytest.mark.long
async def test_trimmed_changes_are_made_good_by_another_scan_into_the_same_index(
    quiet: Stack, make_table: Make, search_proxy: SearchFaultProxy, search: str
) -> None:
    """Records that were deleted in the lost range leave the index; those changed in it are as they are now."""
    followed = Followed(make_table, search_proxy, search, rows=30)
    table, key = followed.table, followed.table.key
    lineages = quiet.proxy.lineages(followed.stream)
    handle = await followed.start(quiet)
    # Each row twice: it was put in the minutes before the opening, so the stream carries it as well.
    first = await until(handle, lambda seen: seen["tally"]["scanned"] == 60)
    index = f"{followed.alias}-{first['epoch']}"
    await handle.signal("pause")
    await until(handle, lambda seen: seen["state"] == "paused")
    for number in range(10, 15):
        table.client.delete_item(TableName=table.name, Key=made_up_key(key, number))
    for number in (20, 21, 40):
        table.put({**made_up_key(key, number), "later": {"BOOL": True}})
    await asyncio.to_thread(lineages.trim)
    await handle.signal("resume")
    seen = await until(handle, lambda seen: seen["state"] == "parked")
    assert "StreamTrimmed" in seen["reason"]
    assert "is lost" in seen["reason"]
    assert '{"rescan": true}' in seen["reason"]
    code, _, err = await asyncio.to_thread(command, environment(quiet), "resume", handle.id, "--rescan")
    assert code == 0, err
    again = await until(handle, lambda seen: seen["epoch"] > first["epoch"] and seen["state"] != "parked")
    assert not again["drained"]
    await until(handle, lambda seen: seen["state"] == "catching_up")
    table.put({**made_up_key(key, 2), "again": {"BOOL": True}})
    seen = await until(handle, lambda seen: counted(seen, first)["scanned"] == 32)
    # The 26 rows of the second scan, a change, and five documents whose records were gone.
    assert counted(seen, first) == {"scanned": 32, "updated": 27, "vanished": 5}
    async with ticking(followed):
        await until(handle, drained, seconds=150)
    assert followed.behind_alias() == [index]
    await followed.equal()
    await handle.cancel()
    await outcome(handle)
    report = quiet.ledger().reports.find(handle.id, None)
    assert report is not None
    assert report.balanced
    assert report.index is not None
    assert (report.index.index, report.index.moved) == (index, True)
    await _goes_on(quiet, followed)


async def _goes_on(quiet: Stack, followed: Followed) -> None:
    """A later follow finds the index of the second epoch, and scans nothing."""
    followed.table.put({**made_up_key(followed.table.key, 3), "after": {"BOOL": True}})
    on = await followed.start(quiet, backfill=False)
    await until(on, lambda seen: seen["tally"]["updated"] == 1)
    await followed.equal()
    await on.cancel()
    await outcome(on)


@pytest.mark.nightly
@pytest.mark.long
async def test_a_running_follow_is_scanned_again_under_load_and_failures(
    quiet: Stack, make_table: Make, search_proxy: SearchFaultProxy, search: str
) -> None:
    followed = Followed(make_table, search_proxy, search, rows=300)
    short = {"REINDEXER_CYCLE_EVENTS": "80", "REINDEXER_LOOK_SECONDS": "0.5", "REINDEXER_ROUND_SECONDS": "2"}
    beside = quiet.beside(f"follow-{uuid.uuid4().hex[:8]}", short)
    quiet.proxy.set_plan(FaultPlan.mixed(0.1))
    search_proxy.set_plan(SearchFaultPlan.mixed(0.1))
    writer = Writer(followed.table, 350)
    with writer.running(), beside.workers as workers:
        workers.come_up()
        handle = await followed.start(beside)
        first = await until(handle, lambda seen: seen["tally"]["updated"] > 300)
        asked = "rescan", handle.id, "--reason", "to be sure"
        assert (await asyncio.to_thread(command, environment(quiet), *asked))[0] == 2, "there is no terminal"
        code, out, err = await asyncio.to_thread(command, environment(beside), *asked, "--yes")
        assert (code, out) == (0, f"{handle.id} scans its table again\n"), err
        again = await until(handle, lambda seen: seen["epoch"] != first["epoch"])
        assert again["epoch"] > first["epoch"]
        await asyncio.to_thread(workers.kill)
        workers.start()
        await until(handle, drained, seconds=200)
        writer.stop()
        await followed.equal()
        await handle.cancel()
        await outcome(handle)
    assert followed.behind_alias() == [f"{followed.alias}-{first['epoch']}"]
    report = quiet.ledger().reports.find(handle.id, None)
    assert report is not None
    assert report.balanced
    assert any(event.what == "rescan" for event in report.controls)


@pytest.mark.nightly
async def test_a_redrive_that_is_under_way_as_a_rescan_begins_ends(
    quiet: Stack, make_table: Make, search_proxy: SearchFaultProxy, search: str
) -> None:
    """The index is not of its epoch any more: what the new scan has written is newer."""
    followed = Followed(make_table, search_proxy, search, rows=20)
    handle = await followed.start(quiet)
    async with ticking(followed):
        seen = await until(handle, drained, seconds=150)
        mine = {"job": handle.id, "run": seen["run"], "table_arn": followed.table.arn}
        order, key = (seen["epoch"] << 21) + 2, made_up_key(followed.table.key, 3)
        quiet.ledger().failures.add(entry(key, **mine, version=seen["epoch"], stamp=seen["run"], order=order))
        scope = {"kind": "quarantined", "job": handle.id, "run": seen["run"]}
        redrive = await quiet.start({**followed.job(), "scope": scope})
        await redrive.signal("pause")
        await until(redrive, lambda seen: seen["state"] == "paused")
        await handle.execute_update("rescan", {})
        await until(handle, lambda now: now["epoch"] > seen["epoch"] and drained(now), seconds=150)
    await redrive.signal("resume")
    state, report = await outcome(redrive)
    assert (state, report["tally"]["superseded"]) == ("complete", 1), report
    assert "filled again" in report["index"]["why"]
    await handle.cancel()
    await outcome(handle)


async def test_only_a_follow_is_scanned_again(quiet: Stack, make_table: Make) -> None:
    made = make_table()
    made.put(*(made_up_key(made.key, number) for number in range(200)))
    handle = await quiet.start({"table": made.name, "limits": {"records_per_second": 20}})
    await until(handle, lambda seen: seen["tally"]["updated"] > 0)
    await handle.signal("pause")
    await until(handle, lambda seen: seen["state"] == "paused")
    await handle.signal("resume", RESCAN)
    seen = await until(handle, lambda seen: "refused" in (seen["reason"] or ""))
    assert "only a follow" in seen["reason"]
    code, _, err = await asyncio.to_thread(command, environment(quiet), "rescan", handle.id, "--yes")
    assert (code, "only a follow" in err) == (2, True)
    await handle.cancel()
    await outcome(handle)
