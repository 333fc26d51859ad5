"""Comparing named keys and samples: exact wherever a round stops or dies; a difference that lasts."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reindexer.compare.segment import Bounds
from reindexer.items import key_text
from reindexer.models import Clusters, KeyList, SampledSegments, Share
from tests.comparing import Comparing, Rows, expected, segment_of, throttled
from tests.model_table import Killed
from tests.test_compare import row
from tests.test_compare_properties import ORDERS, PAGES, TABLES, rows, same

LIVES = st.lists(
    st.tuples(st.sampled_from(["kill", "stop"]), st.integers(1, 30), st.integers(1, 4)), max_size=10
)


def named(numbers: Any) -> KeyList:
    return KeyList(keys=[{"id": {"S": f"row-{number:04}"}} for number in numbers])


def live(comparing: Comparing, lives: Any) -> Comparing:
    for how, at, delivered_each in lives:
        if comparing.last is None or not comparing.last.done:
            comparing.one_round(**{f"{how}_at": at}, delivered_each=delivered_each)
    return comparing.run()


def within(table: Rows, keys: set[str]) -> Rows:
    return Rows([item for item in table.rows.values() if item["id"]["S"] in keys])


@given(TABLES, st.sets(st.integers(0, 400), max_size=40), st.integers(0, 3), LIVES)
def test_each_named_key_is_counted_once_and_no_other(
    contents: Any, more: set[int], unprocessed: int, lives: Any
) -> None:
    numbers = [*more, *[number for number in contents if number % 3 and number not in more]]
    table = Rows(rows(contents, 0), unprocessed=unprocessed)
    other = Rows(rows(contents, 1), unprocessed=unprocessed)
    comparing = live(Comparing(table, other, source=named(numbers), bounds=Bounds(kept_together=3)), lives)
    keys = {f"row-{number:04}" for number in numbers}
    here, there = within(table, keys), within(other, keys)
    counts, kinds = expected(here, there, same)
    got = comparing.counts
    assert got.balanced
    assert (got.scanned, got.other_scanned) == (len(numbers), len(there.rows))
    assert [got.equal, got.different, got.missing, got.extraneous] == [
        counts[kind] for kind in ("equal", "different", "missing", "extraneous")
    ]
    assert got.absent == len(numbers) - len(here.rows)
    assert comparing.found == kinds


def test_named_keys_get_to_the_end_in_short_rounds_with_a_small_budget() -> None:
    every = [row(number) for number in range(300)]
    comparing = Comparing(
        Rows(every), Rows(every[:200]), seconds=2.0, share=Share(read_units=3, other_read_units=5),
        source=KeyList(keys=[{"id": one["id"]} for one in every]),
    ).run(most=1000)  # fmt: skip
    assert (comparing.counts.equal, comparing.counts.missing) == (200, 100)
    assert comparing.rounds > 3


@given(TABLES, ORDERS, ORDERS, PAGES, st.integers(1, 60), st.integers(1, 5), LIVES, st.sampled_from([0.0, 2.0]))
def test_a_samples_segments_are_read_whole_on_both_sides(
    contents: Any, order: str, other: str, page: int, enough: int, at_least: int, lives: Any, lag: float
) -> None:
    sample = SampledSegments(segments=[7, 3, 11, 0, 5, 9, 2], total=12, enough=enough, at_least=at_least)
    table, beside = Rows(rows(contents, 0), order, page), Rows(rows(contents, 1), other, page)
    comparing = Comparing(table, beside, source=sample, bounds=Bounds(5, kept_together=2), lag=lag)
    got = live(comparing, lives).counts
    read = sample.segments[: got.clusters.segments]
    clusters, kinds = Clusters(), dict[str, str]()
    for segment in read:
        keys = {str(key) for key in table.rows.keys() | beside.rows.keys() if segment_of(key, 12) == segment}
        counts, found = expected(within(table, keys), within(beside, keys), same)
        clusters += Clusters.of_segment(counts.total(), len(found))
        kinds |= found
    assert got.balanced
    assert got.clusters == clusters
    assert comparing.found == kinds
    assert got.scanned == sum(segment_of(key, 12) in read for key in table.rows)
    assert got.other_scanned == sum(segment_of(key, 12) in read for key in beside.rows)
    assert len(read) == len(sample.segments) or (clusters.keys >= enough and len(read) >= at_least)


def test_a_sample_ends_where_it_has_enough() -> None:
    every = [row(number) for number in range(1000)]
    sample = SampledSegments(segments=list(range(100)), total=100, enough=200, at_least=10)
    got = Comparing(Rows(every), Rows(every), source=sample).run().counts
    assert 200 <= got.clusters.keys < 260
    assert got.clusters.segments < 30
    assert got.equal == got.scanned == got.clusters.keys


@given(TABLES, ORDERS, st.integers(1, 40), LIVES, st.sets(st.integers(1, 40)), st.sets(st.integers(1, 40)))
def test_with_a_lag_tables_that_hold_still_are_judged_as_without(
    contents: Any, order: str, most: int, lives: Any, failing: set[int], killing: set[int]
) -> None:
    def fault(call: int) -> None:
        if call in killing:
            raise Killed
        if call in failing:
            raise throttled()

    table, other = Rows(rows(contents, 0), order, 7, before=fault), Rows(rows(contents, 1), "two", 9)
    comparing = live(Comparing(table, other, bounds=Bounds(most, kept_together=3), lag=60.0), lives)
    counts, kinds = expected(table, other, same)
    assert comparing.found == kinds
    assert comparing.counts.balanced
    assert comparing.counts.equal == counts["equal"]


class Copy:
    """A table and a copy of it that `follows` so many seconds later."""

    def __init__(self, follows: float, **options: Any) -> None:
        self.table, self.copy = Rows([row(n, v={"N": "0"}) for n in range(50)]), Rows([])
        self.copy.rows = dict(self.table.rows)
        self.comparing = Comparing(self.table, self.copy, **options)
        self._follows, self._due = follows, list[tuple[float, str, Any]]()
        self.copy._before = lambda _: self._catch_up()

    def write(self, key: str, item: Any) -> None:
        self.table.rows.pop(key, None)
        if item is not None:
            self.table.rows[key] = item
        self._due.append((self.comparing.clock.now + self._follows, key, item))

    def _catch_up(self) -> None:
        now = self.comparing.clock.now
        for due, key, item in [each for each in self._due if each[0] <= now]:
            self.copy.rows.pop(key, None)
            if item is not None:
                self.copy.rows[key] = item
            self._due.remove((due, key, item))


def test_what_the_copy_catches_up_with_within_the_lag_is_no_difference() -> None:
    for lag, differences in ((0.0, 3), (20.0, 0)):
        late = Copy(15.0, lag=lag)
        late.write("row-000001", row(1, v={"N": "1"}))
        late.write("row-000002", None)
        late.write("row-000100", row(100))
        counts = late.comparing.run().counts
        assert sum(counts.differences.values()) == differences
        assert counts.balanced


def test_what_differs_for_longer_than_the_lag_is_a_difference_and_one_wait_serves_all() -> None:
    late = Copy(1e9, lag=30.0, seconds=10.0)
    for number in range(0, 50, 2):
        late.write(f"row-{number:06}", row(number, v={"N": "1"}))
    begun = late.comparing.clock.now
    counts = late.comparing.run().counts
    assert (counts.different, counts.equal) == (25, 25)
    assert 30 <= late.comparing.clock.now - begun < 40
    assert late.comparing.rounds <= 2, "a round lasts beyond its slice rather than wait again in the next"


@pytest.mark.parametrize("source", [None, KeyList(keys=[{"id": row(1)["id"]}])])
def test_a_row_that_is_written_faster_than_the_copy_follows_is_moving(source: Any) -> None:
    late = Copy(1e9, lag=30.0)
    if source is not None:
        late.comparing.source = source
    late.table._before = lambda _: late.write("row-000001", row(1, v={"N": str(late.comparing.clock.now)}))
    counts = late.comparing.run().counts
    assert (counts.moving, counts.different) == (1, 0)
    assert list(late.comparing.found.values()) == ["moving"]


def test_a_stop_while_it_waits_for_the_lag_is_followed_at_once() -> None:
    late = Copy(1e9, lag=300.0)
    late.write("row-000001", row(1, v={"N": "1"}))
    begun = late.comparing.clock.now
    late.comparing.one_round(stop_at=6)
    assert late.comparing.last is not None
    assert not late.comparing.last.done
    assert late.comparing.counts.different == 0
    assert late.comparing.clock.now - begun <= 301
    assert late.comparing.run().found == {key_text({"id": row(1)["id"]}): "different"}
