"""Comparing two tables on the real servers: planted differences of each kind, and none invented."""

from __future__ import annotations

import asyncio
import json
import uuid
from functools import partial
from typing import Any

import pytest

from testbed.faults import Fault, FaultKind, FaultPlan
from testbed.job import outcome, until
from testbed.stack import Stack
from tests.cli import command
from tests.killed import outcome_though_killed
from tests.planted import FAST, SLOW, Make, Planted, alike, content, has_compared
from tests.tables import made_up_key


@pytest.mark.parametrize(
    ("hash_type", "range_type"),
    [("S", None), *(pytest.param(*pair, marks=pytest.mark.nightly) for pair in (("N", "B"), ("B", "S")))],
)
async def test_planted_differences_are_found_and_none_is_invented(
    quiet: Stack, make_table: Make, hash_type: str, range_type: str | None
) -> None:
    planted = Planted(make_table, hash_type=hash_type, range_type=range_type)
    handle = await quiet.start(planted.job())
    state, report = await outcome(handle)
    assert state == "complete"
    planted.assert_found(report, quiet.ledger())
    different = [found for found in report["comparison"]["sample"] if found["kind"] == "different"]
    assert different[0]["attributes"][0]["path"] == 'more."a.b"[0]'


async def test_equal_tables_have_no_difference(quiet: Stack, make_table: Make) -> None:
    table, other = make_table(), make_table()
    for each, rows in ((table, content), (other, alike)):
        each.put(*({**made_up_key(table.key, number), **rows(number)} for number in range(50)))
    operation = {"kind": "compare", "with": {"table": other.arn}}
    state, report = await outcome(await quiet.start({"table": table.name, "operation": operation}))
    counts = report["comparison"]["counts"]
    assert (state, counts["equal"], counts["scanned"], counts["matched"]) == ("complete", 50, 50, 50)
    assert "chunks" not in report["comparison"] or not any(report["comparison"]["chunks"])


@pytest.mark.nightly
async def test_one_call_in_ten_failing_changes_nothing(quiet: Stack, make_table: Make) -> None:
    planted = Planted(make_table)
    kinds = (FaultKind.SERVER_ERROR, FaultKind.THROTTLE, FaultKind.CUT, FaultKind.WRONG_CRC32)
    tables = frozenset((planted.table.name, planted.other.name))
    faults = tuple(Fault(kind=kind, probability=0.03, operations="reads", tables=tables) for kind in kinds)
    unprocessed = Fault(kind=FaultKind.UNPROCESSED, probability=0.1, tables=tables)
    handle = await quiet.start(planted.job(limits=SLOW))
    quiet.proxy.set_plan(FaultPlan(seed=5, faults=(*faults, unprocessed)))
    state, report = await outcome(handle)
    struck = quiet.proxy.truth().injected
    quiet.proxy.set_plan(FaultPlan())
    assert state == "complete", report
    assert len(struck) > 2, "few calls failed"
    planted.assert_found(report, quiet.ledger())


@pytest.mark.nightly
async def test_a_paused_comparison_reads_nothing_and_goes_on_where_it_was(
    quiet: Stack, make_table: Make
) -> None:
    planted = Planted(make_table)
    handle = await quiet.start(planted.job(limits=SLOW))
    await until(handle, partial(has_compared, 1))
    await handle.signal("pause")
    paused = await until(handle, lambda seen: seen["state"] == "paused")
    calls = quiet.proxy.truth().calls
    await asyncio.sleep(2)
    later = quiet.proxy.truth().calls
    assert {name: later.get(name) for name in ("Scan", "BatchGetItem")} == {
        name: calls.get(name) for name in ("Scan", "BatchGetItem")
    }
    assert 0 < paused["comparison"]["scanned"] < planted.sizes[0]
    await handle.signal("resume")
    await handle.execute_update("set_limits", FAST)
    state, report = await outcome(handle)
    assert state == "complete"
    planted.assert_found(report, quiet.ledger())


@pytest.mark.nightly
async def test_a_cancelled_comparison_reports_what_ithas_compared(quiet: Stack, make_table: Make) -> None:
    planted = Planted(make_table)
    handle = await quiet.start(planted.job(limits=SLOW))
    await until(handle, partial(has_compared, 1))
    await handle.cancel()
    state, _ = await outcome(handle)
    report = quiet.ledger().reports.find(handle.id)
    assert state == "CancelledError"
    assert report is not None
    assert report.comparison is not None
    assert (report.state, report.comparison.counts.balanced) == ("cancelled", True)
    assert 0 < report.comparison.counts.scanned < planted.sizes[0]


@pytest.mark.nightly
async def test_a_comparison_survives_workers_that_are_killed(quiet: Stack, make_table: Make) -> None:
    planted = Planted(make_table)
    beside = quiet.beside(f"compare-{uuid.uuid4().hex[:8]}")
    moments = [partial(has_compared, scanned) for scanned in (1, 150)]
    state, report = await outcome_though_killed(beside, planted.job(limits=SLOW), moments, FAST)
    assert state == "complete", report
    planted.assert_found(report, quiet.ledger())


@pytest.mark.nightly
async def test_a_comparison_goes_on_over_runs_of_its_workflows(quiet: Stack, make_table: Make) -> None:
    """The root hands over to a new run, and so do its shards, again and again."""
    planted = Planted(make_table)
    short = {
        "REINDEXER_CYCLE_EVENTS": "60",
        "REINDEXER_LOOK_SECONDS": "0.2",
        "REINDEXER_ROUND_SECONDS": "1",
        "REINDEXER_CONTINUE_AFTER_EVENTS": "12",
    }
    beside = quiet.beside(f"compare-{uuid.uuid4().hex[:8]}", short)
    with beside.workers as workers:
        workers.come_up()
        handle = await beside.start(planted.job(limits=SLOW))
        await until(handle, lambda seen: bool(seen["cycle"] >= 2))
        await handle.execute_update("set_limits", FAST)
        state, report = await outcome(handle)
    assert state == "complete", report
    planted.assert_found(report, quiet.ledger())


async def test_live_writers_on_the_first_table_invent_no_difference(quiet: Stack, make_table: Make) -> None:
    """Rows that are rewritten with what both tables hold, and rows that change and change back."""
    planted = Planted(make_table, rows=300)
    stop = asyncio.Event()

    def write(number: int) -> None:
        key = made_up_key(planted.table.key, number)
        planted.table.put({**key, **alike(number), "reindexVersion": {"N": str(number)}})

    async def writer() -> int:
        writes = 0
        while not stop.is_set():
            for number in (number for number in range(300) if number % 50 not in (3, 5, 7)):
                await asyncio.to_thread(write, number)
                await asyncio.sleep(0.01)  # each row twice: more would take a core from the comparison
                writes += 1
                if stop.is_set():
                    break
        return writes

    writing = asyncio.ensure_future(writer())
    state, report = await outcome(await quiet.start(planted.job(limits=SLOW)))
    stop.set()
    assert await writing > 50
    assert state == "complete"
    planted.assert_found(report, quiet.ledger())


@pytest.mark.nightly
@pytest.mark.long
async def test_without_workers_status_shows_what_the_server_knows(quiet: Stack, make_table: Make) -> None:
    planted = Planted(make_table)
    beside = quiet.beside(f"compare-{uuid.uuid4().hex[:8]}")
    with beside.workers as workers:
        workers.come_up()
        handle = await beside.start(planted.job(limits=SLOW))
        await until(handle, partial(has_compared, 1))
        await asyncio.to_thread(workers.kill)
        seen = await asyncio.to_thread(command, dict(beside.environment), "status", handle.id, "--json")
        workers.start()
        await handle.execute_update("set_limits", FAST)
        state, report = await outcome(handle)
    status = json.loads(seen[1])
    assert (status["state"], status["workers"]) == ("comparing", False), seen
    assert status["comparison"]["scanned"] <= planted.sizes[0]
    assert state == "complete"
    planted.assert_found(report, quiet.ledger())


async def test_a_second_table_that_is_gone_parks_the_job(quiet: Stack, make_table: Make) -> None:
    planted = Planted(make_table)
    handle = await quiet.start(planted.job(limits=SLOW))
    await until(handle, partial(has_compared, 1))
    planted.other.drop()
    parked = await until(handle, lambda seen: bool(seen["state"] == "parked"))
    assert planted.other.name in parked["reason"]
    assert parked["comparison"]["missing"] <= list(planted.kinds.values()).count("missing")
    await handle.cancel()
    assert (await outcome(handle))[0] == "CancelledError"


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({}, "operation.with.table: {table} is the table itself"),
        ({"other": "number"}, "operation.with.table: its key is id (N), that of"),
        ({"with": "no-such-table"}, "operation.with.table: there is no table no-such-table"),
        (
            {"scope": {"kind": "partitions", "values": ["a"], "index": "i"}},
            "scope.index: compare and repair read partitions of the tables themselves",
        ),
        ({"leave_out": ["id"]}, "operation.leave_out[0]: 'id' is a key attribute"),
    ],
)
async def test_what_cannot_be_compared_is_refused_in_a_sentence(
    quiet: Stack, make_table: Make, given: Any, says: str
) -> None:
    table = make_table()
    other = make_table(hash_type="N") if "other" in given else table
    operation = {"kind": "compare", "with": {"table": given.get("with", other.name)}}
    operation |= {name: value for name, value in given.items() if name == "leave_out"}
    job: dict[str, Any] = {"table": table.name, "operation": operation}
    job |= {name: value for name, value in given.items() if name == "scope"}
    kind, failure = await outcome(await quiet.start(job))
    assert kind == "BadInput"
    assert says.format(table=table.arn) in failure["message"]
