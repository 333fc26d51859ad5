"""A root that hands over to its next run every two seconds: whatever comes at that moment, the job is exact."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from temporalio.client import WorkflowExecutionStatus

from commands.limits import set_limits
from reindexer.tally import Outcome
from testbed.faults import Fault, FaultKind, FaultPlan
from testbed.job import outcome, progress, until
from testbed.stack import Stack
from tests.tables import Table
from tests.test_control import has_begun
from tests.test_crashes import exact

Make = Callable[..., Table]
RECORDS = 4000
#: A run is bounded after eight looks, here 1.6 s, at 40 events.
CYCLING = {"REINDEXER_CYCLE_EVENTS": "40", "REINDEXER_LOOK_SECONDS": "0.2", "REINDEXER_ROUND_SECONDS": "2"}


def slow(*more: Fault) -> FaultPlan:
    """Some 20 s for all records: ten runs."""
    return FaultPlan(faults=(*more, Fault(kind=FaultKind.SLOW, seconds=0.5, operations="writes")))


@pytest.fixture(scope="module")
def cycling_workers(stack: Stack) -> Iterator[Stack]:
    """Workers of their own, beside those of the session."""
    made = stack.beside("reindexer-cycling", CYCLING)
    with made.workers:
        yield made


@pytest.fixture
def cycling(cycling_workers: Stack, quiet: Stack) -> Stack:
    return cycling_workers


async def begun(stack: Stack, table: Table, **more: Any) -> Any:
    """A job of 4,000 records in its second run at least."""
    table.fill(RECORDS)
    stack.proxy.set_plan(slow())
    handle = await stack.start({"table": table.name, "total_segments": 4, **more})
    await until(handle, lambda p: p["cycle"] >= 1, seconds=60)
    return handle


async def children(stack: Stack, handle: Any, run: str) -> set[str]:
    """The ends of their ids."""
    client = await stack.connect()
    prefix = f"{handle.id}/{run}/"
    query = f'WorkflowType="ReindexShard" AND WorkflowId STARTS_WITH "{prefix}"'
    return {child.id.removeprefix(prefix) async for child in client.list_workflows(query)}


@pytest.mark.long
async def test_a_job_over_many_runs_is_exact(cycling: Stack, make_table: Make) -> None:
    table = make_table()
    handle = await begun(cycling, table)
    before = await progress(handle)
    seen = await until(handle, lambda p: p["cycle"] >= 3, seconds=60)
    assert seen["started_at"] == before["started_at"], "of the job, not of a run"
    cycling.proxy.set_plan(FaultPlan())

    report = await exact(cycling, table, handle, RECORDS)
    assert report["warnings"] == [w for w in report["warnings"] if "started again" not in w]
    assert report["started_at"].startswith(before["started_at"][:19])
    shards = {f"shard-{number:03}" for number in range(4)}
    assert shards <= await children(cycling, handle, report["run"]) <= shards | {"verify-004"}
    assert (await progress(handle))["cycle"] >= 3


@pytest.mark.long
@pytest.mark.alone  # an attempt that a busy machine keeps from its heartbeat writes on for a moment
async def test_a_pause_at_any_moment_holds_over_the_cycle(cycling: Stack, make_table: Make) -> None:
    table = make_table()
    handle = await begun(cycling, table)
    draw = random.Random(1)
    for number in range(4):
        if number % 2:  # as a run of the root begins, and starts its shards
            before = (await progress(handle))["cycle"]
            await until(handle, lambda p, before=before: p["cycle"] > before)  # type: ignore[misc]
        else:
            await asyncio.sleep(draw.uniform(0.1, 1.5))
        await handle.signal("pause", {"reason": "deploy"})
        seen = await until(handle, lambda p: p["state"] == "paused", seconds=30)
        assert seen["reason"] == "deploy"
        applied = cycling.proxy.truth(wait=2).applied(table.name)
        await asyncio.sleep(0.5)
        assert cycling.proxy.truth().applied(table.name) == applied, "a paused job writes nothing"
        await handle.signal("resume")
    cycling.proxy.set_plan(FaultPlan())
    report = await exact(cycling, table, handle, RECORDS)
    assert [event["what"] for event in report["controls"]] == ["pause", "resume"] * 4


@pytest.mark.nightly
async def test_limits_are_set_at_any_moment(cycling: Stack, make_table: Make) -> None:
    """An update that comes as a run ends is aborted, and sent again as the commands do."""
    table = make_table()
    handle = await begun(cycling, table)
    client = await cycling.connect()
    for number in range(20):
        limits = await set_limits(client, handle.id, {"records_per_second": 100_000 + number})
        assert limits["records_per_second"] == 100_000 + number
        await asyncio.sleep(0.2)
    assert (await progress(handle))["limits"]["records_per_second"] == 100_019
    cycling.proxy.set_plan(FaultPlan())
    await exact(cycling, table, handle, RECORDS)


@pytest.mark.parametrize("moment", [0.0, 0.4, 0.9, 1.5])
@pytest.mark.nightly
async def test_a_cancel_at_any_moment_agrees_with_the_stamps(
    cycling: Stack, make_table: Make, moment: float
) -> None:
    """Also of what shards had done beyond their cursors when they handed back to the root that is cancelled."""
    table = make_table()
    handle = await begun(cycling, table)
    cycling.proxy.set_plan(slow(*FaultPlan.mixed(0.2, seed=int(10 * moment)).faults))
    await asyncio.sleep(moment)
    await handle.cancel()
    assert await outcome(handle) == ("CancelledError", {})

    report = cycling.ledger().reports.find(handle.id)
    assert report is not None
    assert (report.state, report.balanced) == ("cancelled", True)
    stamped = sum(item.get("reindexRun", {}).get("S") == report.run for item in table.items())
    assert 0 < report.tally[Outcome.UPDATED] == stamped < RECORDS
    client = await cycling.connect()
    for child in await children(cycling, handle, report.run):
        about = await client.get_workflow_handle(f"{handle.id}/{report.run}/{child}").describe()
        assert about.status is not WorkflowExecutionStatus.RUNNING


@pytest.mark.nightly
async def test_workers_that_are_killed_meanwhile_change_no_count(cycling: Stack, make_table: Make) -> None:
    table = make_table()
    handle = await begun(cycling, table)
    for _ in range(3):
        os.kill(cycling.workers.children()[0], signal.SIGKILL)
        await asyncio.sleep(2.5)
    cycling.proxy.set_plan(FaultPlan())
    await exact(cycling, table, handle, RECORDS)


@pytest.mark.nightly
async def test_quarantine_and_its_budget_hold_over_the_cycle(cycling: Stack, make_table: Make) -> None:
    table = make_table()
    bad = [{"id": {"S": f"row-{number:06}"}} for number in range(0, RECORDS, 400)]
    fault = Fault(kind=FaultKind.STATEMENT_ERROR, code="ValidationError", keys=tuple(bad))
    table.fill(RECORDS)
    cycling.proxy.set_plan(slow(fault))
    handle = await cycling.start({"table": table.name, "total_segments": 4, "limits": {"quarantined": 3}})
    seen = await until(handle, lambda p: p["state"] == "parked", seconds=60)
    assert "records are quarantined, more than limits.quarantined = 3" in seen["reason"]
    await until(handle, lambda p: p["cycle"] >= 1, seconds=60)
    await handle.execute_update("set_limits", {"quarantined": 100})
    await handle.signal("resume")
    cycling.proxy.set_plan(FaultPlan(faults=(fault,)))
    kind, report = await outcome(handle)
    assert kind == "Incomplete"
    assert (report["tally"]["quarantined"], report["tally"]["updated"]) == (10, RECORDS - 10)
    assert report["verification"] == {"scanned": RECORDS, "behind": 10}
    failures = await handle.query("failures")
    assert (failures["total"], failures["counts"]) == (10, {"ValidationError": 10})
    assert len(cycling.ledger().failures.open(handle.id, report["run"])) == 10


@pytest.mark.nightly
async def test_partitions_totals_hold_over_the_cycle(cycling: Stack, make_table: Make) -> None:
    table = make_table(range_type="S")
    names = [f"tenant-{number:04}" for number in range(400)]
    table.put(*({"id": {"S": name}, "sort": {"S": str(row)}} for name in names for row in range(5)))
    cycling.proxy.set_plan(slow())
    scope = {"kind": "partitions", "values": names}
    handle = await cycling.start({"table": table.name, "scope": scope, "total_segments": 3})
    await has_begun(handle, table)
    await until(handle, lambda p: p["cycle"] >= 2, seconds=60)
    cycling.proxy.set_plan(FaultPlan())
    kind, report = await outcome(handle)
    assert kind == "complete", report["warnings"]
    assert report["partitions"] == {name: {"scanned": 5, "updated": 5} for name in names}
