"""The judge of comparisons: what it takes for equal, on a real engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from evidence.judge import differences
from tests.tables import Table
from tests.test_compare import DIFFERENT, EQUAL

Make = Callable[..., Table]


def judged(make_table: Make, one: Any, other: Any) -> list[str]:
    tables = make_table(), make_table()
    for table, row in zip(tables, (one, other), strict=True):
        table.put(*([{"id": {"S": "a"}, **row}] if row is not None else []))
    first, second = tables
    return [kind for _, kind in differences(first.client, first.name, second.name, ["left"])]


@pytest.mark.parametrize(("one", "other"), EQUAL, ids=str)
def test_values_are_equal_by_what_they_mean(make_table: Make, one: Any, other: Any) -> None:
    assert judged(make_table, {"x": one, "left": {"N": "1"}}, {"x": other}) == []


@pytest.mark.parametrize(("one", "other"), [case[:2] for case in DIFFERENT], ids=str)
def test_each_difference_is_seen(make_table: Make, one: Any, other: Any) -> None:
    assert judged(make_table, {"x": one}, {"x": other}) == ["different"]


def test_a_row_of_one_table_alone_is_missing_or_extraneous(make_table: Make) -> None:
    assert judged(make_table, {}, None) == ["missing"]
    assert judged(make_table, None, {}) == ["extraneous"]


def test_a_row_of_the_other_table_with_the_mark_counts_as_not_there(make_table: Make) -> None:
    table, other = make_table(), make_table()
    table.put({"id": {"S": "a"}}, {"id": {"S": "b"}})
    other.put(*({"id": {"S": name}, "mark": {"N": "1"}} for name in "ac"), {"id": {"S": "b"}})
    found = list(differences(table.client, table.name, other.name, mark="mark"))
    assert found == [({"id": {"S": "a"}}, "missing")]
