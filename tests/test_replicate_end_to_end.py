"""Keeping a replica on the real servers: equal at the end, by a comparison that shares no code."""

from __future__ import annotations

import asyncio
import time
import uuid
from dataclasses import replace
from typing import Any

import pytest

from reindexer.dynamo.identity import table_id
from reindexer.models import destination_of_table
from testbed.faults import Fault, FaultKind, FaultPlan
from testbed.job import outcome, until
from testbed.stack import Stack
from tests.cli import command
from tests.planted import Make
from tests.tables import made_up_key
from tests.test_follow_end_to_end import Writer, drained
from tests.test_index_end_to_end import FAST, SLOW
from tests.test_redrive import entry
from tests.test_repair_end_to_end import contents


class Replicated:
    """A table with a stream, and an empty one beside it."""

    def __init__(self, make_table: Make, rows: int = 300, **key: Any) -> None:
        self.table = make_table(stream="NEW_AND_OLD_IMAGES", **key)
        self.replica = make_table(**key)
        self.table.fill(rows, size={"N": "3.50"}, reindexVersion={"N": "7"})

    def job(self, **more: Any) -> dict[str, Any]:
        operation = {"kind": "replicate", "to": {"table": self.replica.name}}
        return {"table": self.table.name, "operation": operation, "total_segments": 3, **more}

    async def follow(self, stack: Stack, **more: Any) -> Any:
        client = await stack.connect()
        name = f"follow-{uuid.uuid4().hex[:8]}"
        return await client.start_workflow("FollowTable", self.job(**more), id=name, task_queue=stack.queue)

    def differing(self) -> list[Any]:
        """Keys that only one of them has, or that are not equal: tombstones count as not there."""
        live, table = contents(self.replica, marked=False), contents(self.table)
        return [key for key in table.keys() | live.keys() if table.get(key) != live.get(key)]

    def tombstones(self) -> set[Any]:
        return set(contents(self.replica, marked=True))

    async def equal(self, seconds: float = 60) -> None:
        """Within seconds."""
        deadline = time.monotonic() + seconds
        while (found := self.differing()) and time.monotonic() < deadline:
            await asyncio.sleep(1)
        assert found == []


async def until_drained(replicated: Replicated, handle: Any, epoch: int = 0) -> dict[str, Any]:
    """While one row changes: what comes later than the scan's end says that all before it is carried."""
    for number in range(300):  # two minutes and a half, as of a loaded machine
        replicated.table.put({**made_up_key(replicated.table.key, 7000), "tick": {"N": str(number)}})
        seen: dict[str, Any] = await handle.query("progress")
        if drained(seen) and seen["epoch"] > epoch:
            return seen
        await asyncio.sleep(0.5)
    raise AssertionError(f"not drained: {seen}")


@pytest.mark.parametrize(
    ("hash_type", "range_type"), [("S", None), pytest.param("N", "B", marks=pytest.mark.nightly)]
)
async def test_a_replica_is_equal_and_a_second_run_leaves_it_so(
    quiet: Stack, make_table: Make, hash_type: str, range_type: str | None
) -> None:
    replicated = Replicated(make_table, hash_type=hash_type, range_type=range_type)
    for _ in range(2):
        state, report = await outcome(await quiet.start(replicated.job()))
        assert state == "complete", report
        assert (report["balanced"], report["tally"]["scanned"]) == (True, 300)
        assert report["tally"]["updated"] == 300
        assert replicated.differing() == []
    assert quiet.ledger().versions.highest(replicated.table.arn, "reindexVersion") is None, "it writes none"
    row = next(iter(replicated.replica.items()))
    assert ("reindexVersion" in row, "reindexOrder" in row) == (False, True)


async def test_faults_are_counted_once(quiet: Stack, make_table: Make) -> None:
    replicated = Replicated(make_table)
    tables = frozenset((replicated.table.name, replicated.replica.name))
    kinds = (FaultKind.SERVER_ERROR, FaultKind.SERVER_ERROR_APPLIED, FaultKind.THROTTLE, FaultKind.CUT_APPLIED)
    faults = tuple(Fault(kind=kind, probability=0.1, tables=tables) for kind in kinds)
    quiet.proxy.set_plan(FaultPlan(seed=3, faults=faults))
    state, report = await outcome(await quiet.start(replicated.job()))
    quiet.proxy.set_plan(FaultPlan())
    assert state == "complete", report
    assert (report["balanced"], report["tally"]["updated"]) == (True, 300)
    assert replicated.differing() == []


@pytest.mark.nightly  # by day workers are killed meanwhile
async def test_what_is_written_during_and_after_the_scan_is_in_the_replica(
    quiet: Stack, make_table: Make
) -> None:
    replicated = Replicated(make_table, rows=400)
    quiet.proxy.set_plan(FaultPlan.mixed(0.1))
    writer = Writer(replicated.table, 500)
    with writer.running():
        handle = await replicated.follow(quiet, limits=SLOW)
        await until(handle, lambda seen: seen["tally"]["updated"] > 100)
        await handle.execute_update("set_limits", FAST)
        await until(handle, drained, seconds=150)
    await replicated.equal()
    quiet.proxy.set_plan(FaultPlan())
    assert replicated.tombstones()
    await handle.cancel()
    assert (await outcome(handle))[0] == "CancelledError"
    report = quiet.ledger().reports.find(handle.id, None)
    assert report is not None
    assert report.balanced


@pytest.mark.long
async def test_killed_workers_and_divided_shards_lose_no_change(quiet: Stack, make_table: Make) -> None:
    replicated = Replicated(make_table, rows=200)
    described = replicated.table.client.describe_table(TableName=replicated.table.name)
    lineages = quiet.proxy.lineages(described["Table"]["LatestStreamArn"])
    beside = quiet.beside(f"follow-{uuid.uuid4().hex[:8]}")
    writer = Writer(replicated.table, 250)
    with writer.running(), beside.workers as workers:
        workers.come_up()
        handle = await replicated.follow(beside, limits=SLOW)
        await until(handle, lambda seen: seen["tally"]["updated"] > 20)
        [first] = lineages.truth().shards
        await asyncio.to_thread(lineages.split, first.shard, listed_after=2)
        await asyncio.to_thread(workers.kill)
        workers.start()
        await handle.execute_update("set_limits", FAST)
        await until(handle, drained, seconds=150)
        writer.stop()
        await replicated.equal()
        await handle.cancel()
        assert (await outcome(handle))[0] == "CancelledError"


@pytest.mark.nightly  # by day one of an index
async def test_a_follow_goes_on_where_the_ledger_says(quiet: Stack, make_table: Make) -> None:
    replicated = Replicated(make_table, rows=50)
    handle = await replicated.follow(quiet, limits=FAST)
    await until_drained(replicated, handle)
    await handle.cancel()
    await outcome(handle)
    deleted = made_up_key(replicated.table.key, 3)
    replicated.table.client.delete_item(TableName=replicated.table.name, Key=deleted)
    replicated.table.put({**made_up_key(replicated.table.key, 900), "late": {"BOOL": True}})
    handle = await replicated.follow(quiet, limits=FAST, backfill=False)
    await replicated.equal()
    assert len(replicated.tombstones()) == 1
    touch = {"table": replicated.replica.name}
    kind, failure = await outcome(await quiet.start(touch))
    assert (kind, handle.id in failure["message"]) == ("ReplicaInUse", True)
    operation = {"kind": "repair", "with": {"table": replicated.replica.name}}
    repair = {"table": replicated.table.name, "operation": operation, "allow_no_recovery": True}
    kind, failure = await outcome(await quiet.start(repair))
    assert (kind, f"`reindexer rescan {handle.id}`" in failure["message"]) == ("ReplicaInUse", True)
    back = {"kind": "replicate", "to": {"table": replicated.table.name}, "allow_chain": True, "replace": True}
    kind, failure = await outcome(await quiet.start({"table": replicated.replica.name, "operation": back}))
    assert (kind, f"job {handle.id} copies" in failure["message"]) == ("IsReplica", True)
    await handle.cancel()
    await outcome(handle)
    assert (await outcome(await quiet.start(touch)))[0] == "complete"
    assert (await outcome(await quiet.start(repair)))[0] == "complete"


async def test_a_table_that_is_a_replica_is_no_source_unless_allowed(quiet: Stack, make_table: Make) -> None:
    replicated, third = Replicated(make_table, rows=20), make_table()
    assert (await outcome(await quiet.start(replicated.job())))[0] == "complete"
    operation = {"kind": "replicate", "to": {"table": third.name}}
    job = {"table": replicated.replica.name, "operation": operation}
    kind, failure = await outcome(await quiet.start(job))
    assert (kind, "allow_chain" in failure["message"]) == ("IsReplica", True)
    assert contents(third) == {}
    state, _ = await outcome(await quiet.start({**job, "operation": {**operation, "allow_chain": True}}))
    assert state == "complete"
    assert contents(third) == contents(replicated.table)
    before = contents(replicated.replica)
    other = make_table()
    other.fill(3)
    kind, failure = await outcome(await quiet.start(replicated.job(table=other.name)))
    assert (kind, f"a replica of {replicated.table.arn}" in failure["message"]) == ("NotAReplica", True)
    assert contents(replicated.replica) == before, "another table's replica is not emptied by a wrong name"


async def test_the_command_starts_it_and_refuses_nonsense(quiet: Stack, make_table: Make) -> None:
    replicated = Replicated(make_table, rows=30)
    await outcome(await quiet.start({"table": replicated.table.name, "dry_run": True}))  # the workers are up
    tables = (replicated.table.name, replicated.replica.name)
    code, out, err = await asyncio.to_thread(
        command, dict(quiet.environment), "replicate", *tables, "--yes", "--wait"
    )
    assert (code, "in the replica" in " ".join(out.split())) == (0, True), err + out
    assert replicated.differing() == []
    for arguments, wrong in (
        ((tables[0],), "OTHER"),
        ((tables[0], tables[0], "--yes", "--wait"), "is the table itself"),
        ((*tables, "--no-backfill"), "--no-backfill"),
    ):
        code, out, err = await asyncio.to_thread(command, dict(quiet.environment), "replicate", *arguments)
        assert (code, wrong in err + out) == (2, True), err + out


async def test_a_replica_is_created_as_the_table_is(quiet: Stack, make_table: Make) -> None:
    table = make_table(stream="NEW_AND_OLD_IMAGES", range_type="B")
    table.fill(30, size={"N": "3"})
    name = f"{table.name}-made"
    operation = {"kind": "replicate", "to": {"table": name}, "create": True}
    again = "replicate", table.name, name, "--create"
    code, out, err = await asyncio.to_thread(command, dict(quiet.environment), *again)
    shown = " ".join(err.split())
    assert (code, f"{name} when the job starts: key id (S), sort (B), no indexes, on-demand" in shown) == (
        2,
        True,
    ), err
    assert "TTL by reindexGone" in shown
    state, report = await outcome(await quiet.start({"table": table.name, "operation": operation}))
    assert state == "complete", report
    made = replace(table, name=name)
    try:
        assert contents(made) == contents(table)
        live = table.client.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
        assert (live["TimeToLiveStatus"], live["AttributeName"]) == ("ENABLED", "reindexGone")
        code, out, err = await asyncio.to_thread(command, dict(quiet.environment), *again, "--yes", "--wait")
        assert code == 0, err + out
    finally:
        made.drop()


async def test_what_only_the_replica_held_is_removed(quiet: Stack, make_table: Make) -> None:
    """By a job and by a follow: a row of others, and one that was deleted while nothing followed."""
    replicated = Replicated(make_table, rows=120)
    foreign = {**made_up_key(replicated.table.key, 5000), "mine": {"S": "not the table's"}}
    left = {**made_up_key(replicated.table.key, 5001), "reindexOrder": {"N": "5"}}
    for row in (foreign, left):
        replicated.replica.put(row)
    kind, failure = await outcome(await quiet.start(replicated.job()))
    assert (kind, "of that key" in failure["message"]) == ("NotAReplica", True)
    asked = {**replicated.job()["operation"], "replace": True}
    state, report = await outcome(await quiet.start(replicated.job(operation=asked)))
    assert (state, report["tally"]["updated"], report["tally"]["removed"]) == ("complete", 120, 2), report
    assert replicated.differing() == []
    for row in (foreign, left):
        replicated.replica.put(row)
    handle = await replicated.follow(quiet, limits=FAST, operation=asked)
    seen = await until_drained(replicated, handle)
    assert seen["tally"]["removed"] == 2
    await replicated.equal()
    await handle.cancel()
    await outcome(handle)


async def test_a_follow_stops_once_drained_for_a_cut_over(quiet: Stack, make_table: Make) -> None:
    replicated = Replicated(make_table, rows=200)
    writer = Writer(replicated.table, 250)
    with writer.running():
        handle = await replicated.follow(quiet, limits=FAST)
        await until_drained(replicated, handle)
    end = "cancel", handle.id, "--drained", "--reason", "cut-over"
    await handle.signal("pause")
    await until(handle, lambda seen: seen["state"] == "paused")
    code, out, err = await asyncio.to_thread(command, dict(quiet.environment), *end)
    assert (code, "after `reindexer resume" in " ".join(out.split())) == (0, True), err + out
    first = " ".join(out.split()).partition(" are carried")[0]
    await handle.signal("resume")
    await until(handle, lambda seen: seen["state"] == "following")
    code, out, err = await asyncio.to_thread(command, dict(quiet.environment), *end)
    again = " ".join(out.split())
    assert (code, "ends once" in again, "resume" in again) == (0, True, False), err + out
    assert again.partition(" are carried")[0] == first, "the time of the first request stays"
    await asyncio.sleep(3)  # the last change is later than the request by more than clocks differ
    replicated.table.put({**made_up_key(replicated.table.key, 7000), "last": {"BOOL": True}})
    state, report = await outcome(handle)
    assert state == "complete", report
    assert replicated.differing() == []
    found = report["comparison"]["counts"]
    assert (found["equal"], found["scanned"]) == (len(contents(replicated.table)),) * 2
    done = [event["what"] for event in report["controls"]]
    assert done[-4:] == ["pause", "stop when drained", "resume", "stopped once drained"]
    code, out, err = await asyncio.to_thread(command, dict(quiet.environment), "report", handle.id)
    assert (code, "complete" in out) == (0, True), err + out


@pytest.mark.nightly
async def test_a_cut_over_is_complete_once_what_was_given_up_is_redriven(
    quiet: Stack, make_table: Make
) -> None:
    replicated = Replicated(make_table, rows=20)
    tables, keys = frozenset((replicated.replica.name,)), (made_up_key(replicated.table.key, 3),)
    refused = Fault(kind=FaultKind.REFUSED, operations="writes", tables=tables, keys=keys)
    quiet.proxy.set_plan(FaultPlan(faults=(refused,)))
    handle = await replicated.follow(quiet, limits=FAST)
    # As a row of the scan, and as the change that put it there.
    seen = await until(handle, lambda seen: seen["tally"]["quarantined"] == 2, seconds=120)
    quiet.proxy.set_plan(FaultPlan())
    assert quiet.ledger().failures.left(handle.id, seen["run"]) == 1
    scope = {"kind": "quarantined", "job": handle.id, "run": seen["run"]}
    assert (await outcome(await quiet.start(replicated.job(scope=scope))))[0] == "complete"
    await until_drained(replicated, handle)
    await handle.execute_update("stop_when_drained", {})
    await asyncio.sleep(3)  # as above
    replicated.table.put({**made_up_key(replicated.table.key, 7000), "last": {"BOOL": True}})
    state, report = await outcome(handle)
    assert state == "complete", report
    assert (report["left"], report["tally"]["quarantined"]) == (0, 2)
    assert replicated.differing() == []
    code, out, err = await asyncio.to_thread(command, dict(quiet.environment), "report", handle.id)
    assert (code, "all redriven since" in out) == (0, True), err + out


@pytest.mark.nightly
async def test_a_redrive_that_is_under_way_as_a_rescan_begins_ends(quiet: Stack, make_table: Make) -> None:
    """It meets what the new scan has written, at orders far above its own: as those of other writers are."""
    replicated = Replicated(make_table, rows=20)
    key = made_up_key(replicated.table.key, 3)
    handle = await replicated.follow(quiet, limits=FAST)
    seen = await until_drained(replicated, handle)
    ledger, epoch = quiet.ledger(), seen["epoch"]
    mine = {"job": handle.id, "run": seen["run"], "table_arn": replicated.table.arn}
    ledger.failures.add(entry(key, **mine, version=epoch, stamp=seen["run"], order=(epoch << 21) + 2))
    scope = {"kind": "quarantined", "job": handle.id, "run": seen["run"]}
    redrive = await quiet.start(replicated.job(scope=scope))
    await redrive.signal("pause")
    await until(redrive, lambda seen: seen["state"] == "paused")
    # So that the epoch to come is far above: it is above all that is stored.
    stray = {**made_up_key(replicated.table.key, 5000), "reindexOrder": {"N": str((epoch + 100_000) << 21)}}
    replicated.replica.put(stray)
    await handle.execute_update("rescan", {})
    assert (await until_drained(replicated, handle, epoch))["epoch"] == epoch + 100_001
    assert ledger.failures.open(handle.id, seen["run"]) == [], "taken up by the new scan"
    await redrive.signal("resume")
    state, report = await outcome(redrive)
    assert (state, report["tally"]["superseded"]) == ("complete", 1), report
    await handle.cancel()
    await outcome(handle)


@pytest.mark.nightly
async def test_a_rescan_finds_what_was_lost(quiet: Stack, make_table: Make) -> None:
    replicated = Replicated(make_table, rows=60)
    handle = await replicated.follow(quiet, limits=FAST)
    seen = await until_drained(replicated, handle)
    await replicated.equal()  # with the last row that changed
    replicated.replica.put({**next(iter(replicated.replica.items())), "size": {"N": "99"}})
    replicated.replica.put({**made_up_key(replicated.table.key, 5000), "reindexOrder": {"N": "5"}})
    assert len(replicated.differing()) == 2
    await handle.execute_update("rescan", {})
    await until_drained(replicated, handle, seen["epoch"])
    await replicated.equal()
    described = replicated.replica.client.describe_table(TableName=replicated.replica.name)["Table"]
    place = destination_of_table(described["TableArn"], table_id(described))
    assert list(quiet.ledger().positions.of(place, seen["epoch"])) == [], "no follow goes on there any more"
    await handle.execute_update("stop_when_drained", {})
    await asyncio.sleep(3)  # as above
    replicated.table.put({**made_up_key(replicated.table.key, 7000), "last": {"BOOL": True}})
    state, report = await outcome(handle)
    assert state == "complete", report
    assert report["comparison"]["counts"]["equal"] == len(contents(replicated.table))
