"""What breaks around the records: the job parks or waits, says why, and goes on from where it stood."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from testbed.faults import Fault, FaultKind, FaultPlan
from testbed.job import outcome, progress, until
from testbed.stack import Stack
from tests.faulty import inject, key
from tests.tables import Table
from tests.test_control import has_begun
from tests.test_crashes import exact, slow
from tests.test_failures import poison

Make = Callable[..., Table]
RECORDS = 1000
#: Writes alone: before each round the lock is read there.
LEDGER_DENIED = Fault(
    kind=FaultKind.ACCESS_DENIED, tables=frozenset(("reindexer-ledger",)), operations="writes"
)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (FaultKind.ACCESS_DENIED, "access is denied"),
        pytest.param(FaultKind.EXPIRED_TOKEN, "credentials are not valid any more", marks=pytest.mark.nightly),
        pytest.param(FaultKind.TABLE_GONE, "the table is gone", marks=pytest.mark.nightly),
    ],
)
async def test_a_broken_environment_parks_and_resume_goes_on(
    quiet: Stack, make_table: Make, kind: FaultKind, words: str
) -> None:
    table = make_table()
    table.fill(RECORDS)
    # 30 calls in, some ten batches of 40 are through.
    quiet.proxy.set_plan(slow(Fault(kind=kind, tables=frozenset((table.name,)), after=30)))
    handle = await quiet.start({"table": table.name, "total_segments": 4})

    seen = await until(handle, lambda p: p["state"] == "parked")
    assert words in seen["reason"]
    assert 0 < seen["tally"]["scanned"] < RECORDS
    assert seen["in_flight"] == 0

    await handle.signal("resume")  # too early: it parks again
    await asyncio.sleep(2)
    await until(handle, lambda p: p["state"] == "parked")
    inject(quiet.proxy)
    await handle.signal("resume")
    await exact(quiet, table, handle, RECORDS)


async def test_a_ledger_that_takes_no_failures_parks(quiet: Stack, make_table: Make) -> None:
    table = make_table()
    table.fill(RECORDS)
    quiet.proxy.set_plan(slow(poison(RECORDS - 1)))
    handle = await quiet.start({"table": table.name, "total_segments": 4}, start_signal="pause")
    await until(handle, lambda p: p["state"] == "paused")
    quiet.proxy.set_plan(slow(poison(RECORDS - 1), LEDGER_DENIED))
    await handle.signal("resume")

    seen = await until(handle, lambda p: p["state"] == "parked")
    assert "the ledger cannot be written" in seen["reason"]
    assert "reindexer-ledger" in seen["reason"]
    assert seen["isolated"] == 1

    inject(quiet.proxy, poison(RECORDS - 1))
    await handle.signal("resume")
    kind, report = await outcome(handle)
    assert (kind, report["tally"]["updated"], report["tally"]["quarantined"]) == ("Incomplete", RECORDS - 1, 1)
    assert len(quiet.ledger().failures.open(handle.id, report["run"])) == 1


async def test_a_ledger_that_takes_no_report_parks(quiet: Stack, make_table: Make) -> None:
    table = make_table()
    table.fill(RECORDS)
    quiet.proxy.set_plan(slow())
    handle = await quiet.start({"table": table.name, "total_segments": 4})
    await has_begun(handle, table)
    inject(quiet.proxy, LEDGER_DENIED)

    seen = await until(handle, lambda p: p["state"] == "parked")
    assert "the ledger cannot be written" in seen["reason"]
    assert seen["tally"]["updated"] == RECORDS

    inject(quiet.proxy)
    await handle.signal("resume")
    await exact(quiet, table, handle, RECORDS)
    report = quiet.ledger().reports.find(handle.id)
    assert report is not None
    assert [event.what for event in report.controls] == ["parked", "resume"]


async def test_a_table_made_again_is_not_mistaken_for_the_old_one(quiet: Stack, make_table: Make) -> None:
    table = make_table()
    table.fill(RECORDS)
    quiet.proxy.set_plan(slow())
    handle = await quiet.start({"table": table.name, "total_segments": 4})
    await has_begun(handle, table)
    quiet.proxy.recreate_table(table.name)
    table.put({**key(1), "new": {"BOOL": True}})

    seen = await until(handle, lambda p: p["state"] == "parked")
    for _ in range(2):  # whatever it met while the table was away, in the end it names what happened
        await handle.signal("resume")
        await asyncio.sleep(2)
        seen = await until(handle, lambda p: p["state"] == "parked")
    assert "the table was replaced" in seen["reason"]
    assert table.name in seen["reason"]

    await handle.cancel()
    assert (await outcome(handle))[0] == "CancelledError"


@pytest.mark.nightly
async def test_records_on_their_own_notice_a_table_made_again(quiet: Stack, make_table: Make) -> None:
    table = make_table()
    table.fill(50)
    # Each key is its own activity: the table is replaced between two of them.
    keys = [{"id": f"row-{number:06}"} for number in range(50)]
    job = {"table": table.name, "scope": {"kind": "keys", "keys": keys}, "limits": {"records_per_second": 10}}
    handle = await quiet.start(job)
    await until(handle, lambda p: p["tally"]["updated"] > 0)
    quiet.proxy.recreate_table(table.name)
    table.fill(50)

    seen = await until(handle, lambda p: p["state"] == "parked")
    assert "the table was replaced" in seen["reason"] or "the table is gone" in seen["reason"]
    # For the seconds in which it is not asked again which table that is, records of the same keys are written.
    assert sum("reindexVersion" in item for item in table.items()) < 50
    await handle.signal("resume")
    await asyncio.sleep(2)
    seen = await until(handle, lambda p: p["state"] == "parked")
    assert "the table was replaced" in seen["reason"]
    await handle.cancel()
    await outcome(handle)


async def test_throttling_for_ever_is_shown_and_makes_no_storm(quiet: Stack, make_table: Make) -> None:
    table = make_table()
    table.fill(RECORDS)
    scope: dict[str, Any] = {"tables": frozenset((table.name,)), "operations": "writes"}
    inject(quiet.proxy, Fault(kind=FaultKind.THROTTLE, **scope, after=20))
    handle = await quiet.start({"table": table.name, "total_segments": 8})

    seen = await until(handle, lambda p: p["state"] == "throttled")
    assert seen["throttle"]["scope"] == "table"
    assert "throttled" in seen["reason"]
    before = quiet.proxy.truth().calls["BatchExecuteStatement"]
    await asyncio.sleep(5)
    calls = quiet.proxy.truth().calls["BatchExecuteStatement"] - before
    assert calls < 8 * 5 * 5, "8 shards, 5 s: fewer than 5 calls a second and shard"
    seen = await progress(handle)
    assert seen["state"] == "throttled"
    assert seen["attempts"]["throttled"] > 0

    inject(quiet.proxy)
    await exact(quiet, table, handle, RECORDS)


@pytest.mark.nightly
async def test_a_verification_that_gets_only_throttles_says_so_and_goes_on(
    quiet: Stack, make_table: Make
) -> None:
    table = make_table()
    table.fill(200, reindexVersion={"N": "7"}, padding={"S": "x" * 3000})  # about a read unit each
    job = {
        "table": table.name,
        "operation": {"kind": "verify", "version": 7},
        "limits": {"read_units_per_second": 15},  # some 13 s in slices of 5 s
    }
    handle = await quiet.start(job, start_signal="pause")
    await until(handle, lambda p: p["state"] == "paused")
    scans = frozenset(("Scan",))
    inject(quiet.proxy, Fault(kind=FaultKind.THROTTLE, tables=frozenset((table.name,)), operations=scans))
    await handle.signal("resume")

    seen = await until(handle, lambda p: p["state"] == "throttled")
    assert "throttled, waiting" in seen["reason"]
    assert seen["phase"] == "verifying"
    assert seen["throttle"]["scope"] == "table"
    await asyncio.sleep(3)  # a round that was over before its first call got through shows as verifying
    seen = await until(handle, lambda p: p["state"] == "throttled")
    assert seen["verification"]["scanned"] == 0

    inject(quiet.proxy)
    seen = await until(handle, lambda p: p["state"] == "verifying")
    assert (seen["reason"], seen["throttle"]) == (None, None)
    kind, report = await outcome(handle)
    assert (kind, report["verification"]) == ("complete", {"scanned": 200, "behind": 0})


@pytest.mark.nightly
async def test_a_hot_key_range_slows_its_shard_only(quiet: Stack, make_table: Make) -> None:
    table = make_table()
    table.fill(RECORDS)
    hot = table.client.scan(TableName=table.name, Segment=3, TotalSegments=8, ProjectionExpression="id")[
        "Items"
    ]
    throttle = Fault(kind=FaultKind.THROTTLE, operations="writes", keys=tuple(hot))
    slowly = Fault(kind=FaultKind.SLOW, seconds=0.3, operations="writes")
    inject(quiet.proxy, throttle, slowly)
    handle = await quiet.start({"table": table.name, "total_segments": 8})

    seen = await until(handle, lambda p: p["throttle"] and p["throttle"]["scope"] == "key range")
    seen = await until(handle, lambda p: p["shards"]["done"] == 7)
    assert seen["tally"]["updated"] >= RECORDS - len(hot)

    inject(quiet.proxy)
    await exact(quiet, table, handle, RECORDS)


@pytest.mark.nightly
async def test_answers_without_their_items_hide_nothing(quiet: Stack, make_table: Make) -> None:
    table = make_table()
    table.fill(RECORDS)
    faults = (Fault(kind=FaultKind.STRIP_ITEM), *FaultPlan.mixed(0.3, seed=11).faults)
    inject(quiet.proxy, *faults, Fault(kind=FaultKind.UNPROCESSED, probability=0.3))
    handle = await quiet.start({"table": table.name, "total_segments": 8})
    await until(handle, lambda p: p["state"] in ("verifying", "done"), seconds=100)
    assert quiet.proxy.truth().injected["strip_item"] > 0
    inject(quiet.proxy)

    report = await exact(quiet, table, handle, RECORDS)
    assert report["attempts"]["ambiguous"] > 0
