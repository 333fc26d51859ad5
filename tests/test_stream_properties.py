"""Ordinals along lineages that roll, split, are listed late, or crash: rising, the same again, none lost."""

from __future__ import annotations

from collections import defaultdict
from typing import TypeAlias

from hypothesis import given
from hypothesis import strategies as st

from reindexer.models.streams import Listing, Position, StreamShard
from reindexer.streams.client import StreamCalls
from reindexer.streams.lineages import after_look, children_of, look, opening
from reindexer.streams.listing import children, describe
from reindexer.streams.reading import ShardReader
from tests.model_stream import KEYS, NOON, ModelStream, after_end

_WHICH = st.integers(0, 11)
Step: TypeAlias = tuple[str, int, int]
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.integers(0, KEYS - 1), st.integers(1, 3)),
        st.tuples(st.sampled_from(["roll", "split", "hide", "show open"]), _WHICH, st.just(0)),
        st.tuples(st.just("read"), _WHICH, st.integers(1, 4)),
        st.tuples(st.sampled_from(["look", "look", "tear", "keep", "crash", "trim"]), st.just(0), st.just(0)),
    ),
    max_size=60,
)


class Follower:
    """Reads a stream by the rules; what is kept survives a crash."""

    def __init__(self, stream: ModelStream) -> None:
        self.stream, self.calls = stream, StreamCalls(stream, "arn")
        self.state = self.kept = opening(describe(self.calls).listing)
        self.begun_at = len(stream.written)
        self.ordinals: dict[int, int] = {}  # by sequence number, of all attempts

    def look(self) -> Listing:
        listing = describe(self.calls).listing
        self.state = after_look(self.state, look(self.state, listing), NOON)
        return listing

    def read(self, which: int, limit: int) -> None:
        """One page of one shard; at its end its children follow without a listing of the whole graph."""
        if not self.state.reading:
            return
        reading = list(self.state.reading.values())[which % len(self.state.reading)]
        reader = ShardReader(self.calls, reading.position, limit, clock=lambda: NOON)
        page = reader.read()
        for change in page.changes:
            number = int(change.sequence_number)
            assert self.ordinals.setdefault(number, change.ordinal) == change.ordinal, "another one on a retry"
        self._moved(page.position)
        if page.ended:
            self.state = after_end(self.state, page.position)
            found = children(self.calls, page.position.shard)
            begun = children_of(page.position.shard, self.state.ended[page.position.shard], found)
            more = {one.position.shard: one for one in begun if one.position.shard not in self.state.ended}
            self.state = self.state.model_copy(update={"reading": more | self.state.reading})

    def _moved(self, position: Position) -> None:
        reading = self.state.reading[position.shard].model_copy(update={"position": position})
        self.state = self.state.model_copy(update={"reading": self.state.reading | {position.shard: reading}})

    def drain(self) -> None:
        """With true listings, until no shard is left that has ended and is not read."""
        self.stream.show()
        for _ in range(3 * len(self.stream.shards)):
            self.look()
            for which in range(len(self.state.reading)):
                self.read(which, 1000)
        assert self.state.holes == {}


def play(steps: list[Step]) -> Follower:
    """Half of the steps come before positions are taken."""
    stream = ModelStream()
    follower: Follower | None = None
    for place, (name, one, two) in enumerate(steps):
        if follower is None and place >= len(steps) // 2:
            stream.torn = False  # positions are taken of a complete listing
            follower = Follower(stream)
        match name:
            case "write":
                for _ in range(two):
                    stream.write(one)
            case "roll" | "split":
                stream.divide(one, split=name == "split")
            case "hide":
                stream.hide(one)
            case "show open":
                stream.shown_open.add(list(stream.shards)[one % len(stream.shards)])
            case "tear":
                stream.torn = True
            case _ if follower is not None:
                _act(stream, follower, name, one, two)
    if follower is None:
        follower = Follower(stream)
    follower.drain()
    return follower


def _act(stream: ModelStream, follower: Follower, name: str, one: int, two: int) -> None:
    match name:
        case "look":
            follower.look()
            stream.show()
        case "read":
            follower.read(one, two)
        case "keep":
            follower.kept = follower.state
        case "crash":
            follower.state = follower.kept
        case "trim":
            stream.trim({*follower.kept.ended, *follower.kept.passed})


@given(STEPS)
def test_ordinals_rise_along_each_key_are_the_same_again_and_none_is_lost(steps: list[Step]) -> None:
    follower = play(steps)
    written = follower.stream.written
    lost = [
        number
        for number, record in written.items()
        if record.place >= follower.begun_at and number not in follower.ordinals
    ]
    assert lost == []
    by_key = defaultdict(list)
    for number in sorted(follower.ordinals):
        by_key[written[number].key].append(follower.ordinals[number])
    for ordinals in by_key.values():
        assert ordinals == sorted(set(ordinals))
        assert ordinals[0] >= 1, "above the floor"


@given(STEPS)
def test_what_is_kept_of_ends_is_bounded_by_what_is_listed(steps: list[Step]) -> None:
    """Else a follow of years would carry every shard there ever was."""
    follower = play(steps)
    stream = follower.stream
    stream.trim({*follower.state.ended, *follower.state.passed})
    for _ in range(2):
        listed = follower.look()
    names = {shard.shard for shard in listed.shards}
    childless = {name for name in follower.state.ended if not _children(stream, name)}
    assert set(follower.state.ended) <= names | childless
    assert set(follower.state.passed) <= names


def _children(stream: ModelStream, parent: str) -> list[StreamShard]:
    return [StreamShard(shard=shard.name) for shard in stream.shards.values() if shard.parent == parent]


def test_children_beside_their_parent_would_break_it() -> None:
    """The shortest counterexample: the order of a record in the child is below its elder in the parent."""
    stream = ModelStream()
    for _ in range(2):
        stream.write(0)
    stream.divide(0, split=False)
    stream.write(0)
    calls = StreamCalls(stream, "arn")
    at_floor = {name: Position(shard=name, found_at=NOON) for name in stream.shards}
    ordinals = {
        int(change.sequence_number): change.ordinal
        for position in at_floor.values()
        for change in ShardReader(calls, position, clock=lambda: NOON).read().changes
    }
    in_order = [ordinals[number] for number in sorted(ordinals)]
    assert in_order == [1, 2, 1]


def test_sequence_numbers_of_the_model_fall_as_texts() -> None:
    stream = ModelStream()
    for _ in range(8):
        stream.write(7)
    assert sorted(map(str, stream.written)) != list(map(str, stream.written))
