"""Limits that the plan chooses: by the smallest of table and indexes, and again while the job runs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from reindexer.planning.facts import describe
from testbed.job import outcome, progress, until
from testbed.stack import Stack
from tests.tables import Table

WRITE = "write_units_per_second"


def units(read: int, write: int) -> dict[str, int]:
    return {"ReadCapacityUnits": read, "WriteCapacityUnits": write}


@pytest.fixture
def table(dynamodb: Any) -> Iterator[Table]:
    """1,000 units, and an index of 5 that a touch writes."""
    name = "provisioned"
    dynamodb.create_table(
        TableName=name,
        BillingMode="PROVISIONED",
        ProvisionedThroughput=units(1000, 1000),
        AttributeDefinitions=[{"AttributeName": n, "AttributeType": "S"} for n in ("id", "year")],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "by-year",
                "KeySchema": [{"AttributeName": "year", "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "ALL"},
                "ProvisionedThroughput": units(1000, 5),
            }
        ],
    )
    described = describe(name, dynamodb)
    made = Table(dynamodb, name, described.arn, described.identity, tuple(described.key))
    made.fill(300, year={"S": "1999"})
    yield made
    made.drop()


async def test_null_is_chosen_by_the_plan_whenever_it_is_given(quiet: Stack, table: Table) -> None:
    handle = await quiet.start({"table": table.name, "total_segments": 2})
    chosen = (await until(handle, lambda seen: seen["state"] == "running"))["limits"]
    assert (chosen[WRITE], chosen["read_units_per_second"], chosen["records_per_second"]) == (
        2.5,
        500,
        "unlimited",
    )
    for change, write in (
        ({WRITE: 7}, 7),
        ({"quarantined": 5}, 7),
        ({WRITE: "unlimited"}, "unlimited"),
        ({WRITE: None}, 2.5),
    ):
        assert (await handle.execute_update("set_limits", change))[WRITE] == write
    assert (await progress(handle))["limits"] == {**chosen, "quarantined": 5}
    await handle.cancel()
    await outcome(handle)


async def test_chosen_limits_follow_the_capacity_and_limits_set_by_hand_do_not(
    quiet: Stack, table: Table
) -> None:
    handle = await quiet.start(
        {"table": table.name, "total_segments": 2, "limits": {"read_units_per_second": 40}}
    )
    await until(handle, lambda seen: seen["limits"][WRITE] == 2.5)
    table.client.update_table(TableName=table.name, ProvisionedThroughput=units(2000, 4))
    limits = (await until(handle, lambda seen: seen["limits"][WRITE] != 2.5))["limits"]
    assert (limits[WRITE], limits["read_units_per_second"]) == (2, 40)
    await handle.execute_update("set_limits", {WRITE: "unlimited"})
    kind, report = await outcome(handle)
    assert kind == "complete"
    assert report["tally"]["updated"] == 300
    followed, by_hand = report["controls"]
    assert (followed["what"], followed["limits"]) == ("limits followed the capacity", {WRITE: 2})
    assert "write 2/s, half of the provisioned capacity of 4" in followed["reason"]
    assert by_hand["what"] == "set_limits"
