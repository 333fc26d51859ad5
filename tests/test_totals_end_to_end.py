"""Each tenant's own total, on real servers: exact through crashes, quarantine, sweep, a shard ended by hand."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from typing import Any

import pytest
from temporalio.api.sdk.v1 import WorkflowMetadata

from reindexer.tally import Tally
from testbed.faults import Fault, FaultKind, FaultPlan
from testbed.job import outcome, progress, until
from testbed.stack import Stack
from tests.faulty import inject
from tests.tables import BY_TENANT, Table
from tests.test_control import has_begun
from tests.test_crashes import slow
from tests.test_partitions_end_to_end import row, tenants

Make = Callable[..., Table]


def counted(report: dict[str, Any]) -> dict[str, Tally]:
    """The totals by tenant, which add up to the job's, as they always must."""
    assert report["balanced"] is True
    assert "unbalanced_partitions" not in report
    found = {name: Tally(**counts) for name, counts in report["partitions"].items()}
    assert Tally.total(found.values()) == Tally(**report["tally"])
    assert all(tally.balanced() for tally in found.values())
    return found


@pytest.mark.nightly
async def test_a_thousand_tenants_a_killed_worker_and_a_pause(quiet: Stack, make_table: Make) -> None:
    table = make_table(range_type="S")
    rows = {f"tenant-{number:04}": 1 + number % 3 for number in range(1000)} | {"huge": 3000}
    tenants(table, rows)
    quiet.proxy.set_plan(slow())
    scope = {"kind": "partitions", "values": [*rows, "nobody"]}
    handle = await quiet.start({"table": table.name, "scope": scope, "total_segments": 6})
    await has_begun(handle, table)

    os.kill(quiet.workers.children()[0], signal.SIGKILL)
    await asyncio.sleep(2)
    await handle.signal("pause")
    await until(handle, lambda p: p["state"] == "paused", seconds=60)
    quiet.proxy.set_plan(FaultPlan())
    await handle.signal("resume")
    kind, report = await outcome(handle)

    assert kind == "complete", report["warnings"]
    expected = {name: Tally(scanned=count, updated=count) for name, count in rows.items()}
    assert counted(report) == {**expected, "nobody": Tally()}
    kept = quiet.ledger().reports.find(handle.id)
    assert kept is not None
    assert kept.partitions == {**expected, "nobody": Tally()}
    assert quiet.proxy.truth(wait=5).changed_twice(report["run"]) == []
    assert (await progress(handle))["partitions"] == {"total": 1002, "done": 1002}


async def test_records_given_up_count_to_their_tenant(quiet: Stack, make_table: Make) -> None:
    table = make_table(range_type="S")
    rows = {"acme": 60, "bolt": 60, "coda": 60}
    tenants(table, rows)
    bad = [{"id": {"S": "bolt"}, "sort": {"S": f"{number:06}"}} for number in (3, 50)]
    inject(quiet.proxy, Fault(kind=FaultKind.STATEMENT_ERROR, code="ValidationError", keys=tuple(bad)))
    scope = {"kind": "partitions", "values": list(rows)}
    handle = await quiet.start({"table": table.name, "scope": scope, "total_segments": 2})

    kind, report = await outcome(handle)

    assert kind == "Incomplete"
    assert counted(report) == {
        "acme": Tally(scanned=60, updated=60),
        "bolt": Tally(scanned=60, updated=58, quarantined=2),
        "coda": Tally(scanned=60, updated=60),
    }
    seen = await handle.query("__temporal_workflow_metadata", result_type=WorkflowMetadata)
    assert "| partitions done\u2003 | 3 of 3 |" in seen.current_details
    assert "| with quarantined records\u2003 | bolt |" in seen.current_details


async def test_rows_written_meanwhile_are_swept_into_their_tenants_totals(
    quiet: Stack, make_table: Make
) -> None:
    table = make_table(range_type="S")
    tenants(table, {"acme": 300, "bolt": 300})
    quiet.proxy.set_plan(slow())
    scope = {"kind": "partitions", "values": ["acme", "bolt", "coda"]}
    handle = await quiet.start({"table": table.name, "scope": scope, "total_segments": 1})
    await has_begun(handle, table)
    await handle.signal("pause")
    seen = await until(handle, lambda p: p["state"] == "paused", seconds=30)
    assert seen["tally"]["scanned"] > 0
    # At the beginning of both: in one of them the shard is past it.
    table.put(*({"id": {"S": name}, "sort": {"S": "!"}} for name in ("acme", "bolt")))
    quiet.proxy.set_plan(FaultPlan())
    await handle.signal("resume")
    kind, report = await outcome(handle)

    assert kind == "complete", report
    assert any("swept once" in warning for warning in report["warnings"])
    both = Tally(scanned=301, updated=301)
    assert counted(report) == {"acme": both, "bolt": both, "coda": Tally()}


async def test_by_an_index_a_record_counts_to_the_value_it_was_asked_for_by(
    quiet: Stack, make_table: Make
) -> None:
    table = make_table(indexes=BY_TENANT)
    rows = {"acme": range(300), "bolt": range(300, 600)}
    table.put(*(row(number, name, number) for name, numbers in rows.items() for number in numbers))
    bad = {"id": {"S": "row-00310"}}
    refused = Fault(kind=FaultKind.STATEMENT_ERROR, code="ValidationError", keys=(bad,))
    quiet.proxy.set_plan(slow(refused))
    scope = {"kind": "partitions", "values": ["acme", "bolt", "coda"], "index": "by-tenant"}
    handle = await quiet.start({"table": table.name, "scope": scope, "total_segments": 1})
    await has_begun(handle, table)
    await handle.signal("pause")
    seen = await until(handle, lambda p: p["state"] == "paused", seconds=30)
    assert seen["tally"]["scanned"] > 0
    # At the beginning of both: in one of them the shard is past it, so that it is found behind and swept.
    table.put(row(900, "acme", -1), row(901, "bolt", -1))
    inject(quiet.proxy, refused)
    await handle.signal("resume")

    kind, report = await outcome(handle)

    assert kind == "Incomplete"
    assert any("swept once" in warning for warning in report["warnings"])
    assert counted(report) == {
        "acme": Tally(scanned=301, updated=301),
        "bolt": Tally(scanned=301, updated=300, quarantined=1),
        "coda": Tally(),
    }


@pytest.mark.nightly
async def test_a_shard_ended_by_hand_leaves_no_total_unknown(quiet: Stack, make_table: Make) -> None:
    table = make_table(range_type="S")
    rows = {f"tenant-{number:02}": 100 for number in range(30)}
    tenants(table, rows)
    quiet.proxy.set_plan(slow())
    scope = {"kind": "partitions", "values": list(rows)}
    handle = await quiet.start({"table": table.name, "scope": scope, "total_segments": 3})
    await has_begun(handle, table)
    await handle.signal("pause")  # so that each has reported something before it is ended
    seen = await until(handle, lambda p: p["state"] == "paused", seconds=30)
    assert 0 < seen["tally"]["scanned"] < 3000
    await handle.signal("resume")
    await until(handle, lambda p: p["state"] == "running")
    run = seen["run"]

    client = await quiet.connect()
    for number in range(3):
        await client.get_workflow_handle(f"{handle.id}/{run}/shard-{number:03}").terminate()
    await until(handle, lambda p: p["state"] == "parked" and not p["shards"]["running"])
    quiet.proxy.set_plan(FaultPlan())
    await handle.signal("resume")
    kind, report = await outcome(handle)

    assert kind == "complete", report
    assert any("started again" in warning for warning in report["warnings"])
    assert not any("not known" in warning for warning in report["warnings"])
    assert counted(report) == {name: Tally(scanned=100, updated=100) for name in rows}
