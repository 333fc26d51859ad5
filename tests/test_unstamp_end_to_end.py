"""Stamps are removed as an operator asks for it, through everything that may happen to a job."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from typing import Any

import pytest

from reindexer.tally import Outcome
from testbed.faults import Fault, FaultKind, FaultPlan
from testbed.job import outcome, until
from testbed.stack import Stack
from tests.tables import Table

Make = Callable[..., Table]
RECORDS = 1000
BARE = 150  # of them never had a stamp
STAMP = {"reindexVersion": {"N": "7"}, "reindexRun": {"S": "other"}}
SLOW = Fault(kind=FaultKind.SLOW, seconds=0.1, operations="writes")


def stamped(make_table: Make) -> Table:
    """A table most of whose records carry a stamp."""
    table = make_table()
    keys = table.fill(RECORDS)
    table.put(*({**key, **STAMP} for key in keys[BARE:]))
    return table


def left(table: Table) -> int:
    """How many records still carry one."""
    return sum("reindexVersion" in item or "reindexRun" in item for item in table.items())


def job(table: Table, **more: Any) -> dict[str, Any]:
    return {"table": table.name, "operation": {"kind": "unstamp"}, "total_segments": 4, **more}


async def has_begun(handle: Any) -> None:
    await until(handle, lambda seen: seen["tally"]["updated"] > 100)


async def exact(table: Table, handle: Any) -> dict[str, Any]:
    """The totals of an uninterrupted job."""
    kind, report = await outcome(handle)
    assert kind == "complete", report
    counts = {"scanned": RECORDS, "updated": RECORDS - BARE, "current": BARE}
    assert report["tally"] == {**dict.fromkeys(report["tally"], 0), **counts}
    assert report["verification"] == {"scanned": RECORDS, "behind": 0}
    assert left(table) == 0
    return report


async def test_every_record_loses_its_stamp_once_and_a_second_job_finds_none(
    quiet: Stack, make_table: Make
) -> None:
    table = stamped(make_table)
    report = await exact(table, await quiet.start(job(table)))
    assert (report["operation"], report["version"]) == ({"kind": "unstamp", "version": None}, 0)
    assert any("as never touched" in warning for warning in report["warnings"])

    _, again = await outcome(await quiet.start(job(table)))
    assert (again["tally"]["current"], again["tally"]["updated"]) == (RECORDS, 0)
    _, touched = await outcome(
        await quiet.start({"table": table.name, "operation": {"kind": "touch", "version": 7}})
    )
    assert touched["tally"]["updated"] == RECORDS, "to a later job they are as never touched"


async def test_half_of_the_answers_lost(quiet: Stack, make_table: Make) -> None:
    table = stamped(make_table)
    lost = Fault(kind=FaultKind.SERVER_ERROR_APPLIED, probability=0.5, operations="writes")
    quiet.proxy.set_plan(FaultPlan(faults=(lost,)))
    report = await exact(table, await quiet.start(job(table)))
    assert report["attempts"]["ambiguous"] > 0


@pytest.mark.nightly
async def test_all_workers_killed_again_and_again(quiet: Stack, make_table: Make) -> None:
    table = stamped(make_table)
    quiet.proxy.set_plan(FaultPlan(faults=(SLOW,)))
    handle = await quiet.start(job(table))
    await has_begun(handle)
    for _ in range(2):
        quiet.workers.kill()
        await asyncio.sleep(1)
        quiet.workers.start()
        await asyncio.sleep(4)
    quiet.proxy.set_plan(FaultPlan())
    await exact(table, handle)


@pytest.mark.nightly
async def test_a_frozen_worker_that_thaws_changes_no_count(quiet: Stack, make_table: Make) -> None:
    table = stamped(make_table)
    quiet.proxy.set_plan(FaultPlan(faults=(SLOW,)))
    handle = await quiet.start(job(table))
    await has_begun(handle)
    frozen = quiet.workers.children()[0]
    os.kill(frozen, signal.SIGSTOP)
    try:
        await asyncio.sleep(5)  # beyond the heartbeat timeout of 3 s
    finally:
        os.kill(frozen, signal.SIGCONT)
    quiet.proxy.set_plan(FaultPlan())
    await exact(table, handle)


@pytest.mark.parametrize("killed", [False, True])
@pytest.mark.nightly
async def test_a_cancelled_job_has_counted_what_it_removed(
    quiet: Stack, make_table: Make, killed: bool
) -> None:
    table = stamped(make_table)
    quiet.proxy.set_plan(FaultPlan(faults=(SLOW,)))
    handle = await quiet.start(job(table))
    await has_begun(handle)
    if killed:
        quiet.workers.kill()
        await asyncio.sleep(1)
        quiet.workers.start()
    await handle.cancel()
    kind, _ = await outcome(handle)
    report = quiet.ledger().reports.find(handle.id)
    assert report is not None
    assert (kind, report.state) == ("CancelledError", "cancelled")
    assert report.tally[Outcome.UPDATED] == RECORDS - BARE - left(table)


async def test_a_record_that_is_refused_is_given_up_and_redriven(quiet: Stack, make_table: Make) -> None:
    table = stamped(make_table)
    key = {"id": next(item["id"] for item in table.items() if "reindexRun" in item)}
    refused = Fault(kind=FaultKind.STATEMENT_ERROR, code="ValidationError", keys=(key,), operations="writes")
    quiet.proxy.set_plan(FaultPlan(faults=(refused,)))
    handle = await quiet.start(job(table))
    kind, report = await outcome(handle)
    assert (kind, report["tally"]["quarantined"]) == ("Incomplete", 1)
    assert (report["verification"]["behind"], left(table)) == (1, 1)

    quiet.proxy.set_plan(FaultPlan())
    scope = {"kind": "quarantined", "job": report["job"], "run": report["run"]}
    kind, report = await outcome(await quiet.start({"table": table.name, "scope": scope}))
    assert (kind, report["tally"]["updated"], left(table)) == ("complete", 1, 0)
    assert report["operation"]["kind"] == "unstamp"


async def test_a_dry_run_shows_what_would_be_removed(quiet: Stack, make_table: Make) -> None:
    table = stamped(make_table)
    scope = {"kind": "sample", "limit": RECORDS}
    kind, report = await outcome(await quiet.start(job(table, dry_run=True, scope=scope)))
    assert kind == "complete"
    tally = report["dry_run"]["tally"]
    assert (tally["updated"], tally["current"]) == (RECORDS - BARE, BARE)
    assert left(table) == RECORDS - BARE


@pytest.mark.parametrize("writer", ["partiql", pytest.param("update_item", marks=pytest.mark.nightly)])
async def test_named_records_and_partitions_lose_theirs_and_no_others(
    quiet: Stack, make_table: Make, writer: str
) -> None:
    table = make_table(range_type="N")
    keys = table.fill(100)
    table.put(*({**key, **STAMP} for key in keys))
    if writer == "update_item":
        quiet.proxy.set_plan(FaultPlan(faults=(Fault(kind=FaultKind.PARTIQL_DENIED),)))
    named = [{name: next(iter(value.values())) for name, value in key.items()} for key in keys[:10]]
    kind, report = await outcome(await quiet.start(job(table, scope={"kind": "keys", "keys": named})))
    assert (kind, report["tally"]["updated"], report["writer"]) == ("complete", 10, writer)
    assert left(table) == 90

    value = next(item["id"]["S"] for item in table.items() if "reindexRun" in item)
    there = [item for item in table.items() if item["id"]["S"] == value]
    carrying = sum("reindexRun" in item for item in there)
    scope = {"kind": "partitions", "values": [value]}
    kind, report = await outcome(await quiet.start(job(table, scope=scope)))
    assert (kind, report["tally"]["updated"], left(table)) == ("complete", carrying, 90 - carrying)
    assert report["partitions"][value]["scanned"] == len(there)
