"""Rounds that carry a stream's changes into an index: each at its own order, whatever fails in between."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reindexer.items import Put
from reindexer.models import Progress, Stop
from reindexer.page import Page
from reindexer.rounds.coalescing import Coalescing
from reindexer.rounds.pending_write import PendingWrite
from reindexer.search.documents import GONE, ORDER
from reindexer.streams.changes import Change, ChangeKind
from reindexer.streams.order import floor_of
from reindexer.tally import Outcome, Tally
from tests.driving import FakeContext
from tests.model_followed import FollowedTable, followed_by, held, key_of
from tests.model_index import ModelIndex
from tests.model_stream import KEYS, NOON
from tests.model_table import Killed

pytestmark = pytest.mark.unit

FLOOR = floor_of(7)  # the epoch of the model's target


def test_each_change_is_written_at_its_own_order_and_a_deletion_leaves_a_tombstone() -> None:
    followed, index = FollowedTable(), ModelIndex()
    followed.put(1, 10)
    followed.put(2, 20)
    followed.delete(1)
    result = followed.round(index)
    assert (result.stop, result.progress.tally) == (
        Stop.SLICE,
        Tally(scanned=3, updated=1, deleted=1, superseded=1),
    )
    assert index.stored_documents["k2"] == {ORDER: FLOOR + 3, "id": "k2", "n": 20}
    assert (index.stored_documents["k1"][ORDER], GONE in index.stored_documents["k1"]) == (FLOOR + 4, True)


def test_a_row_of_the_scan_that_comes_after_a_change_does_not_undo_it() -> None:
    followed, index = FollowedTable(), ModelIndex()
    followed.put(1, 10)
    followed.delete(1)
    followed.round(index)
    late = index._write(
        {"_index": "t-7-write", "_id": "k1", "version": FLOOR, "version_type": "external"},
        {ORDER: FLOOR, "n": 10},
        said=True,
    )
    assert (late["status"], held(index)) == (409, {})


def test_a_change_without_its_image_is_written_as_the_row_is_now() -> None:
    followed, index = FollowedTable(images=False), ModelIndex()
    followed.put(1, 10)
    followed.put(2, 20)
    followed.put(2, 21)
    followed.delete(1)
    tally = followed.round(index).progress.tally
    assert held(index) == {"k2": 21}
    assert tally == Tally(scanned=4, updated=1, deleted=1, superseded=2)


def test_of_several_changes_of_a_record_the_newest_is_sent() -> None:
    followed, index = FollowedTable(), ModelIndex()
    for n in range(5):
        followed.put(1, n)
        followed.put(2, n)
    tally = followed.round(index).progress.tally
    assert (tally, held(index)) == (Tally(scanned=10, updated=2, superseded=8), {"k1": 4, "k2": 4})
    assert (index.requests, index.accepted) == (1, {"k1": 1, "k2": 1})


def test_a_change_before_one_that_the_index_refuses_is_sent_after_all() -> None:
    followed, index = FollowedTable(), ModelIndex(refuses={3, 4})
    for n in (1, 2, 3, 4):
        followed.put(1, n)
    progress = followed.round(index).progress
    assert (progress.tally, held(index)) == (
        Tally(scanned=4, updated=1, superseded=1),
        {"k1": 2},
    )
    assert [record.order for record in progress.isolated] == [FLOOR + 4, FLOOR + 5]


def test_a_record_that_is_given_up_does_not_wait_for_the_end_of_a_round_at_rest() -> None:
    """It takes four minutes, and a record is listed, or tried by itself, once it has ended."""
    followed, index = FollowedTable(), ModelIndex(refuses={3})
    followed.put(1, 3)
    followed.put(2, 2)
    began = followed.table.clock.now
    result = followed.round(index, seconds=240.0)
    assert (result.stop, len(result.progress.isolated)) == (Stop.ISOLATED, 1)
    assert result.progress.tally == Tally(scanned=2, updated=1)
    assert result.progress.isolated[0].changed_ms == NOON.timestamp() * 1000
    assert followed.table.clock.now - began < 5
    on = followed.round(index, seconds=240.0, cursor=result.progress.cursor, isolated=True)
    assert (on.stop, on.progress.tally) == (Stop.SLICE, Tally())


def test_changes_further_apart_than_a_batch_are_all_sent() -> None:
    """Else a round that sends no more than one batch would not move on."""
    coalescing = Coalescing[Put](2, lambda: True)
    puts = [PendingWrite(place, key_of(1), Put(place, None, Outcome.DELETED)) for place in range(4)]
    removed = Change(ChangeKind.REMOVE, key_of(1), None, None, NOON, "1", 1, expired=False)
    coalescing.turn_to(Page([], None, lambda _: {}, 0.0, changes=[removed] * 4))
    assert [coalescing.holds(put) for put in puts] == [True, False, True, False]
    assert coalescing.settled(1, Outcome.DELETED) == puts[:1]
    assert coalescing.settled(3, Outcome.DELETED) == puts[2:3]


def test_a_record_that_was_given_up_is_written_as_it_is_now_at_its_own_order() -> None:
    followed, index = FollowedTable(), ModelIndex()
    followed.put(1, 10)
    followed.put(1, 11)
    redriven = followed.redrive(index, 1, FLOOR + 2)
    assert redriven.progress.tally == Tally(scanned=1, updated=1)
    assert index.stored_documents["k1"] == {ORDER: FLOOR + 2, "id": "k1", "n": 11}
    followed.round(index)
    assert index.stored_documents["k1"][ORDER] == FLOOR + 3
    assert followed.redrive(index, 1, FLOOR + 2).progress.tally == Tally(scanned=1, superseded=1)


def test_what_changed_before_the_opening_is_left_to_the_scan_and_counts_in_the_ordinals() -> None:
    followed, index = FollowedTable(), ModelIndex()
    followed.put(1, 10)
    followed.source = followed.source.model_copy(update={"opened_at": NOON + timedelta(minutes=11)})
    result = followed.round(index)
    assert (result.progress.tally, index.requests) == (Tally(), 0)
    assert result.progress.cursor is not None
    assert result.progress.cursor["reading"]["s0"]["position"]["ordinal"] == 2


def test_nothing_is_known_to_be_settled_until_a_minute_of_empty_pages_or_a_change() -> None:
    followed, index = FollowedTable(), ModelIndex()
    assert followed_by(followed.round(index)).through_ms == 0
    followed.put(1, 10)
    known = followed_by(followed.round(index))
    assert known.through_ms == int(NOON.timestamp() * 1000), "as far as the last change"
    assert known.lag_ms == 0, "pages come empty"
    now = int(datetime.now(UTC).timestamp() * 1000)
    minute = known.model_copy(update={"empty_since_ms": now - 61_000, "at_ms": now})
    cursor = {"reading": followed.source.model_dump(mode="json")["reading"]}
    again = FollowedTable().round(index, cursor=cursor, followed=minute)
    assert now - 61_000 <= followed_by(again).through_ms <= now, "of the round before, which has just ended"


#: What a request to the index meets; see `ModelIndex`.
FAULTS = ("", "", "cut", "cut, applied", "killed, applied", "unsaid", "half")
STEPS = st.one_of(
    st.tuples(st.just("put"), st.integers(0, KEYS - 1)),
    st.tuples(st.just("delete"), st.integers(0, KEYS - 1)),
    st.tuples(st.just("split"), st.integers(0, 7)),
    st.tuples(st.just("roll"), st.integers(0, 7)),
    st.tuples(st.just("round"), st.integers(1, 9)),
)


@given(st.lists(STEPS, max_size=25), st.lists(st.sampled_from(FAULTS), max_size=12), st.booleans())
def test_index_and_table_are_equal_and_each_change_is_counted_once(
    steps: list[tuple[str, int]], faults: list[str], images: bool
) -> None:
    followed = FollowedTable(images=images)
    index = ModelIndex(lambda n: faults[n] if n < len(faults) else "")
    done = Progress()
    for number, (what, which) in enumerate(steps):
        match what:
            case "put":
                followed.put(which, number)
            case "delete":
                followed.delete(which)
            case "round":
                done = _carried(followed, index, done, which)
            case _:
                followed.stream.divide(which, split=what == "split")
    changes = len(followed.stream.written)
    for _ in range(2 * len(faults) + 2):  # each may cost one round
        if done.tally.scanned < changes:
            done = _carried(followed, index, done, 0)
    assert held(index) == followed.documents
    assert (done.tally.scanned, done.tally.balanced(0)) == (changes, True)
    applied = sum(done.tally[each] for each in (Outcome.UPDATED, Outcome.DELETED, Outcome.VANISHED))
    # Of a change whose answer was lost, a newer one that landed meanwhile leaves nothing: it is superseded.
    assert applied <= sum(index.accepted.values()) <= applied + done.tally[Outcome.SUPERSEDED]


def _carried(followed: FollowedTable, index: ModelIndex, done: Progress, stop_at: int) -> Progress:
    """One more round, which may be killed, or asked to stop; what is known of both together."""
    context, known = FakeContext(followed.table.clock, stop_at=stop_at or None), None
    with suppress(Killed):
        known = followed.round(index, context, cursor=done.cursor).progress
    known = known or context.delivered
    tally = done.tally + known.tally
    for record in known.isolated:
        assert record.order is not None
        tally = tally + _on_its_own(followed, index, record.key["id"]["S"], record.order)
    return Progress(cursor=known.cursor or done.cursor, tally=tally)


def _on_its_own(followed: FollowedTable, index: ModelIndex, name: str, order: int) -> Tally:
    """A record that kept failing, until it has an outcome."""
    while True:
        with suppress(Killed):
            found = followed.redrive(index, int(name.removeprefix("k")), order).progress
            if not found.isolated and found.tally.scanned:
                return found.tally.model_copy(update={"scanned": 0})  # it is counted where it was isolated
