"""Comparing two tables: exact for any order of the scans, any window, and wherever a round stops or dies."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from reindexer.compare.segment import Bounds
from reindexer.models import Share
from tests.comparing import Comparing, Rows, expected, throttled
from tests.model_table import Killed

#: 0 to 3: a row's content in each table; None: it is not there.
CONTENT = st.sampled_from([None, 0, 0, 0, 1, 2])
TABLES = st.dictionaries(st.integers(0, 400), st.tuples(CONTENT, CONTENT), max_size=80)
ORDERS = st.sampled_from(["", "one", "two"])
PAGES = st.integers(1, 30)


def rows(contents: dict[int, tuple[int | None, int | None]], side: int) -> list[Any]:
    return [
        {"id": {"S": f"row-{number:04}"}, "size": {"N": str(content[side])}}
        for number, content in contents.items()
        if content[side] is not None
    ]


def same(one: Any, two: Any) -> bool:
    return bool(one["size"]["N"] == two["size"]["N"])


def assert_exact(comparing: Comparing) -> None:
    counts, named = expected(comparing.table, comparing.other, same)
    got = comparing.counts
    assert comparing.last is not None
    assert comparing.last.fault is None
    assert got.balanced
    assert (got.scanned, got.other_scanned) == (len(comparing.table.rows), len(comparing.other.rows))
    assert {
        "equal": got.equal,
        "different": got.different,
        "missing": got.missing,
        "extraneous": got.extraneous,
    } == {name: counts[name] for name in ("equal", "different", "missing", "extraneous")}
    assert (got.moving, got.other_moving, got.absent, got.other_absent) == (0, 0, 0, 0)
    assert comparing.found == named


@given(TABLES, ORDERS, ORDERS, PAGES, PAGES, st.integers(1, 40), st.integers(100, 4000), st.integers(0, 3))
def test_every_key_is_judged_once_and_rightly(
    contents: Any, order: str, other: str, page: int, other_page: int, most: int, size: int, unprocessed: int
) -> None:
    table = Rows(rows(contents, 0), order, page, unprocessed=unprocessed)
    beside = Rows(rows(contents, 1), other, other_page, unprocessed=unprocessed)
    assert_exact(Comparing(table, beside, bounds=Bounds(most, size)).run())


@given(
    TABLES,
    ORDERS,
    ORDERS,
    PAGES,
    st.integers(1, 40),
    st.lists(st.tuples(st.sampled_from(["kill", "stop"]), st.integers(1, 40), st.integers(1, 5)), max_size=12),
)
def test_stops_and_crashes_at_any_point_change_no_count(
    contents: Any, order: str, other: str, page: int, most: int, lives: list[tuple[str, int, int]]
) -> None:
    comparing = Comparing(
        Rows(rows(contents, 0), order, page),
        Rows(rows(contents, 1), other, page),
        bounds=Bounds(most, kept_together=3),
    )
    for how, at, delivered_each in lives:
        if comparing.last is None or not comparing.last.done:
            comparing.one_round(**{f"{how}_at": at}, delivered_each=delivered_each)
    assert_exact(comparing.run())


@given(TABLES, ORDERS, ORDERS, PAGES, st.sets(st.integers(1, 60)), st.sets(st.integers(1, 60)))
def test_calls_that_fail_or_kill_change_no_count(
    contents: Any, order: str, other: str, page: int, failing: set[int], killing: set[int]
) -> None:
    def fault(call: int) -> None:
        if call in killing:
            raise Killed
        if call in failing:
            raise throttled()

    table = Rows(rows(contents, 0), order, page, before=fault)
    beside = Rows(rows(contents, 1), other, page, before=fault)
    assert_exact(Comparing(table, beside, bounds=Bounds(20, kept_together=3)).run())


@given(TABLES, ORDERS, ORDERS, st.integers(1, 5), st.integers(1, 20))
def test_a_small_budget_gets_to_the_end_in_short_rounds(
    contents: Any, order: str, other: str, rate: int, most: int
) -> None:
    table, beside = Rows(rows(contents, 0), order), Rows(rows(contents, 1), other)
    share = Share(read_units=rate, other_read_units=2 * rate)
    comparing = Comparing(table, beside, bounds=Bounds(most * 10), share=share, seconds=3.0)
    assert_exact(comparing.run())
