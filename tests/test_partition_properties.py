"""Cutting and reading partitions, with keys of every type: each key once, whatever the cuts and stops."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reindexer.dynamo.table import TableClient
from reindexer.items import from_json_key, number_text
from reindexer.models import (
    KeyAttribute,
    PartitionRange,
    PartitionRanges,
    PartitionScope,
    Share,
    SortCondition,
)
from reindexer.partitions.sort_keys import holds, midpoint, ordered
from reindexer.planning.partitions.cutting import cut
from reindexer.planning.partitions.sizes import Look, Pace, looked_at
from reindexer.sources.partitions import PartitionSource
from reindexer.throttle import Budget
from tests.driving import FakeContext
from tests.model_partitions import ModelPartitions
from tests.model_table import Clock

KEY = ("id", "sort")
KIND = st.sampled_from(["S", "N", "B"])
_TEXTS = {
    # Letters near each other, ends of the alphabet, and what sorts differently as UTF-16.
    "S": st.text(st.sampled_from(["a", "b", "\x00", "0", "9", "é", "\ud7ff", "\uffff", "\U0001f600"]),
                 min_size=1, max_size=6),
    "N": st.one_of(
        st.integers(-30, 30).map(str),
        st.integers(-(10**38) + 1, 10**38 - 1).map(str),
        st.decimals(-5, 5, places=3).map(lambda number: number_text(number)),
        st.sampled_from(["1E-130", "-1E-130", "9.9E+125", "-9.9E+125", "0"]),
    ).map(lambda text: number_text(Decimal(text))),
    "B": st.binary(min_size=1, max_size=6).map(lambda content: base64.b64encode(content).decode()),
}  # fmt: skip
OPERATORS: Sequence[Any] = ("eq", "lt", "lte", "gt", "gte", "begins_with", "between")


@st.composite
def scopes(draw: st.DrawFn, kind: str) -> SortCondition | None:
    operator = draw(st.sampled_from([None, *(o for o in OPERATORS if kind != "N" or o != "begins_with")]))
    if operator is None:
        return None
    values = [draw(_TEXTS[kind]) for _ in range(2 if operator == "between" else 1)]
    return SortCondition(operator=operator, values=sorted(values, key=lambda text: ordered(kind, text)))


def wire(kind: str, text: str) -> dict[str, Any]:
    return from_json_key({"k": {kind: text}})["k"]


def rows_of(kind: str, keys: Sequence[str], partition: str = "acme") -> list[dict[str, Any]]:
    return [{"id": {"S": partition}, "sort": wire(kind, text)} for text in keys]


def scope_of(kind: Any, condition: SortCondition | None = None, **more: Any) -> PartitionScope:
    return PartitionScope(
        partition=KeyAttribute(name="id", type="S"),
        sort=KeyAttribute(name="sort", type=kind),
        condition=condition,
        **more,
    )


def read(
    model: ModelPartitions, scope: PartitionScope, ranges: Sequence[PartitionRange], stops: Sequence[int] = ()
) -> list[dict[str, Any]]:
    """All rows of a source; after each number of rows in `stops` it is begun again, from its cursor."""
    context = FakeContext(Clock())
    key = [KeyAttribute(name=name, type="S" if scope.index else sort_type(scope, name)) for name in KEY]
    cursor, found = None, []
    for stop in [*stops, None]:
        named = PartitionRanges(ranges=list(ranges))
        source = PartitionSource(TableClient(model, "t"), scope, named, key, None, {}, context)  # type: ignore[arg-type]
        left = stop
        for page in source.pages(cursor, 0, Budget(Share(), context)):
            taken = page.rows[:left]
            found += taken
            cursor = page.cursor_after(len(taken) - 1) if taken else cursor
            if len(taken) == len(page.rows):
                if page.next_cursor is None:
                    return found
                cursor = page.next_cursor
            if left is not None and (left := left - len(taken)) <= 0:
                break
        cursor = json.loads(json.dumps(cursor))  # as it travels
    return found


def sort_type(scope: PartitionScope, name: str) -> Any:
    return scope.sort.type if scope.sort and name == scope.sort.name else "S"


@given(st.data(), KIND)
def test_a_midpoint_lies_above_the_low_and_not_above_the_high(data: st.DataObject, kind: str) -> None:
    two = data.draw(st.lists(_TEXTS[kind], min_size=2, max_size=2, unique_by=lambda text: ordered(kind, text)))
    low, high = sorted(two, key=lambda text: ordered(kind, text))
    middle = midpoint(kind, low, high)
    assert ordered(kind, low) < ordered(kind, middle) <= ordered(kind, high)  # type: ignore[operator]


@given(st.data(), KIND, st.integers(2, 12), st.integers(1, 7))
def test_every_key_is_read_once_however_a_partition_is_cut(
    data: st.DataObject, kind: str, parts: int, page_rows: int
) -> None:
    keys = data.draw(st.lists(_TEXTS[kind], max_size=30, unique_by=lambda text: ordered(kind, text)))
    condition = data.draw(scopes(kind))
    scope = scope_of(kind, condition)
    model = ModelPartitions(rows_of(kind, keys), ["id", "sort"], page_rows=page_rows)

    made = cut(PartitionRange(value="acme"), kind, parts, Sees(model, scope, data))  # type: ignore[arg-type]
    assert len(made) <= parts
    # Written since: into gaps, and at both ends.
    later = data.draw(st.lists(_TEXTS[kind], max_size=5))
    every = {ordered(kind, text): text for text in [*keys, *later]}
    model.rows[:] = rows_of(kind, list(every.values()))

    ranges = data.draw(st.permutations([part for part, _ in made]))
    stops = data.draw(st.lists(st.integers(1, 9), max_size=6))
    found = [row["sort"] for row in read(model, scope, ranges, stops)]

    expected = [text for value, text in every.items() if condition is None or holds(condition, kind, value)]
    assert sorted(map(str, found)) == sorted(str(wire(kind, text)) for text in expected)


class Sees:
    """What planning sees, by its own queries; the size of a part is as large as it pleases."""

    def __init__(self, model: ModelPartitions, scope: PartitionScope, data: st.DataObject) -> None:
        calls = TableClient(model, "t")  # type: ignore[arg-type]
        self._look = Look(calls, scope, Pace(None), time.monotonic() + 60)  # seconds: no test takes as long
        self._data = data
        self.first, self.last, self.at_or_above = self._look.first, self._look.last, self._look.at_or_above

    def size(self, part: PartitionRange) -> tuple[int | None, bool]:
        return self._look.size(part)[0], self._data.draw(st.booleans())


@given(st.data(), KIND, st.integers(1, 7))
def test_of_an_index_with_equal_sort_keys_every_row_is_read_once(
    data: st.DataObject, kind: str, page_rows: int
) -> None:
    """Any cut is a boundary between values, never between two rows of one value."""
    at = data.draw(st.lists(_TEXTS[kind], min_size=1, max_size=4))
    rows = [
        {"id": {"S": f"row-{number}"}, "sort": {"S": "x"}, "tenant": {"S": "acme"}, "at": wire(kind, text)}
        for number, text in enumerate(data.draw(st.lists(st.sampled_from(at), max_size=20)))
    ]
    sparse = [{"id": {"S": "no"}, "sort": {"S": "x"}, "tenant": {"S": "acme"}}]
    model = ModelPartitions([*rows, *sparse], ["id", "sort"], ["tenant", "at"], page_rows=page_rows)
    scope = PartitionScope(
        partition=KeyAttribute(name="tenant", type="S"),
        sort=KeyAttribute(name="at", type=kind),
        index="by-tenant",
        condition=data.draw(scopes(kind)),
    )
    made = cut(PartitionRange(value="acme"), kind, 5, Sees(model, scope, data))  # type: ignore[arg-type]

    stops = data.draw(st.lists(st.integers(1, 5), max_size=4))
    found = read(model, scope, [part for part, _ in made], stops)

    expected = [
        row["id"]["S"] for row in rows
        if scope.condition is None or holds(scope.condition, kind, _value(kind, row["at"]))
    ]  # fmt: skip
    assert sorted(row["id"]["S"] for row in found) == sorted(expected)


def _value(kind: str, value: dict[str, Any]) -> Any:
    [content] = value.values()
    return Decimal(content) if kind == "N" else content


@pytest.mark.parametrize(
    "keys",
    [
        [f"2024-{day // 28 + 1:02}-{day % 28 + 1:02}T{hour:02}" for day in range(336) for hour in range(12)],
        [f"row-{number:06}" for number in range(5000)],
        [f"{number * 2654435761 % 2**32:08x}" for number in range(5000)],
    ],
    ids=["dates", "numbered", "hashes"],
)  # fmt: skip
def test_a_huge_partition_is_cut_into_parts_of_like_size(keys: list[str]) -> None:
    model = ModelPartitions(rows_of("S", keys), ["id", "sort"], page_rows=10**6)
    calls = TableClient(model, "t")  # type: ignore[arg-type]
    sizes = looked_at(calls, scope_of("S"), ["acme", "none"], wanted=400, most_parts=32, rate=None)
    parts = [part for part, _ in sizes.ranges if part.value == "acme"]
    assert [part.rows for part, _ in sizes.ranges if part.value == "none"] == [0]
    assert sizes.warnings == []
    counts = [
        sum(
            (part.first is None or key >= part.first) and (part.before is None or key < part.before)
            for key in keys
        )
        for part in parts
    ]
    assert sum(counts) == len(keys)
    assert max(counts) <= 1000, "as small as it is worth while"
    assert len(parts) <= 32
    assert model.queries < 200
