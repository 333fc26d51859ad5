"""Named partitions on every engine: each condition, each type of key, cuts, an index, the reads afterwards."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from reindexer.errors import BadInput
from reindexer.items import text_of
from reindexer.models import (
    Isolated,
    KeyAttribute,
    PartitionRange,
    PartitionRanges,
    Partitions,
    PartitionScope,
    RecordInput,
    RoundInput,
    Share,
    SortCondition,
    VerifyInput,
)
from reindexer.partitions.sort_keys import holds, ordered
from reindexer.planning.facts import describe
from reindexer.planning.partitions.scope import checked_scope
from reindexer.planning.partitions.sizes import looked_at
from reindexer.sources.partitions import PartitionSource
from reindexer.table_rounds import attempt_record, run_round
from reindexer.tally import Tally
from reindexer.throttle import Budget
from tests.driving import FakeContext
from tests.model_table import Clock
from tests.tables import BY_TENANT, ODD_NAMES, Table
from tests.verifying import verified

Make = Callable[..., Table]
OPERATORS: Sequence[Any] = (None, "eq", "lt", "lte", "gt", "gte", "begins_with", "between")


def sort_key(kind: str, number: int) -> dict[str, Any]:
    values: dict[str, dict[str, Any]] = {
        "S": {"S": f"2024-{number:03}"},
        "N": {"N": f"{number - 20}.5"},
        "B": {"B": b"\xff\x00" + bytes([number])},
    }
    return values[kind]


def scope_of(table: Table, condition: SortCondition | None = None) -> PartitionScope:
    return PartitionScope(partition=table.key[0], sort=table.key[1], condition=condition)


def read(table: Table, scope: PartitionScope, ranges: Sequence[PartitionRange], page_rows: int) -> list[str]:
    """Sort keys in the order they come; each page by a source that begins again at the cursor."""
    found: list[str] = []
    cursor = None
    assert scope.sort is not None
    while True:
        context = FakeContext(Clock())
        source = PartitionSource(
            table.calls, scope, PartitionRanges(ranges=list(ranges)), table.key, None, {}, context
        )
        page = next(iter(source.pages(cursor, 0, _Small(page_rows))))
        assert page.partition is not None
        found += [text_of(row[scope.sort.name]) for row in page.rows]
        cursor = page.next_cursor
        if cursor is None:
            return found


class _Small(Budget):
    """A budget that lets pages of a few rows through."""

    def __init__(self, rows: int) -> None:
        super().__init__(Share(), FakeContext(Clock()))
        self._rows = rows

    def page_rows(self) -> int | None:
        return self._rows


@pytest.mark.parametrize("kind", ["S", "N", "B"])
def test_each_condition_holds_for_whole_partitions_and_for_parts(
    each_engine: Any, make_table: Make, kind: str
) -> None:
    table = make_table(range_type=kind)
    values = [sort_key(kind, number) for number in range(40)]
    table.put(*({"id": {"S": t}, "sort": value} for t in ("acme", "other") for value in values))
    texts = [text_of(value) for value in values]
    whole = [PartitionRange(value="acme")]
    prefix = {"S": "2024-01", "B": base64.b64encode(b"\xff\x00").decode()}
    for operator in OPERATORS:
        if operator is None:
            condition = None
        elif operator == "begins_with":
            if kind == "N":
                continue
            condition = SortCondition(operator=operator, values=[prefix[kind]])
        else:
            bounds = [texts[10], texts[33]] if operator == "between" else [texts[10]]
            condition = SortCondition(operator=operator, values=bounds)
        expected = [t for t in texts if condition is None or holds(condition, kind, ordered(kind, t))]
        assert read(table, scope_of(table, condition), whole, 3) == expected, operator
        assert read(table, scope_of(table, condition), _thirds(expected), 3) == expected, operator
        sizes = looked_at(
            table.calls, scope_of(table, condition), ["acme", "nobody"], wanted=9, most_parts=9, rate=None
        )
        assert [part.rows for part, _ in sizes.ranges] == [len(expected), 0]


def _thirds(keys: list[str]) -> list[PartitionRange]:
    """The partition cut at two of the keys, as planning cuts it: at keys that meet the condition."""
    if len(keys) < 3:
        return [PartitionRange(value="acme")]
    one, other = keys[len(keys) // 3], keys[2 * len(keys) // 3]
    return [
        PartitionRange(value="acme", before=one),
        PartitionRange(value="acme", first=one, before=other),
        PartitionRange(value="acme", first=other),
    ]


@pytest.mark.parametrize("kind", ["S", "N", "B"])
def test_a_huge_partition_is_cut_and_read_whole(each_engine: Any, make_table: Make, kind: str) -> None:
    table = make_table(range_type=kind)
    lists: dict[str, list[dict[str, Any]]] = {
        "S": [{"S": f"k-{number:05}"} for number in range(2500)],
        "N": [{"N": str(number * 1.5 - 900)} for number in range(2500)],
        "B": [{"B": number.to_bytes(2, "big")} for number in range(2500)],
    }
    values = lists[kind]
    table.put(*({"id": {"S": "acme"}, "sort": value} for value in values))
    sizes = looked_at(table.calls, scope_of(table), ["acme"], wanted=8, most_parts=8, rate=None)
    assert 3 <= len(sizes.ranges) <= 8
    found = read(table, scope_of(table), [part for part, _ in sizes.ranges], 700)
    assert found == [text_of(value) for value in values]


def test_without_a_sort_key_a_partition_is_one_record(each_engine: Any, make_table: Make) -> None:
    table = make_table(hash_type="N")
    table.fill(20)
    scope = PartitionScope(partition=table.key[0])
    result = _round(table, scope, [PartitionRange(value=text) for text in ("3", "7", "99")])
    assert result == Tally(scanned=2, updated=2)
    assert _behind(table, scope, ["3", "7", "99", "8"]) == (3, 1)


def _round(table: Table, scope: PartitionScope, ranges: list[PartitionRange]) -> Tally:
    request = RoundInput(target=table.target(within=scope), source=PartitionRanges(ranges=ranges), seconds=60.0)
    result = run_round(request, FakeContext(Clock()), table.calls)
    assert result.stop == "done"
    return result.progress.tally


def _behind(table: Table, scope: PartitionScope, values: list[str], *, keep: bool = True) -> tuple[int, int]:
    source = PartitionRanges(ranges=[PartitionRange(value=value) for value in values])
    request = VerifyInput(target=table.target(within=scope), source=source)
    found = verified(request, table.client, FakeContext(Clock()), keep=keep)
    assert found.results[-1].fault is None
    assert len(found.kept) == (found.behind if keep else 0)
    assert set(found.kept.values()) <= set(values)
    return found.scanned, found.behind


def test_the_verifying_read_sees_exactly_the_scope(each_engine: Any, make_table: Make) -> None:
    table = make_table(range_type="N")
    table.put(*({"id": {"S": t}, "sort": {"N": str(n)}} for t in ("acme", "globex", "x") for n in range(50)))
    scope = scope_of(table, SortCondition(operator="between", values=["10", "29"]))
    assert _behind(table, scope, ["acme", "nobody", "globex"]) == (40, 40)
    assert _round(table, scope, [PartitionRange(value="acme")]) == Tally(scanned=20, updated=20)
    assert _behind(table, scope, ["acme", "nobody", "globex"]) == (40, 20)
    assert _behind(table, scope, ["acme", "nobody", "globex"], keep=False) == (40, 20)


@pytest.mark.parametrize("name", ODD_NAMES)
def test_odd_names_are_only_names(make_table: Make, dynamodb: Any, name: str) -> None:
    parts = [KeyAttribute(name=name, type="S"), KeyAttribute(name=f"{name} too", type="N")]
    condition = SortCondition(operator="between", values=["2", "5"])
    table = make_table(hash_name=name, range_name=f"{name} too", range_type="N")
    table.put(*({name: {"S": t}, f"{name} too": {"N": str(n)}} for t in ("acme", "x") for n in range(10)))
    scope = scope_of(table, condition)
    assert _round(table, scope, [PartitionRange(value="acme")]) == Tally(scanned=4, updated=4)
    assert _behind(table, scope, ["acme", "x"]) == (8, 4)

    table = make_table(indexes={"odd": parts})
    table.put(*({"id": {"S": str(n)}, name: {"S": "acme"}, f"{name} too": {"N": str(n)}} for n in range(10)))
    scope = PartitionScope(partition=parts[0], sort=parts[1], index="odd", condition=condition)
    assert _behind(table, scope, ["acme"]) == (4, 4)
    assert _round(table, scope, [PartitionRange(value="acme")]) == Tally(scanned=4, updated=4)
    assert _behind(table, scope, ["acme"]) == (4, 0)


def test_by_an_index_sparse_rows_are_not_seen_and_moved_ones_left_alone(
    each_engine: Any, make_table: Make
) -> None:
    table = make_table(indexes=BY_TENANT)
    there = [
        {"id": {"S": f"a-{n}"}, "tenant": {"S": "acme"}, "at": {"N": str(n // 3)}, "old": {"S": "x"}}
        for n in range(250)
    ]
    sparse = [{"id": {"S": f"s-{n}"}, "tenant": {"S": "acme"}} for n in range(5)]
    table.put(*there, *sparse, {"id": {"S": "other"}, "tenant": {"S": "globex"}, "at": {"N": "1"}})
    scope = PartitionScope(
        partition=BY_TENANT["by-tenant"][0],
        sort=BY_TENANT["by-tenant"][1],
        index="by-tenant",
        condition=SortCondition(operator="gte", values=["10"]),
    )
    ranges = [PartitionRange(value="acme", before="40"), PartitionRange(value="acme", first="40")]
    assert _behind(table, scope, ["acme"]) == (220, 220)
    assert _round(table, scope, ranges) == Tally(scanned=220, updated=220)
    assert _behind(table, scope, ["acme", "globex"]) == (220, 0)
    touched = {item["id"]["S"] for item in table.items() if "reindexVersion" in item}
    assert touched == {f"a-{n}" for n in range(30, 250)}


class Lagging:
    """A client whose index still says what it said before: its entries are given by hand."""

    def __init__(self, client: Any, entries: list[dict[str, Any]]) -> None:
        self._client, self._entries = client, entries

    def query(
        self, *, ProjectionExpression: str, ExpressionAttributeNames: dict[str, str], **_: Any
    ) -> dict[str, Any]:
        names = [ExpressionAttributeNames[alias] for alias in ProjectionExpression.split(",")]
        items = [{name: entry[name] for name in names} for entry in self._entries]
        return {"Items": items, "Count": len(self._entries), "ScannedCount": len(self._entries)}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)


def test_a_record_that_moved_is_not_changed_as_the_tenant_it_was(each_engine: Any, make_table: Make) -> None:
    table = make_table(indexes=BY_TENANT)
    entries: list[dict[str, Any]] = [
        {"id": {"S": name}, "tenant": {"S": "acme"}, "at": {"N": "5"}}
        for name in ("stays", "moved", "later", "lost", "gone")
    ]
    table.put(
        entries[0],
        {**entries[1], "tenant": {"S": "globex"}},
        {**entries[2], "at": {"N": "50"}},
        {"id": {"S": "lost"}},
    )
    scope = PartitionScope(
        partition=BY_TENANT["by-tenant"][0],
        sort=BY_TENANT["by-tenant"][1],
        index="by-tenant",
        condition=SortCondition(operator="lt", values=["10"]),
    )
    stale = Table(Lagging(table.client, entries), table.name, table.arn, table.id, table.key)
    tally = _round(stale, scope, [PartitionRange(value="acme")])
    assert tally == Tally(scanned=5, updated=1, filtered=3, vanished=1)
    assert [item["id"]["S"] for item in table.items() if "reindexVersion" in item] == ["stays"]
    assert _behind(stale, scope, ["acme"]) == (1, 0)


def test_an_isolated_record_is_changed_only_where_it_still_is(make_table: Make, dynamodb: Any) -> None:
    table = make_table(indexes=BY_TENANT)
    table.put({"id": {"S": "one"}, "tenant": {"S": "acme"}, "at": {"N": "1"}})
    scope = PartitionScope(
        partition=BY_TENANT["by-tenant"][0], sort=BY_TENANT["by-tenant"][1], index="by-tenant"
    )
    for partition, outcome in (("globex", "filtered"), ("acme", "updated")):
        record = Isolated(key={"id": {"S": "one"}}, partition=partition)
        request = RecordInput(target=table.target(within=scope), record=record)
        assert attempt_record(request, table.calls, FakeContext(Clock())).outcome == outcome


def test_indexes_are_found_by_name(make_table: Make, dynamodb: Any) -> None:
    table = make_table(indexes=BY_TENANT)
    described = describe(table.name, dynamodb)
    with pytest.raises(
        BadInput, match=r"scope\.index: 'by-tenants' is not an index of .*did you mean by-tenant\?"
    ):
        checked_scope(Partitions(kind="partitions", values=["a"], index="by-tenants"), described)
    scope, values = checked_scope(
        Partitions(kind="partitions", values=["a", "a"], index="by-tenant"), described
    )
    assert (scope.partition.name, values) == ("tenant", ["a"])
