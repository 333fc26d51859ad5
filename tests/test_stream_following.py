"""Following several lineages in turn: into their descendants, from any cursor, past what fails."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from itertools import islice
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from reindexer.answers import CallFailed
from reindexer.models.streams import LineageCursor
from reindexer.streams.changes import Change
from reindexer.streams.client import StreamCalls
from reindexer.streams.following import Following, LineagePage
from reindexer.streams.order import applies, order_of
from tests.model_stream import EPOCH, NOON, ModelStream, Waiting, begun, from_root, write_all


def following(stream: ModelStream, context: Waiting | None = None, **more: Any) -> Following:
    more = {"opening": None, "limit": 2, **more}
    return Following(StreamCalls(stream, "arn"), context or Waiting(), clock=lambda: NOON, **more)


def numbers(pages: Iterable[LineagePage]) -> list[int]:
    return [int(change.sequence_number) for page in pages for change in page.changes]


def whole(stream: ModelStream, cursor: LineageCursor, **more: Any) -> list[LineagePage]:
    return list(following(stream, **more).pages(cursor))


def test_it_goes_on_into_descendants_by_itself() -> None:
    stream, cursor = from_root()
    pages = whole(stream, cursor)
    assert sorted(numbers(pages)) == sorted(stream.written)
    assert set(pages[-1].cursor.reading) == {name for name, shard in stream.shards.items() if shard.open}
    assert set(pages[-1].cursor.ended) == {name for name, shard in stream.shards.items() if not shard.open}


def test_shards_are_read_in_turn() -> None:
    stream, cursor = from_root()
    shards = [page.shard for page in whole(stream, cursor) if page.changes]
    assert shards[:4] == ["s0"] * 4, "its children wait for it"
    assert shards[4:8] == ["s1", "s2", "s1", "s2"]


@given(st.data())
def test_from_the_cursor_after_any_change_the_rest_comes_with_the_same_ordinals(data: st.DataObject) -> None:
    stream, cursor = from_root()
    limit = data.draw(st.integers(1, 9))
    ordinals = _ordinals(change for page in whole(stream, cursor, limit=limit) for change in page.changes)
    assert len(ordinals) == len(stream.written)
    seen: set[int] = set()
    for _ in range(data.draw(st.integers(1, 4))):  # attempts, each of which is lost somewhere
        pages = following(stream, limit=data.draw(st.integers(1, 9))).pages(cursor)
        for page in islice(pages, data.draw(st.integers(0, 12))):
            settled = data.draw(st.integers(0, len(page.changes)))
            now = _ordinals(page.changes[:settled])
            assert not seen & now.keys(), "handed out again though the cursor had passed it"
            seen |= now.keys()
            assert now.items() <= ordinals.items()
            if settled < len(page.changes):
                cursor = page.cursor_after(settled - 1) if settled else page.before
                break
            cursor = page.cursor
    seen |= set(numbers(whole(stream, LineageCursor.model_validate_json(cursor.model_dump_json()))))
    assert seen == ordinals.keys()


def _ordinals(changes: Iterable[Change]) -> dict[int, int]:
    return {int(change.sequence_number): change.ordinal for change in changes}


def test_a_destination_by_order_ends_with_the_newest_of_each_key_whatever_is_sent_again() -> None:
    stream, cursor = from_root()
    stored: dict[str, tuple[int, int]] = {}
    for page in whole(stream, cursor) + whole(stream, cursor, limit=5):
        for change in page.changes:
            order = order_of(EPOCH, change.ordinal)
            key = change.key["id"]["N"]
            if applies(order, stored.get(key, (None, 0))[0]):
                stored[key] = order, int(change.sequence_number)
    newest = {str(written.key): number for number, written in sorted(stream.written.items())}
    assert {key: number for key, (_, number) in stored.items()} == newest


@pytest.mark.parametrize(("minutes", "sent"), [(9, 24), (11, 0)])
def test_what_lies_before_the_opening_counts_and_is_not_handed_out(minutes: int, sent: int) -> None:
    stream, cursor = from_root()
    pages = whole(stream, cursor, opening=NOON + timedelta(minutes=minutes))
    assert len(numbers(pages)) == sent
    reached = {shard: reading.position.ordinal for shard, reading in pages[-1].cursor.reading.items()}
    everything = {
        shard: reading.position.ordinal for shard, reading in whole(*from_root())[-1].cursor.reading.items()
    }
    assert reached == everything


def throttled() -> ClientError:
    return ClientError({"Error": {"Code": "LimitExceededException", "Message": "a third reader"}}, "GetRecords")


def test_a_shard_that_is_throttled_is_passed_over_while_others_answer() -> None:
    stream, cursor = from_root()
    stream.failing["s1"] = throttled()
    read = list(following(stream, Waiting(20)).pages(cursor))
    assert {page.shard for page in read if page.changes} == {"s0", "s2"}
    del stream.failing["s1"]
    read += following(stream).pages(read[-1].cursor)
    assert sorted(numbers(read)) == sorted(stream.written)


def test_where_no_shard_answers_whoever_asks_is_to_wait() -> None:
    stream, cursor = from_root()
    stream.failing["s0"] = throttled()
    context, follow = Waiting(), following(stream)
    for _ in range(3):  # each time at once: the wait is not doubled here
        with pytest.raises(CallFailed, match="a third reader"):
            list(follow.pages(cursor))
    assert context.passed == 0
    stream.failing.clear()
    assert sorted(numbers(follow.pages(cursor))) == sorted(stream.written)


def test_a_shard_that_fails_for_seconds_is_named_although_others_answer() -> None:
    stream, cursor = from_root()
    context = Waiting(30)
    follow = following(stream, context)
    stream.failing["s1"] = throttled()
    seen = [
        (context.passed, failing)
        for page in follow.pages(cursor)
        if (failing := follow.failing.longest(page.cursor.reading, None, context.passed))
    ]
    first, last = seen[0], seen[-1]
    assert 5 <= first[0] < 8
    assert {failing.shard for _, failing in seen} == {"s1"}
    assert last[1].since_ms == first[1].since_ms
    assert (last[1].throttled, last[1].known) == (True, True)
    assert "a third reader" in last[1].sentence
    before = last[1].model_copy(update={"since_ms": 7})
    again = follow.failing.longest(["s1"], before, context.passed)
    assert again is not None
    assert again.since_ms == 7, "since a round before this one"
    assert follow.failing.longest(["s2"], None, context.passed) is None


def test_what_is_trimmed_ends_it_at_once() -> None:
    stream, cursor = from_root()
    error: Any = {"Error": {"Code": "TrimmedDataAccessException", "Message": "too late"}}
    stream.failing["s0"] = ClientError(error, "GetRecords")
    context = Waiting()
    with pytest.raises(CallFailed, match="StreamTrimmed"):
        list(following(stream, context).pages(cursor))
    assert context.passed == 0


def test_the_second_of_two_children_may_be_listed_late() -> None:
    stream = ModelStream()
    stream.divide(0, split=True)
    write_all(stream)
    stream.hidden = {"s2"}

    def show(passed: float) -> None:
        if passed > 10:
            stream.hidden = set()

    cursor = begun(ModelStream())
    pages = list(following(stream, Waiting(20, show)).pages(cursor))
    assert sorted(numbers(pages)) == sorted(stream.written)


def test_it_rests_after_seconds_without_changes_and_not_while_they_come() -> None:
    stream = ModelStream()

    def woken(passed: float) -> None:
        if passed > 8 and not stream.written:
            write_all(stream)

    context = Waiting(12, woken)
    pages = following(stream, context).pages(begun(stream))
    page = next(page for page in pages if page.changes)
    assert (context.rested[:5], context.rested[-2:]) == ([False] * 4 + [True], [True, False])
    assert numbers([page, *pages]) == sorted(stream.written)
    assert context.rested[-1], "and again"


def test_it_ends_when_asked_to_stop_and_waits_between_turns_without_changes() -> None:
    stream = ModelStream()
    waits: list[float] = []
    context = Waiting(3, waits.append)
    pages = list(following(stream, context).pages(begun(stream)))
    assert numbers(pages) == []
    assert [round(later - before, 1) for before, later in zip([0.0, *waits], waits, strict=False)] == [
        0.2,
        0.4,
        0.8,
        1.0,
        1.0,
    ]
