"""Comparing two tables: what counts as equal, what counts as there, and rows that change meanwhile."""

from __future__ import annotations

import gc
from typing import Any

import pytest

from reindexer.compare.describing import described
from reindexer.compare.rows import Rules
from reindexer.compare.segment import Bounds
from reindexer.compare.window import Row
from reindexer.models import Clusters, Comparison, Counts, ShardState
from tests.comparing import NOW, Comparing, Rows

RULES = Rules((), ())
DIGITS = "1234567890" * 3 + "12345678"  # 38, the most that DynamoDB keeps
NESTED: Any = {"M": {"a.b": {"L": [{"NS": ["1", "2.50"]}, {"NULL": True}]}}}

EQUAL: list[tuple[Any, Any]] = [
    ({"N": "1.0"}, {"N": "1"}),
    ({"N": "1E2"}, {"N": "100"}),
    ({"N": "-0"}, {"N": "0"}),
    ({"N": DIGITS}, {"N": DIGITS + ".0"}),
    ({"SS": ["a", "b"]}, {"SS": ["b", "a"]}),
    ({"NS": ["1", "2"]}, {"NS": ["2.0", "1.00"]}),
    ({"BS": [b"\x00", b"\xff"]}, {"BS": [b"\xff", b"\x00"]}),
    ({"B": b"\x00a"}, {"B": bytearray(b"\x00a")}),
    (NESTED, {"M": {"a.b": {"L": [{"NS": ["2.5", "1.0"]}, {"NULL": True}]}}}),
    ({"L": []}, {"L": []}),
]
#: With the path, and what is shown of both.
DIFFERENT: list[tuple[Any, Any, str, str, str]] = [
    ({"N": DIGITS}, {"N": DIGITS[:-1] + "9"}, "x", f'{{"N": "{DIGITS}"}}', f'{{"N": "{DIGITS[:-1]}9"}}'),
    ({"N": "1"}, {"S": "1"}, "x", '{"N": "1"}', '{"S": "1"}'),
    ({"S": ""}, {"NULL": True}, "x", '{"S": ""}', '{"NULL": true}'),
    ({"BOOL": False}, {"N": "0"}, "x", '{"BOOL": false}', '{"N": "0"}'),
    ({"B": b"\x00"}, {"B": b"\x01"}, "x", '{"B": "AA=="}', '{"B": "AQ=="}'),
    ({"SS": ["a", "b"]}, {"SS": ["b", "c"]}, "x", '{"SS": ["a"]}', '{"SS": ["c"]}'),
    ({"NS": ["1"]}, {"SS": ["1"]}, "x", '{"NS": ["1"]}', '{"SS": ["1"]}'),
    (
        NESTED,
        {"M": {"a.b": {"L": [{"NS": ["1", "3"]}, {"NULL": True}]}}},
        'x."a.b"[0]',
        '{"NS": ["2.50"]}',
        '{"NS": ["3"]}',
    ),
    ({"L": [{"S": "a"}, {"S": "b"}]}, {"L": [{"S": "a"}, {"S": "c"}]}, "x[1]", '{"S": "b"}', '{"S": "c"}'),
    ({"M": {"0": {"N": "0"}}}, {"M": {"0": {"BOOL": False}}}, 'x."0"', '{"N": "0"}', '{"BOOL": false}'),
]


@pytest.mark.parametrize(("one", "other"), EQUAL, ids=str)
def test_values_are_equal_by_what_they_mean(one: Any, other: Any) -> None:
    assert RULES.equal({"x": one}, {"x": other})
    assert described({"x": one}, {"x": other}) == ([], 0)


@pytest.mark.parametrize(("one", "other", "path", "table", "beside"), DIFFERENT, ids=str)
def test_a_difference_is_named_by_its_path(one: Any, other: Any, path: str, table: str, beside: str) -> None:
    assert not RULES.equal({"x": one}, {"x": other})
    [found], more = described({"x": one}, {"x": other})
    assert (found.path, found.table, found.other, more) == (path, table, beside, 0)


def test_an_attribute_that_one_item_lacks_is_a_difference() -> None:
    [found], _ = described({"a": {"S": "x"}}, {})
    assert (found.path, found.table, found.other) == ("a", '{"S": "x"}', None)
    [found], _ = described({"L": {"L": []}}, {"L": {"L": [{"N": "1"}]}})
    assert (found.path, found.table, found.other) == ("L[0]", None, '{"N": "1"}')


def test_what_is_shown_is_bounded_and_shows_where_long_values_part() -> None:
    one: Any = {f"a{n}": {"S": "x" * 400_000 + "1" + "y" * 9000} for n in range(30)}
    other: Any = {f"a{n}": {"S": "x" * 400_000 + "2" + "y" * 9000} for n in range(30)}
    found, more = described(one, other)
    assert (len(found), more) == (20, 10)
    assert found[0].table is not None
    assert found[0].other is not None
    assert "x1y" in found[0].table
    assert "x2y" in found[0].other
    assert len(found[0].table.encode()) <= 200


def row(number: int, **more: Any) -> Any:
    return {"id": {"S": f"row-{number:06}"}, **more}


def test_left_out_attributes_are_not_compared() -> None:
    table = Rows([row(1, v={"N": "1"}, reindexVersion={"N": "7"}), row(2, v={"N": "1"})])
    other = Rows([row(1, v={"N": "1"}, reindexOrder={"N": "5"}), row(2, v={"N": "2"})])
    counts = Comparing(table, other, left_out=("reindexVersion",)).run().counts
    assert (counts.equal, counts.different) == (1, 1)
    counts = Comparing(table, other, left_out=("reindexVersion", "v")).run().counts
    assert (counts.equal, counts.different) == (2, 0)


def test_expired_rows_and_tombstones_count_as_absent_on_either_side() -> None:
    past: Any = {"N": str(int(NOW) - 1)}
    gone: Any = {"N": "1"}
    table = Rows([row(1, ends=past), row(2, ends=past), row(3), row(4, reindexGone=gone), row(5)])
    other = Rows([row(1, ends=past), row(2), row(3, ends=past), row(5, reindexGone=gone), row(6, ends=past)])
    comparing = Comparing(table, other, expiries=("ends",)).run()
    counts = comparing.counts
    assert (counts.scanned, counts.absent, counts.missing, counts.equal) == (5, 3, 2, 0)
    assert (counts.other_scanned, counts.other_absent, counts.extraneous) == (5, 4, 1)
    assert list(comparing.found.values()).count("extraneous") == 1


def test_numbers_are_one_key_however_they_are_written() -> None:
    table = Rows([{"id": {"N": "1"}}, {"id": {"N": "20"}}], "x")
    other = Rows([{"id": {"N": "1.0"}}, {"id": {"N": "2E1"}}], "y", page=1)
    counts = Comparing(table, other, kind="N", bounds=Bounds(rows=1)).run().counts
    assert (counts.equal, counts.missing, counts.extraneous) == (2, 0, 0)


def test_number_keys_that_differ_in_the_38th_digit_are_two_keys() -> None:
    table, other = Rows([{"id": {"N": DIGITS}}]), Rows([{"id": {"N": f"{DIGITS[:-1]}9"}}])
    counts = Comparing(table, other, kind="N").run().counts
    assert (counts.equal, counts.missing, counts.extraneous) == (0, 1, 1)


def test_an_attempt_that_may_have_a_successor_keeps_and_covers_nothing_more() -> None:
    comparing = Comparing(Rows([row(1)]), Rows([row(2)]))
    comparing.stale = True
    comparing.one_round()
    assert (comparing.kept, comparing.state.chunks, comparing.counts.scanned) == ({}, 0, 0)
    comparing.stale = False
    counts = comparing.run().counts
    assert (counts.missing, counts.extraneous) == (1, 1)


def test_a_row_that_comes_and_one_that_goes_while_it_is_looked_at_are_judged_as_they_are_last() -> None:
    """Between the two reads of the row; a verdict by the first of them would be wrong."""
    table, other = Rows([row(1, v={"N": "1"})]), Rows([row(1, v={"N": "2"})])

    def change(call: int) -> None:
        if call == 2:  # the sandwich's read of the other table: its counterpart changed with the row
            table.rows["row-000001"] = row(1, v={"N": "2"})

    other._before = change
    counts = Comparing(table, other).run().counts
    assert (counts.equal, counts.different) == (1, 0)


def test_a_row_that_never_holds_still_is_moving_and_counted_once() -> None:
    table, other = Rows([row(1), row(2, v={"N": "0"})]), Rows([row(1), row(2, v={"N": "-1"})])

    def write(call: int) -> None:
        table.rows["row-000002"] = row(2, v={"N": str(call)})

    table._before = write
    comparing = Comparing(table, other).run()
    counts = comparing.counts
    assert (counts.equal, counts.moving, counts.different, counts.matched) == (1, 1, 0, 2)
    assert list(comparing.found.values()) == ["moving"]


def test_a_copy_that_catches_up_while_it_is_looked_at_is_no_difference() -> None:
    table, other = Rows([row(1, v={"N": "2"})]), Rows([row(1, v={"N": "1"})])

    def catch_up(call: int) -> None:
        if call == 2:  # the sandwich's own read
            other.rows["row-000001"] = row(1, v={"N": "2"})

    other._before = catch_up
    counts = Comparing(table, other).run().counts
    assert (counts.equal, counts.different) == (1, 0)


@pytest.mark.parametrize("window", [1, 2000])
def test_a_row_deleted_meanwhile_is_the_other_tables_to_judge(window: int) -> None:
    table, other = Rows([row(1, v={"N": "1"}), row(2)], page=1), Rows([row(1, v={"N": "2"}), row(2)], page=1)

    def delete(call: int) -> None:
        if call == 2:
            del table.rows["row-000001"]

    table._before = delete
    comparing = Comparing(table, other, bounds=Bounds(rows=window)).run()
    counts = comparing.counts
    assert (counts.scanned, counts.equal, counts.absent) == (2, 1, 1)
    assert (counts.other_scanned, counts.matched, counts.extraneous) == (2, 1, 1)
    assert counts.balanced


def test_tables_scanned_in_one_order_are_read_once() -> None:
    every = [row(number) for number in range(5000)]
    table, other = Rows(every, page=700), Rows(every, page=300)
    counts = Comparing(table, other).run().counts
    assert (counts.equal, table.read, other.read) == (5000, 5000, 5000)


@pytest.mark.parametrize("orders", [("", ""), ("one", "two")])
def test_rows_in_memory_are_bounded_whatever_differs(orders: tuple[str, str]) -> None:
    """Every row differs; the scans go by one order, or by two."""
    held: list[int] = []

    def count(call: int) -> None:
        if call % 10 == 0:
            held.append(sum(isinstance(thing, Row) for thing in gc.get_objects()))

    sides = [
        Rows([row(number, v={"S": letter * 100}) for number in range(3_000)], order, page=100, before=count)
        for letter, order in zip("ab", orders, strict=True)
    ]
    gc.freeze()  # what is there already need not be looked through
    try:
        comparing = Comparing(sides[0], sides[1], bounds=Bounds(rows=100, kept_together=50), keeps=False).run()
    finally:
        gc.unfreeze()
    assert comparing.counts.different == 3_000
    assert 0 < max(held) <= 2 * (100 + 100), "of each side a window and a page"


def test_counts_of_a_comparison_travel_whole() -> None:
    names = Comparison.model_fields.keys() - {"clusters"}
    compared = Comparison(**dict.fromkeys(names, 3), clusters=Clusters.of_segment(5, 2))
    for each in (Counts(compared=compared), ShardState(compared=compared, chunks=3)):
        assert type(each).model_validate_json(each.model_dump_json()) == each
    assert ShardState(compared=compared, chunks=3).summary.chunks == 3
    assert "compared" not in Counts().model_dump()
    assert "compared" not in ShardState().model_dump()


def test_a_second_look_leaves_of_the_differences_what_it_still_finds() -> None:
    first = Comparison(
        scanned=100, equal=90, different=6, missing=3, absent=1,
        other_scanned=99, matched=96, extraneous=2, other_moving=1,
    )  # fmt: skip
    again = Comparison(scanned=10, equal=8, different=1, absent=1, other_scanned=9, matched=9)
    unnamed = Comparison(other_scanned=2, extraneous=1, other_moving=1)
    left = first.with_second_look(again, unnamed)
    assert left.balanced
    assert (left.equal, left.different, left.missing, left.absent) == (98, 1, 0, 1)
    assert (left.extraneous, left.other_moving, left.matched) == (1, 1, 97)
    # A key that only the index had, and that the table has by now.
    assert Comparison().with_second_look(Comparison(scanned=1, missing=1), Comparison()).balanced
