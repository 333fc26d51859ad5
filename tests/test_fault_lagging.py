"""Reads that lag behind the fault proxy: what they miss, for how long, and which reads never lag."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import ValidationError

from testbed.faults import Fault, FaultPlan, FaultProxy
from tests.faulty import K, inject, key, touches, update
from tests.tables import BY_TENANT, Table

pytest_plugins = ["tests.proxied"]
LAG = 0.5  # seconds; long enough to look at the table before


def lagging(table: Table, seconds: float = LAG) -> Fault:
    return Fault(kind=K.LAG, tables=frozenset((table.name,)), seconds=seconds)


def versions(items: list[dict[str, Any]]) -> dict[str, str]:
    """Which of the rows have been touched."""
    return {item["id"]["S"]: item["reindexVersion"]["N"] for item in items if "reindexVersion" in item}


def reads(through: Any, table: Table, **more: Any) -> list[list[dict[str, Any]]]:
    """What Scan, Query, GetItem and BatchGetItem see of row 1."""
    one = {"TableName": table.name, "Key": key(1), **more}
    batch = through.batch_get_item(RequestItems={table.name: {"Keys": [key(1)], **more}})
    asked = {"KeyConditionExpression": "id = :id", "ExpressionAttributeValues": {":id": key(1)["id"]}}
    return [
        through.scan(TableName=table.name, FilterExpression="attribute_exists(reindexVersion)", **more)[
            "Items"
        ],
        through.query(TableName=table.name, **asked, **more)["Items"],
        [item for item in (through.get_item(**one).get("Item"),) if item],
        batch["Responses"][table.name],
    ]


@pytest.mark.alone
def test_eventually_consistent_reads_miss_a_write_for_a_while(
    proxy: FaultProxy, through: Any, table: Table
) -> None:
    inject(proxy, lagging(table))
    through.batch_execute_statement(**touches(table, 1))
    assert [versions(found) for found in reads(through, table)] == [{}] * 4
    consistent = reads(through, table, ConsistentRead=True)
    assert [versions(found) for found in consistent] == [{"row-000001": "7"}] * 4
    assert proxy.truth().injected == {K.LAG: 4}
    time.sleep(2 * LAG)
    assert [versions(found) for found in reads(through, table)] == [{"row-000001": "7"}] * 4
    assert proxy.truth().injected == {K.LAG: 4}, "nothing is behind any more"


@pytest.mark.alone
def test_a_deleted_row_is_handed_out_and_a_new_one_is_not(
    proxy: FaultProxy, through: Any, table: Table
) -> None:
    inject(proxy, lagging(table))
    through.delete_item(TableName=table.name, Key=key(2))
    through.put_item(TableName=table.name, Item=key(77))
    names = {item["id"]["S"] for item in through.scan(TableName=table.name)["Items"]}
    assert ("row-000002" in names, "row-000077" in names) == (True, False)
    time.sleep(2 * LAG)
    names = {item["id"]["S"] for item in through.scan(TableName=table.name)["Items"]}
    assert ("row-000002" in names, "row-000077" in names) == (False, True)


@pytest.mark.alone
def test_states_come_one_after_another_and_the_last_one_stays(
    proxy: FaultProxy, through: Any, table: Table
) -> None:
    inject(proxy, lagging(table))
    seen = []
    for version in (7, 8, 9):
        through.update_item(**update(table, 3, version))
        time.sleep(LAG / 5)
    for _ in range(20):
        item = through.get_item(TableName=table.name, Key=key(3))["Item"]
        seen.append(item.get("reindexVersion", {"N": "0"})["N"])
        time.sleep(LAG / 10)
    assert seen == sorted(seen)
    assert seen[-1] == "9"
    assert len(set(seen)) >= 3


@pytest.mark.alone
def test_a_global_index_lags_also_where_the_table_is_read_consistently(
    proxy: FaultProxy, through: Any, make_table: Callable[..., Table]
) -> None:
    table = make_table(indexes=BY_TENANT)
    table.put(*({**key(number), "tenant": {"S": "acme"}, "at": {"N": str(number)}} for number in range(3)))
    inject(proxy, lagging(table))
    through.delete_item(TableName=table.name, Key=key(1))
    asked = {
        "IndexName": "by-tenant",
        "KeyConditionExpression": "tenant = :tenant",
        "ExpressionAttributeValues": {":tenant": {"S": "acme"}},
    }
    assert through.query(TableName=table.name, **asked)["Count"] == 3
    time.sleep(2 * LAG)
    assert through.query(TableName=table.name, **asked)["Count"] == 2


def test_a_plan_without_it_reads_what_is_there(proxy: FaultProxy, through: Any, table: Table) -> None:
    inject(proxy, lagging(table, seconds=60))
    through.delete_item(TableName=table.name, Key=key(2))
    assert through.scan(TableName=table.name)["Count"] == 6
    proxy.set_plan(FaultPlan())
    assert through.scan(TableName=table.name)["Count"] == 5
    inject(proxy, lagging(table, seconds=60))
    assert through.scan(TableName=table.name)["Count"] == 5, "it lags behind what is there from then on"
    proxy.set_plan(FaultPlan())
    proxy.reset()
    assert f"{table.name}.lagging" not in through.list_tables()["TableNames"]


def test_it_needs_tables() -> None:
    with pytest.raises(ValidationError, match="lag needs tables"):
        Fault(kind=K.LAG)
