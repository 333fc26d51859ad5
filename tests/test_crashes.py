"""What a crash may cost: work examined again. What it may not: a record lost, or counted twice."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections.abc import Callable
from typing import Any

import pytest

from testbed.faults import Fault, FaultKind, FaultPlan
from testbed.job import outcome, until
from testbed.stack import Stack
from tests.tables import Table
from tests.test_control import has_begun

Make = Callable[..., Table]
RECORDS = 1500


def slow(*more: Fault) -> FaultPlan:
    return FaultPlan(faults=(*more, Fault(kind=FaultKind.SLOW, seconds=0.1, operations="writes")))


async def exact(stack: Stack, table: Table, handle: Any, records: int = RECORDS) -> dict[str, Any]:
    """The totals of an uninterrupted job, and by the proxy's own truth no record changed twice."""
    kind, report = await outcome(handle)
    assert kind == "complete", report
    expected = {**dict.fromkeys(report["tally"], 0), "scanned": records, "updated": records}
    assert report["tally"] == expected
    assert report["verification"] == {"scanned": records, "behind": 0}
    truth = stack.proxy.truth(wait=5)
    assert truth.changed_twice(report["run"]) == []
    keys = truth.tables[table.name].values()
    # Writes under way when an engine was killed: only the table itself knows whether they were applied.
    in_doubt = sum(1 for key in keys if not key.runs and key.unknown)
    assert truth.changed(table.name, report["run"]) + in_doubt == records
    return report


@pytest.mark.nightly
async def test_a_worker_process_killed_in_mid_run(quiet: Stack, make_table: Make) -> None:
    table = make_table()
    table.fill(RECORDS)
    quiet.proxy.set_plan(slow())
    handle = await quiet.start({"table": table.name, "total_segments": 6})
    await has_begun(handle, table)

    os.kill(quiet.workers.children()[0], signal.SIGKILL)
    await asyncio.sleep(2)
    os.kill(quiet.workers.children()[-1], signal.SIGKILL)
    quiet.proxy.set_plan(FaultPlan())

    await exact(quiet, table, handle)


async def test_all_workers_killed_then_started_again(quiet: Stack, make_table: Make) -> None:
    table = make_table()
    table.fill(RECORDS)
    quiet.proxy.set_plan(slow())
    handle = await quiet.start({"table": table.name, "total_segments": 6})
    await has_begun(handle, table)

    quiet.workers.kill()
    await asyncio.sleep(4)
    quiet.proxy.set_plan(FaultPlan())
    quiet.workers.start()

    await exact(quiet, table, handle)


async def test_sigterm_hands_back_and_loses_nothing(quiet: Stack, make_table: Make) -> None:
    table = make_table()
    table.fill(RECORDS)
    quiet.proxy.set_plan(slow())
    handle = await quiet.start({"table": table.name, "total_segments": 6})
    await has_begun(handle, table)

    assert quiet.workers.stop() == 0
    quiet.proxy.set_plan(FaultPlan())
    quiet.workers.start()

    await exact(quiet, table, handle)


@pytest.mark.nightly
async def test_a_frozen_worker_that_thaws_changes_no_count(quiet: Stack, make_table: Make) -> None:
    table = make_table()
    table.fill(RECORDS)
    quiet.proxy.set_plan(slow())
    handle = await quiet.start({"table": table.name, "total_segments": 6})
    await has_begun(handle, table)

    frozen = quiet.workers.children()[0]
    os.kill(frozen, signal.SIGSTOP)
    try:
        await asyncio.sleep(5)  # beyond the heartbeat timeout of 3 s
    finally:
        os.kill(frozen, signal.SIGCONT)
    quiet.proxy.set_plan(FaultPlan())

    await exact(quiet, table, handle)


async def test_a_third_of_all_calls_failing_half_of_them_after_being_applied(
    quiet: Stack, make_table: Make
) -> None:
    table = make_table()
    table.fill(RECORDS)
    quiet.proxy.set_plan(FaultPlan.mixed(1 / 3, seed=7))
    handle = await quiet.start({"table": table.name, "total_segments": 8})
    await until(handle, lambda p: p["state"] in ("verifying", "done"), seconds=100)
    quiet.proxy.set_plan(FaultPlan())

    report = await exact(quiet, table, handle)
    assert report["attempts"]["ambiguous"] > 0
    assert report["attempts"]["server_errors"] > 0


@pytest.mark.nightly
async def test_kills_pauses_and_resumes_at_random_moments_under_faults(quiet: Stack, make_table: Make) -> None:
    draw = random.Random(4)  # a fixed seed: the moments are repeatable, the machine's pace is not
    table = make_table()
    table.fill(RECORDS)
    quiet.proxy.set_plan(slow(*FaultPlan.mixed(0.1, seed=3).faults))
    handle = await quiet.start({"table": table.name, "total_segments": 6})
    await has_begun(handle, table)

    for _ in range(6):
        await asyncio.sleep(draw.uniform(0.2, 1.5))
        match draw.choice(["kill", "pause", "both"]):
            case "kill":
                os.kill(draw.choice(quiet.workers.children()), signal.SIGKILL)
            case "pause":
                await handle.signal("pause")
                await asyncio.sleep(draw.uniform(0.1, 1))
                await handle.signal("resume")
            case "both":
                await handle.signal("pause")
                os.kill(draw.choice(quiet.workers.children()), signal.SIGKILL)
                await handle.signal("resume")
    quiet.proxy.set_plan(FaultPlan())

    await exact(quiet, table, handle)
