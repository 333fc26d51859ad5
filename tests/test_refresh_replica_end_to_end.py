"""Writing named records again into a replica on the real servers, alone and beside a running follow."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from testbed.faults import FaultPlan
from testbed.job import outcome
from testbed.stack import Stack
from tests.cli import command
from tests.killed import outcome_though_killed
from tests.planted import Make, content
from tests.tables import made_up_key
from tests.test_follow_end_to_end import Writer
from tests.test_index_end_to_end import FAST, SLOW
from tests.test_refresh_end_to_end import counted
from tests.test_repair_end_to_end import contents
from tests.test_replicate_end_to_end import Replicated, until_drained


def refresh(replicated: Replicated, scope: dict[str, Any], **more: Any) -> dict[str, Any]:
    operation = {"kind": "refresh", "to": {"table": replicated.replica.name}}
    return {"table": replicated.table.name, "operation": operation, "scope": scope, **more}


def named(replicated: Replicated, numbers: Iterable[int]) -> dict[str, Any]:
    """A scope."""
    keys = [made_up_key(replicated.table.key, number) for number in numbers]
    return {"kind": "keys", "keys": [{name: next(iter(v.values())) for name, v in key.items()} for key in keys]}


async def filled(stack: Stack, replicated: Replicated) -> None:
    state, report = await outcome(await stack.start(replicated.job()))
    assert (state, replicated.differing()) == ("complete", []), report


def spoil(replicated: Replicated, numbers: Iterable[int]) -> None:
    """Items lose their content, each at its own order; of some the order, too; and some are removed."""
    client, name = replicated.replica.client, replicated.replica.name
    for number in numbers:
        key = made_up_key(replicated.replica.key, number)
        found = client.get_item(TableName=name, Key=key, ConsistentRead=True)["Item"]
        spoilt: dict[str, Any] = {**key, "spoilt": {"BOOL": True}}
        if number % 3 == 0:
            client.delete_item(TableName=name, Key=key)
        elif number % 3 == 1:
            replicated.replica.put({**spoilt, "reindexOrder": found["reindexOrder"]})
        else:
            replicated.replica.put(spoilt)


async def test_named_records_are_written_again_and_those_that_are_gone_leave_a_mark(
    quiet: Stack, make_table: Make
) -> None:
    replicated = Replicated(make_table)
    await filled(quiet, replicated)
    spoil(replicated, range(0, 200, 2))
    for number in (1, 4):
        key = made_up_key(replicated.table.key, number)
        replicated.table.client.delete_item(TableName=replicated.table.name, Key=key)
    assert len(replicated.differing()) == 101  # of the two deleted ones one was spoilt
    quiet.proxy.set_plan(FaultPlan.mixed(0.1))
    state, report = await outcome(await quiet.start(refresh(replicated, named(replicated, range(200)))))
    assert state == "complete", report
    assert report["balanced"]
    assert counted(report) == {"scanned": 200, "updated": 198, "vanished": 2}
    assert replicated.differing() == []
    assert len(replicated.tombstones()) == 2
    again = refresh(replicated, named(replicated, [1, 2]), expect_found=True)
    state, report = await outcome(await quiet.start(again))
    assert (state, counted(report)) == ("Incomplete", {"scanned": 2, "updated": 1, "vanished": 1})


async def test_of_partitions_what_only_the_replica_has_is_removed(quiet: Stack, make_table: Make) -> None:
    replicated = Replicated(make_table, rows=0, range_type="N")
    key, sort = (attribute.name for attribute in replicated.table.key)

    def row(tenant: str, number: int) -> dict[str, Any]:
        return {key: {"S": tenant}, sort: {"N": str(number)}, **content(number)}

    replicated.table.put(*(row(tenant, number) for tenant in ("a", "b") for number in range(0, 300, 2)))
    await filled(quiet, replicated)
    extra = [row(tenant, number) for tenant in ("a", "b", "c") for number in (-7, 3, 151, 900)]
    replicated.replica.put(*({**item, "reindexOrder": {"N": "5"}} for item in extra))
    assert len(replicated.differing()) == 12
    scope = {"kind": "partitions", "values": ["a", "c", "none"]}
    quiet.proxy.set_plan(FaultPlan.mixed(0.1))
    state, report = await outcome(await quiet.start(refresh(replicated, scope)))
    assert state == "complete", report
    assert counted(report) == {"scanned": 158, "updated": 150, "vanished": 8}
    assert {name: tally.get("vanished", 0) for name, tally in report["partitions"].items()} == {
        "a": 4, "c": 4, "none": 0
    }  # fmt: skip
    assert len(replicated.differing()) == 4
    assert {item[key]["S"] for item in extra if item[key]["S"] == "b"} == {"b"}
    assert len(replicated.tombstones()) == 8


@pytest.mark.nightly
async def test_beside_a_follow_nothing_newer_is_lost(quiet: Stack, make_table: Make) -> None:
    replicated = Replicated(make_table, rows=60)
    handle = await replicated.follow(quiet, limits=FAST)
    await until_drained(replicated, handle)
    writer = Writer(replicated.table, 60)
    job = refresh(replicated, named(replicated, range(60)), isolation="batch")
    with writer.running():
        quiet.proxy.set_plan(FaultPlan.mixed(0.1))
        for _ in range(4):
            state, report = await outcome(await quiet.start(job))
            assert state == "complete", report
            assert report["balanced"]
            assert report["tally"]["updated"] + report["tally"]["vanished"] == 60
    quiet.proxy.set_plan(FaultPlan())
    await replicated.equal()
    there = [n for n in range(60) if replicated.table.get(made_up_key(replicated.table.key, n))][:9]
    spoil(replicated, there)
    assert len(replicated.differing()) == 9
    assert (await outcome(await quiet.start(job)))[0] == "complete"
    await replicated.equal()
    await handle.cancel()
    await outcome(handle)


@pytest.mark.nightly
async def test_killed_workers_count_each_record_once(quiet: Stack, make_table: Make) -> None:
    replicated = Replicated(make_table, rows=400)
    await filled(quiet, replicated)
    spoil(replicated, range(0, 400, 20))
    beside = quiet.beside(f"refresh-{uuid.uuid4().hex[:8]}")
    job = refresh(replicated, named(replicated, range(400)), limits=SLOW)
    moments = [lambda seen: bool(seen["tally"]["updated"] > 50)]
    limits = {"records_per_second": "unlimited"}
    state, report = await outcome_though_killed(beside, job, moments, limits)
    assert state == "complete", report
    assert counted(report) == {"scanned": 400, "updated": 400}
    assert replicated.differing() == []


@pytest.mark.parametrize(
    ("wrong", "kind", "words"),
    [
        ({"scope": {"kind": "complete"}}, "BadInput", "a whole table is replicated again"),
        ({"verify": "complete"}, "BadInput", "complete is for a replica"),
        ({"limits": {"bytes_per_second": 5}}, "BadInput", "only index and refresh write documents"),
        ({"dry_run": True}, "BadInput", "there is nothing to try"),
        ({}, "NotReplicated", "nothing has been replicated to"),
    ],
)
async def test_what_rules_itself_out_is_refused(
    quiet: Stack, make_table: Make, wrong: dict[str, Any], kind: str, words: str
) -> None:
    replicated = Replicated(make_table, rows=1)
    found, failure = await outcome(await quiet.start({**refresh(replicated, named(replicated, [0])), **wrong}))
    assert (found, words in failure["message"]) == (kind, True), failure
    assert contents(replicated.replica) == {}


async def test_the_command_names_records_and_only_a_replica_of_the_table_is_taken(
    quiet: Stack, make_table: Make, tmp_path: Path
) -> None:
    replicated = Replicated(make_table, rows=30)
    await filled(quiet, replicated)
    spoil(replicated, [3, 4])
    keys = [row[replicated.table.key[0].name]["S"] for row in map(key_of(replicated), (3, 4))]
    listed = tmp_path / "keys"
    listed.write_text("\n".join(keys))
    job = f"job-{uuid.uuid4().hex[:8]}"

    async def run(table: str, *more: str) -> tuple[int, str, str]:
        asked = ("refresh", table, *more, "--workflow-id", job)
        return await asyncio.to_thread(command, dict(quiet.environment), *asked)

    name, replica = replicated.table.name, replicated.replica.name
    for more, wrong in (
        ((), "OTHER: is missing"),
        ((replica,), "--keys: is missing"),
        ((replica, "--keys", str(listed), "--to", "http://localhost:1"), "cannot be combined with OTHER"),
        ((replica, "--keys", str(listed), "--job", "shout"), "makes documents"),
    ):
        code, _, err = await run(name, *more)
        assert (code, wrong in err) == (2, True), err
    other = make_table()
    code, _, err = await run(other.name, replica, "--keys", str(listed), "--yes")
    assert (code, "is a replica of" in " ".join(err.split())) == (2, True), err
    code, out, err = await run(name, replica, "--keys", str(listed), "--yes", "--wait", "--json")
    assert code == 0, err
    assert json.loads(out)["tally"]["updated"] == 2
    assert replicated.differing() == []
    code, out, _ = await asyncio.to_thread(command, dict(quiet.environment), "report", job)
    assert (code, f"again to {replica}" in " ".join(out.split())) == (0, True), out


def key_of(replicated: Replicated) -> Any:
    return lambda number: made_up_key(replicated.table.key, number)
