"""How many shards, which limits, and which keys: what a plan is made of, without any engine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from commands.input.fields import read_rate
from commands.input.job_input import job_input
from reindexer.errors import BadInput
from reindexer.models import (
    Capacity,
    IndexCapacity,
    KeyAttribute,
    KeyList,
    Keys,
    Limits,
    TableFacts,
    Uses,
    chosen,
)
from reindexer.planning.capacity import capacity_of
from reindexer.planning.scopes import distinct_keys, sources_of, typed_key
from reindexer.planning.sizing import key_lists, segments

# ── Sizing and limits ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("items", "size", "total", "shards"),
    [
        (0, 0, None, 4),
        (34_006, 5_000_000, None, 4),
        (400_000, 0, None, 20),
        (400_001, 0, None, 21),
        (10**9, 0, None, 400),
        (10, 1_000_000_000, None, 10),
        (10, 0, 400, 400),
        (10**9, 0, 1, 1),
    ],
)
def test_shards_follow_count_and_size(items: int, size: int, total: int | None, shards: int) -> None:
    made = segments(items, size, total, "r1")
    assert sorted(part.segment for part in made) == list(range(shards))
    assert {part.total for part in made} == {shards}


def test_the_order_of_shards_is_fixed_by_the_run() -> None:
    assert segments(0, 0, 50, "r1") == segments(0, 0, 50, "r1") != segments(0, 0, 50, "r2")
    assert [part.segment for part in segments(0, 0, 50, "r1")] != list(range(50))


TOUCH = Uses(writes=["v", "r"])


def throughput(read: float, write: float) -> dict[str, Any]:
    return {"ProvisionedThroughput": {"ReadCapacityUnits": read, "WriteCapacityUnits": write}}


def test_limits_default_to_half_of_what_the_table_can_take() -> None:
    limits, text = chosen(Limits(write_units_per_second=7), Capacity())
    assert (limits.read_units_per_second, limits.write_units_per_second) == ("unlimited", 7)
    assert "not known" in text
    assert "write 7/s as given" in text
    known = capacity_of(throughput(100, 1), TOUCH)
    limits, text = chosen(Limits(), known)
    assert (limits.read_units_per_second, limits.write_units_per_second) == (50, 0.5)
    assert "half of the provisioned capacity of 100" in text
    assert chosen(Limits(read_units_per_second="unlimited"), known)[0].read_units_per_second == "unlimited"


def test_warm_throughput_counts_below_the_maximum_that_was_set() -> None:
    warm: dict[str, Any] = {
        "BillingModeSummary": {"BillingMode": "PAY_PER_REQUEST"},
        "ProvisionedThroughput": {"ReadCapacityUnits": 0, "WriteCapacityUnits": 0},
        "WarmThroughput": {"ReadUnitsPerSecond": 12_000, "WriteUnitsPerSecond": 4_000},
    }
    assert capacity_of(warm, TOUCH) == Capacity(read_capacity=12_000, write_capacity=4_000)
    most = {"MaxReadRequestUnits": -1, "MaxWriteRequestUnits": 500}
    limited = capacity_of({**warm, "OnDemandThroughput": most}, TOUCH)
    assert limited == Capacity(read_capacity=12_000, write_capacity=500)
    none = {"ReadUnitsPerSecond": 0, "WriteUnitsPerSecond": 0}
    assert capacity_of({**warm, "WarmThroughput": none}, TOUCH) == Capacity()
    least = {**index("by-year", 1), "WarmThroughput": {"ReadUnitsPerSecond": 12_000, "WriteUnitsPerSecond": 90}}
    found = capacity_of({**warm, "GlobalSecondaryIndexes": [least]}, TOUCH)
    limits, text = chosen(Limits(), found)
    assert limits.write_units_per_second == 45
    assert "write 45/s, half of the warm throughput of 90 of index by-year" in text


def test_chosen_on_the_command_line_is_null_in_the_input(tmp_path: Path) -> None:
    """Also where a file says something else."""
    file = tmp_path / "input.json"
    file.write_text(json.dumps({"table": "cities", "limits": {"write_units_per_second": 5, "quarantined": 3}}))
    given = {
        "write_units_per_second": read_rate("chosen", "--write-units"),
        "records_per_second": read_rate("unlimited", "--records-per-second"),
    }
    assert given == {"write_units_per_second": None, "records_per_second": "unlimited"}
    asked = job_input({"limits": given}, file).limits
    assert asked == Limits(records_per_second="unlimited", quarantined=3)
    assert job_input({}, file).limits.quarantined == 3


def index(
    name: str, write: float, projection: str = "ALL", *held: str, keys: Any = ("year",)
) -> dict[str, Any]:
    return {
        "IndexName": name,
        "KeySchema": [{"AttributeName": key, "KeyType": "HASH"} for key in keys],
        "Projection": {"ProjectionType": projection, **({"NonKeyAttributes": list(held)} if held else {})},
        **throughput(20, write),
    }


@pytest.mark.parametrize(
    ("uses", "indexes", "write"),
    [
        (TOUCH, [index("by-year", 5)], (5, "by-year")),
        (TOUCH, [index("by-year", 5), index("by-city", 3)], (3, "by-city")),
        (TOUCH, [index("by-year", 5000)], (1000, None)),
        (TOUCH, [index("by-year", 5, "KEYS_ONLY")], (1000, None)),
        (TOUCH, [index("by-year", 5, "INCLUDE", "name")], (1000, None)),
        (TOUCH, [index("by-year", 5, "INCLUDE", "name", "v")], (5, "by-year")),
        (TOUCH, [index("by-run", 5, "KEYS_ONLY", keys=("r", "year"))], (5, "by-run")),
        (Uses(), [index("by-year", 5, "KEYS_ONLY")], (5, "by-year")),
        (Uses(writes=[]), [index("by-year", 5)], (1000, None)),
        (TOUCH, [{**index("by-year", 5), "IndexStatus": "DELETING"}], (1000, None)),
    ],
    ids=str,
)
def test_an_index_that_is_written_with_the_table_may_decide(
    uses: Uses, indexes: list[dict[str, Any]], write: tuple[float, str | None]
) -> None:
    found = capacity_of({**throughput(1000, 1000), "GlobalSecondaryIndexes": indexes}, uses)
    assert found.smallest("write") == write
    limits, text = chosen(Limits(), found)
    assert limits.write_units_per_second == write[0] / 2
    assert (f"of index {write[1]}" in text) == (write[1] is not None)
    assert limits.read_units_per_second == 500, "the index is not read"


def test_the_index_that_names_the_records_is_read() -> None:
    indexes = [index("by-year", 5), index("by-city", 5)]
    found = capacity_of(
        {**throughput(1000, 1000), "GlobalSecondaryIndexes": indexes}, Uses(reads="by-city", writes=[])
    )
    assert found.index_capacity == [IndexCapacity(name="by-city", read=20)]
    assert chosen(Limits(), found)[0].read_units_per_second == 10


# ── Scopes ─────────────────────────────────────────────────────────────────────────────────────────────────

S_AND_N = [KeyAttribute(name="id", type="S"), KeyAttribute(name="at", type="N")]


@pytest.mark.parametrize(
    ("key", "field", "right"),
    [
        ({"id": "a"}, "scope.keys[3].at", "is missing; the table's key is id"),
        ({"id": "a", "at": 1, "aat": 2}, "scope.keys[3].aat", "did you mean at?"),
        ({"id": 1, "at": 1}, "scope.keys[3].id", "must be a string"),
        ({"id": "", "at": 1}, "scope.keys[3].id", "1 to 2048"),
        ({"id": "a", "at": ""}, "scope.keys[3].at", "is not a number"),
        ({"id": "a", "at": "NaN"}, "scope.keys[3].at", "is not a number"),
        ({"id": "a", "at": "1_000"}, "scope.keys[3].at", "is not a number"),
        ({"id": "a", "at": True}, "scope.keys[3].at", "is not a key value"),
        ({"id": "a", "at": 1.5}, "scope.keys[3].at", 'write it as a string: "1.5"'),
        ({"id": "a", "at": {"N": "1"}}, "scope.keys[3].at", "is DynamoDB JSON"),
        ({"id": "a", "at": "1" * 39}, "scope.keys[3].at", "38 digits"),
        ({"id": "a", "at": "1E126"}, "scope.keys[3].at", "38 digits"),
    ],
)
def test_a_wrong_key_is_named_with_what_would_be_right(key: Any, field: str, right: str) -> None:
    with pytest.raises(BadInput) as bad:
        typed_key(key, S_AND_N, "scope.keys[3]")
    assert bad.value.field == field
    assert right in str(bad.value)


def test_values_alone_name_keys_of_one_attribute() -> None:
    facts = TableFacts(account="1", region="us-east-1", items=0, size_bytes=0)
    given = Keys(kind="keys", values=["a", "b", "a"])
    [source] = sources_of(given, S_AND_N[:1], facts, None, "r1")
    assert source == KeyList(keys=[{"id": {"S": "a"}}, {"id": {"S": "b"}}])
    with pytest.raises(BadInput, match=r"scope\.values: the table's key is id and at: a value alone"):
        sources_of(given, S_AND_N, facts, None, "r1")
    with pytest.raises(BadInput, match=r"scope\.values\[0\]\.id: 7 is a number"):
        sources_of(Keys(kind="keys", values=[7]), S_AND_N[:1], facts, None, "r1")


def test_binary_keys_are_base64() -> None:
    schema = [KeyAttribute(name="id", type="B")]
    assert typed_key({"id": "AAE="}, schema, "k") == {"id": {"B": "AAE="}}
    for wrong in ("AAE", "not base64!", "ü", ""):
        with pytest.raises(BadInput):
            typed_key({"id": wrong}, schema, "k")


def test_keys_are_distinct_as_dynamodb_sees_them() -> None:
    given: list[dict[str, str | int]] = [{"id": "a", "at": at} for at in (1, "1.0", "1E0", "+1", "-0", 0)]
    assert len(distinct_keys(given, S_AND_N, "k")) == 2
    long: list[dict[str, str | int]] = [{"id": "a", "at": 10**37 + last} for last in (1, 2)]
    assert len(distinct_keys(long, S_AND_N, "k")) == 2, "38 digits, of which Python would round ten away"


def test_a_list_of_keys_becomes_shards_that_fit_a_message() -> None:
    lists, taken = key_lists([{"id": {"S": f"key-{number}"}} for number in range(10_000)])
    assert taken == 10_000 == sum(len(part.keys) for part in lists)
    assert max(len(part.keys) for part in lists) <= 500
    lists, taken = key_lists([{"id": {"S": "x" * 1000 + str(number)}} for number in range(10_000)])
    assert taken < 1000
    assert all(len(part.model_dump_json()) < 250_000 for part in lists)
