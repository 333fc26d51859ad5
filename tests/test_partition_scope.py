"""The scope `partitions` as it is written, without any engine: what is refused and how, and how it is dealt."""

from __future__ import annotations

import re
from typing import Any

import pytest
from pydantic import ValidationError

from reindexer.errors import BadInput, Refused
from reindexer.explain import explain
from reindexer.models import JobInput, KeyAttribute, PartitionRange, Partitions, SortCondition, TableFacts
from reindexer.planning.facts import Described
from reindexer.planning.partitions.scope import checked_scope, index_warning
from reindexer.planning.sizing import partition_shards
from tests.stack import CHECKOUT

TYPES = {"id": "S", "at": "N", "tenant": "N", "name": "S", "raw": "B"}


def index(name: str, *keys: str, **more: Any) -> dict[str, Any]:
    kinds = ("HASH", "RANGE")
    schema = [{"AttributeName": key, "KeyType": kind} for key, kind in zip(keys, kinds, strict=False)]
    return {"IndexName": name, "KeySchema": schema, **more}


def described(*key: str, **description: Any) -> Described:
    """A table as DescribeTable tells of it."""
    facts = TableFacts(account="1", region="us-east-1", items=1000, size_bytes=0)
    definitions = [{"AttributeName": name, "AttributeType": kind} for name, kind in TYPES.items()]
    attributes: list[Any] = [KeyAttribute(name=name, type=TYPES[name]) for name in key]
    table: Any = type("Named", (), {"table": "orders"})()
    about = {"AttributeDefinitions": definitions, **description}
    return Described(table, "arn", "id", attributes, facts, {}, about, None)


INDEXES = {
    "GlobalSecondaryIndexes": [
        index("by-tenant", "tenant", "name", ItemCount=400, IndexStatus="ACTIVE"),
        index("by-raw", "raw"),
        index("new", "tenant", IndexStatus="CREATING"),
        {
            "IndexName": "wide",
            "KeySchema": [{"AttributeName": n, "KeyType": "HASH"} for n in ("tenant", "name")],
        },
    ],
    "LocalSecondaryIndexes": [index("by-name", "id", "name")],
}


def scope(**given: Any) -> Partitions:
    return Partitions.model_validate({"kind": "partitions", "values": ["acme"], **given})


@pytest.mark.parametrize(
    ("given", "field", "sentence"),
    [
        ({"values": ["a", 7]}, "scope.values[1]", "7 is a number; it must be a string"),
        ({"values": [""]}, "scope.values[0]", "has 0 bytes; a key value has 1 to 2048"),
        ({"index": "by-tenant", "values": ["x"]}, "scope.values[0]", "'x' is not a number"),
        ({"index": "by-raw", "values": ["?"]}, "scope.values[0]", "must be binary, as base64"),
        ({"index": "by-tennant"}, "scope.index", "is not an index of orders; did you mean by-tenant?"),
        ({"index": "zzz"}, "scope.index", "it has by-name, by-raw, by-tenant, new, wide"),
        ({"index": "wide"}, "scope.index", "several attributes of one kind"),
        ({"index": "by-raw", "values": ["AAE="], "sort_key": {"eq": "x"}}, "scope.sort_key", "no sort key"),
        ({"sort_key": {"begins_with": "1"}}, "scope.sort_key", "at is a number, which begins with nothing"),
        ({"sort_key": {"between": [9, "8.5"]}}, "scope.sort_key.between", "9 comes after 8.5"),
        ({"sort_key": {"lt": "soon"}}, "scope.sort_key.lt", "'soon' is not a number"),
        (
            {"index": "by-name", "sort_key": {"between": ["b", ""]}},
            "scope.sort_key.between[1]",
            "has 0 bytes; a key value has 1 to 1024",
        ),
    ],
)
def test_what_does_not_fit_the_keys_is_named(given: dict[str, Any], field: str, sentence: str) -> None:
    with pytest.raises(BadInput) as bad:
        checked_scope(scope(**given), described("id", "at", **INDEXES))
    assert bad.value.field == field
    assert sentence in str(bad.value)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"values": []}, "scope.values: [] is not valid; it must be a list of at least 1 entries"),
        ({"values": [1.5]}, "scope.values[0]: 1.5 is not valid"),
        ({"values": ["a"] * 10_001}, "a list of at most 10000 entries"),
        (
            {"sort_key": {}},
            "scope.sort_key: must be exactly one of eq, lt, lte, gt, gte, begins_with",
        ),
        ({"sort_key": {"lt": 1, "gt": 0}}, "(given: lt, gt)"),
        ({"sort_key": {"between": [1]}}, "scope.sort_key.between: [1] is not valid"),
        (
            {"sort_key": {"begins": "a"}},
            "scope.sort_key.begins: is not a known field (did you mean begins_with?)",
        ),
        ({"index": ""}, "scope.index"),
    ],
)
def test_what_is_no_such_scope_is_named(given: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValidationError) as bad:
        JobInput.model_validate({"table": "t", "scope": {"kind": "partitions", "values": ["a"], **given}})
    assert sentence in explain(bad.value)


def test_an_index_that_is_being_made_is_refused() -> None:
    with pytest.raises(Refused, match="new of orders is CREATING"):
        checked_scope(scope(index="new"), described("id", **INDEXES))


def test_values_are_those_of_the_key_each_once() -> None:
    about = described("at", "raw", **INDEXES)
    found, values = checked_scope(scope(values=[7, "7.0", "70E-1", -0, "0.00", "1E+40"]), about)
    assert values == ["7", "0", "1E+40"]
    assert (found.partition.name, found.index) == ("at", None)
    given = scope(values=[1], index="by-tenant", sort_key={"begins_with": "2024-"})
    found, values = checked_scope(given, about)
    assert [found.partition.name, found.sort and found.sort.name, values] == ["tenant", "name", ["1"]]
    assert found.condition == SortCondition(operator="begins_with", values=["2024-"])


def test_a_sparse_index_is_named_with_what_it_lacks() -> None:
    about = described("id", "at", **INDEXES)
    found, _ = checked_scope(scope(values=[1], index="by-tenant"), about)
    details = " ".join(index_warning(found, about))
    assert "records without tenant or name are not in it" in details
    assert "it holds 400 of the table's 1,000 records" in details
    local, _ = checked_scope(scope(index="by-name"), about)
    assert "records without name are not in it" in index_warning(local, about)[0]
    assert index_warning(checked_scope(scope(), about)[0], about) == []


# ── Dealing them to shards ─────────────────────────────────────────────────────────────────────────────────


def ranges(*rows: int | None, more: bool = False) -> list[tuple[PartitionRange, bool]]:
    return [(PartitionRange(value=f"tenant-{n}", rows=count), more) for n, count in enumerate(rows)]


def test_many_small_tenants_share_a_shard_and_a_large_one_has_its_own() -> None:
    made = partition_shards([*ranges(*[15] * 1999), *ranges(None, more=True)], None, "r1")
    assert sum(len(shard.ranges) for shard in made) == 2000
    assert 5 <= len(made) <= 20
    assert [len(shard.ranges) for shard in made if shard.ranges[-1].rows is None] == [1]


@pytest.mark.parametrize(("total", "shards"), [(None, 4), (1, 1), (3, 3), (400, 10)])
def test_the_number_of_shards_is_as_wished_and_never_above_that_of_ranges(
    total: int | None, shards: int
) -> None:
    assert len(partition_shards(ranges(*[1] * 10), total, "r1")) == shards


def test_dealing_is_deterministic_and_orders_by_the_run() -> None:
    given = ranges(*range(0, 3_000, 10))
    one, other = partition_shards(given, None, "r1"), partition_shards(given, None, "r2")
    assert one == partition_shards(given, None, "r1") != other
    assert sorted(map(str, one)) == sorted(map(str, other))
    loads = [sum(part.rows or 0 for part in shard.ranges) for shard in one]
    assert max(loads) - min(loads) < 2000


def test_long_values_are_dealt_so_that_each_shard_fits_a_message() -> None:
    given = [(PartitionRange(value="x" * 1000 + str(n), rows=1), False) for n in range(900)]
    made = partition_shards(given, 1, "r1")
    assert max(len(shard.model_dump_json()) for shard in made) < 250_000


def test_the_scope_of_the_docs_is_one() -> None:
    text = (CHECKOUT / "docs" / "input.md").read_text()
    [example] = re.findall(r'```json\n(\{"kind": "partitions".*?)```', text, re.DOTALL)
    given = Partitions.model_validate_json(example)
    assert (given.values, given.index) == (["acme", 7], "by-tenant")
