"""Lineages: parents before children whatever a listing shows, and nothing lost without being named."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from reindexer.models.streams import Ended, LineageState, Listing, Position, StreamShard
from reindexer.streams.lineages import (
    after_look,
    children_of,
    lasting_holes,
    look,
    opening,
    seems_to_lack_shards,
)
from reindexer.streams.order import SETTLED
from tests.model_stream import after_end

NOON = datetime(2026, 11, 27, 12, tzinfo=UTC)
MINUTES = timedelta(minutes=5)


def listing(*shards: str, complete: bool = True, at: datetime = NOON) -> Listing:
    """Each as `child<parent`, or `shard`; with a dot behind it where it is closed."""
    listed = []
    for text in shards:
        shard, _, parent = text.rstrip(".").partition("<")
        listed.append(StreamShard(shard=shard, parent=parent or None, open=not text.endswith(".")))
    return Listing(shards=listed, complete=complete, at=at)


def bases(state: LineageState) -> dict[str, int]:
    return {shard: reading.position.ordinal for shard, reading in state.reading.items()}


def then(state: LineageState, *shards: str, complete: bool = True) -> LineageState:
    """The state after a look at this listing, which finds no hole."""
    found = look(state, listing(*shards, complete=complete))
    assert found.holes == []
    return after_look(state, found, NOON)


def end(state: LineageState, shard: str, ordinal: int) -> LineageState:
    return after_end(state, Position(shard=shard, sequence_number="7", ordinal=ordinal, found_at=NOON))


@pytest.mark.parametrize(
    ("listed", "read", "passed"),
    [
        (("a",), {"a"}, set()),
        (("a.", "b<a"), {"b"}, {"a"}),
        (("a.",), {"a"}, set()),  # closed, and its child is not listed yet
        (("a.", "b<a", "c<a."), {"b", "c"}, {"a"}),
        (("a", "b<a"), {"a"}, set()),  # shown open beside its child: the child follows
        (("a", "b<a.", "c<b"), {"a"}, set()),
        (("b<a",), {"b"}, set()),  # its parent was trimmed
        (("c<b", "b<a.", "a."), {"c"}, {"a", "b"}),  # in any order
        ((), set(), set()),
    ],
)
def test_positions_are_taken_of_what_is_open_or_has_no_listed_child(
    listed: tuple[str, ...], read: set[str], passed: set[str]
) -> None:
    state = opening(listing(*listed))
    assert bases(state) == dict.fromkeys(read, SETTLED)
    assert set(state.passed) == passed
    assert all(reading.position.sequence_number is None for reading in state.reading.values())


def test_positions_are_not_taken_of_a_listing_with_a_page_missing() -> None:
    with pytest.raises(ValueError, match="complete"):
        opening(listing("a", complete=False))


def test_a_child_begins_after_its_parents_end_and_goes_on_from_its_last_ordinal() -> None:
    state = then(opening(listing("a")), "a", "b<a", "c<a")
    assert bases(state) == {"a": SETTLED}, "the parent is being read"
    state = then(end(state, "a", 41), "a.", "b<a", "c<a")
    assert bases(state) == {"b": 41, "c": 41}
    state = then(end(state, "b", 50), "a.", "b<a.", "c<a", "d<b")
    assert bases(state) == {"c": 41, "d": 50}


def test_a_grandchild_waits_for_its_parent() -> None:
    """The parent is listed, and neither read nor ended: it comes first."""
    state = end(opening(listing("a")), "a", 3)
    assert bases(then(state, "a.", "b<a.", "c<b")) == {"b": 3}


def test_a_shard_is_begun_once() -> None:
    state = then(end(opening(listing("a")), "a", 3), "a.", "b<a")
    assert look(state, listing("a.", "b<a")).begin == []


def test_a_child_of_what_was_left_to_the_scan_begins_at_the_floor_also_when_it_is_listed_late() -> None:
    assert bases(then(opening(listing("a.", "b<a")), "a.", "b<a", "c<a")) == {"b": SETTLED, "c": SETTLED}


def test_a_root_that_is_listed_late_begins_at_the_floor() -> None:
    assert bases(then(opening(listing("a")), "a", "r")) == {"a": SETTLED, "r": SETTLED}


def test_what_a_missing_page_lacks_is_no_hole() -> None:
    state = opening(listing("a"))
    assert bases(then(state, "a", "c<b", complete=False)) == {"a": SETTLED}
    found = look(state, listing("a", "c<b"))
    assert (found.begin, found.holes) == ([], ["c"])


def test_a_hole_is_looked_at_for_minutes_and_closes_when_its_parent_appears() -> None:
    state = end(opening(listing("a")), "a", 3)
    state = after_look(state, look(state, listing("a.", "c<b")), NOON)
    state = after_look(state, look(state, listing("a.", "c<b")), NOON + timedelta(minutes=4))
    assert lasting_holes(state, NOON + timedelta(minutes=4), MINUTES) == []
    assert lasting_holes(state, NOON + timedelta(minutes=5), MINUTES) == ["c"]
    assert bases(then(state, "a.", "b<a.", "c<b")) == {"b": 3}
    assert lasting_holes(then(state, "a.", "b<a.", "c<b"), NOON + timedelta(hours=1), MINUTES) == []


def test_a_parent_that_appears_after_its_child_was_begun_is_left_to_the_scan() -> None:
    """A shard with a child has ended: what it held was written before positions were taken."""
    state = opening(listing("b<a"))
    found = look(state, listing("a.", "b<a"))
    assert (found.begin, found.passed, found.holes) == ([], ["a"], [])


def test_a_link_that_appears_between_two_shards_begun_side_by_side_is_a_hole() -> None:
    """The ancestor was shown open and the shard between left out: their ordinals are in no order."""
    state = opening(listing("a", "c<b"))
    assert bases(state) == {"a": SETTLED, "c": SETTLED}
    assert look(state, listing("a.", "b<a.", "c<b")).holes == ["b"]


@pytest.mark.parametrize(
    ("listed", "lacks"),
    [
        (("a.", "c<b"), True),
        (("a.", "b<a.", "c<b"), False),
        (("a", "c<b"), False),  # as usual: its parent was trimmed
        (("a.",), False),
    ],
)
def test_a_listing_that_seems_to_lack_a_shard_says_so(listed: tuple[str, ...], lacks: bool) -> None:
    assert seems_to_lack_shards(listing(*listed)) is lacks


def test_an_end_is_kept_until_no_listing_can_ask_for_it() -> None:
    state = end(opening(listing("a")), "a", 3)
    assert look(state, listing()).forget == [], "its child may be listed yet"
    assert look(state, listing("a.", "b<a")).forget == [], "it is listed"
    state = then(state, "a.", "b<a", "c<a")
    state = end(end(state, "b", 5), "c", 9)
    assert look(state, listing("b<a.", "c<a.", "d<b")).forget == ["a"]
    assert look(state, listing("b<a.", "c<a.", "d<b", complete=False)).forget == []
    state = then(state, "a.", "b<a.", "c<a.", "d<b")
    assert set(state.ended) == {"a", "b", "c"}
    assert look(state, listing("a.", "d<b")).forget == [], "an ancestor is still listed, and goes first"
    assert look(state, listing("d<b")).forget == ["a", "b"], "c has no child yet"
    assert set(then(state, "d<b").ended) == {"c"}


def test_children_follow_without_a_listing_of_the_whole_graph() -> None:
    children = listing("b<a", "x<y", "c<a")
    begun = children_of("a", Ended(ordinal=12, at=NOON), children)
    assert [(one.position.shard, one.position.ordinal) for one in begun] == [("b", 12), ("c", 12)]


def test_a_childs_beginning_is_as_old_as_its_parents_last_change_however_late_it_is_found() -> None:
    """Else, after two long pauses, a beginning that was trimmed would pass for the shard's own."""
    later, before = NOON + timedelta(hours=10), NOON - timedelta(hours=5)
    last = Position(shard="a", sequence_number="9", ordinal=3, found_at=before, changed_at=NOON)
    state = after_end(opening(listing("a")), last)
    [begun] = look(state, listing("a.", "b<a", at=later)).begin
    assert begun.position.found_at == NOON
    nothing = last.model_copy(update={"changed_at": None})
    [begun] = look(after_end(opening(listing("a")), nothing), listing("a.", "b<a", at=later)).begin
    assert begun.position.found_at == before


def test_an_inconsistent_listing_that_leads_in_a_circle_ends() -> None:
    assert bases(opening(listing("a<b", "b<a"))) == {}
    assert bases(then(opening(listing("r")), "r", "a<b", "b<a")) == {"r": SETTLED}
