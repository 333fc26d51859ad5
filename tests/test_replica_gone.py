"""A replica that is created or gone: a refused job makes none, nor does a follow whose replica was deleted."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from reindexer.errors import BadInput, Refused
from reindexer.ledger import Ledger
from reindexer.models import FollowInput, JobInput, Plan, PlanInput
from reindexer.planning.plan import make_plan
from testbed.job import outcome, until
from testbed.stack import Stack
from tests.cli import command
from tests.planted import Make
from tests.tables import Table, create_table
from tests.test_replicate_end_to_end import Replicated
from tests.test_rescan_end_to_end import environment

ORDER = {"reindexOrder": {"N": "5"}}


def planned(table: Table, ledger: Ledger, to: str, *, follows: bool = False, **more: Any) -> Plan:
    operation = {"kind": "replicate", "to": {"table": to}, "create": True}
    job = (FollowInput if follows else JobInput).model_validate({"table": table.name, "operation": operation})
    request = PlanInput(
        job=job, follows=follows, workflow_id="job-a", started_at=datetime.now(UTC), run="r1", **more
    )
    return make_plan(
        request, client=table.client, ledger=ledger, heartbeat_timeout=10.0, connect=lambda _: table.client
    )


def expires(table: Table, name: str) -> str:
    described = table.client.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
    return str(described.get("AttributeName", "")) if described["TimeToLiveStatus"] == "ENABLED" else ""


@pytest.mark.parametrize("why", ["a replica itself", "no stream"])
def test_a_job_that_is_refused_has_created_no_replica(make_table: Make, ledger: Ledger, why: str) -> None:
    table = make_table()
    table.fill(3, **(ORDER if why == "a replica itself" else {}))
    name, before = f"{table.name}-made", table.client.list_tables()["TableNames"]
    with pytest.raises(Refused if why == "a replica itself" else BadInput, match=why):
        planned(table, ledger, name, follows=why == "no stream")
    assert table.client.list_tables()["TableNames"] == before


def test_a_replica_that_is_refused_gets_no_time_to_live(make_table: Make, ledger: Ledger) -> None:
    table, mine = make_table(), make_table()
    mine.fill(3)
    with pytest.raises(Refused, match="records that no replica has"):
        planned(table, ledger, mine.name)
    assert expires(table, mine.name) == ""


def test_a_replica_is_created_by_the_plan_and_gets_its_time_to_live_under_the_lock(
    make_table: Make, ledger: Ledger
) -> None:
    table = make_table(range_type="N")
    table.fill(3)
    name = f"{table.name}-made"
    assert planned(table, ledger, name, preview=True).target.destination == "table:/"
    plan = planned(table, ledger, name)
    made = table.client.describe_table(TableName=name)["Table"]
    try:
        assert plan.target.other is not None
        assert (plan.target.other.table_arn, plan.target.other.ttl) == (made["TableArn"], "reindexGone")
        assert plan.warnings == []
        assert expires(table, name) == "", "another job may have the lock"
    finally:
        table.client.delete_table(TableName=name)


def test_a_rescan_makes_no_replica_in_the_place_of_its_own(make_table: Make, ledger: Ledger) -> None:
    table = make_table()
    made = create_table(table.client, name=f"{table.name}-made")
    before = planned(table, ledger, made.name).target
    again: dict[str, Any] = {"rescans": made.name, "destination": before.destination}
    assert planned(table, ledger, made.name, **again).target.destination == before.destination
    made.drop()
    with pytest.raises(Refused, match=f"the replica {made.name} that this follow has filled was deleted"):
        planned(table, ledger, made.name, **again)
    assert made.name not in table.client.list_tables()["TableNames"]
    other = create_table(table.client, name=made.name)
    try:
        with pytest.raises(Refused, match="was deleted") as refused:
            planned(table, ledger, made.name, **again)
        assert refused.value.kind == "ReplicaGone"
    finally:
        other.drop()


async def test_a_worker_that_refuses_a_job_has_touched_nothing(quiet: Stack, make_table: Make) -> None:
    """Neither by the plan nor by the lock, which a follow into the same replica has."""
    copied = Replicated(make_table, rows=5)
    create = {**copied.job()["operation"], "create": True}
    chain = {"table": copied.replica.name, "operation": {**create, "to": {"table": f"{copied.replica.name}-2"}}}
    handle = await copied.follow(quiet)
    await until(handle, lambda seen: seen["tally"]["updated"] >= 5)
    kind, said = await outcome(await quiet.start(chain))
    assert kind == "ReplicaInUse", said
    kind, said = await outcome(await quiet.start(copied.job(operation=create)))
    assert kind == "Locked", said
    assert f"{copied.replica.name}-2" not in copied.table.client.list_tables()["TableNames"]
    assert expires(copied.table, copied.replica.name) == ""
    await handle.cancel()
    await outcome(handle)


@pytest.mark.parametrize("state", ["paused", "parked"])
async def test_a_follow_whose_replica_was_deleted_says_so_when_it_is_to_scan_again(
    quiet: Stack, make_table: Make, state: str
) -> None:
    copied = Replicated(make_table, rows=5)
    operation = {**copied.job()["operation"], "create": True}
    handle = await copied.follow(quiet, operation=operation)
    await until(handle, lambda seen: seen["tally"]["updated"] >= 5)
    assert expires(copied.table, copied.replica.name) == "reindexGone"
    if state == "paused":  # before its replica is gone: it would park instead
        await handle.signal("pause")
        await until(handle, lambda seen: seen["state"] == state)
    copied.replica.drop()
    copied.table.fill(1)  # a change, which has nowhere to go
    await until(handle, lambda seen: seen["state"] == state)
    code, _, err = await asyncio.to_thread(command, environment(quiet), "resume", handle.id, "--rescan")
    assert code == 0, err
    seen = await until(handle, lambda seen: seen["state"] == "parked" and "rescan" in seen["reason"])
    assert f"the replica {copied.replica.name} that this follow has filled was deleted" in seen["reason"]
    assert seen["reason"].endswith("start another (ReplicaGone)")
    assert copied.replica.name not in copied.table.client.list_tables()["TableNames"]
    await handle.cancel()
    assert (await outcome(handle))[0] == "CancelledError"
