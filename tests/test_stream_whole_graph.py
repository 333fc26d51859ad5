"""The look at the whole graph of a stream: what is adopted, what never is, and what is lost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from botocore.exceptions import ClientError

from reindexer.dynamo.table import TableClient
from reindexer.models import Lineages
from reindexer.models.streams import (
    Ended,
    LineageCursor,
    LineageState,
    ShardId,
    StreamLook,
    StreamLookInput,
    with_adopted,
)
from reindexer.streams.client import StreamCalls
from reindexer.streams.following import Following
from reindexer.streams.lineages import opening
from reindexer.streams.listing import describe
from reindexer.streams.whole_graph import look_at_stream
from tests.model_stream import NOON, ModelStream, Waiting, write_all

ARN = "arn"


class Kept:
    """What the ledger keeps of one follow, in memory."""

    def __init__(self, state: LineageState) -> None:
        self.cursor = LineageCursor(reading=state.reading)
        self.notes: dict[ShardId, Ended] = {}
        self.state: LineageState | None = state

    def of(self, destination: str, epoch: int) -> Iterable[tuple[str, Lineages]]:  # noqa: ARG002
        cursor = self.cursor
        yield ARN, Lineages(stream_arn=ARN, opened_at=NOON, reading=cursor.reading, ended=cursor.ended)

    def ended(self, destination: str, epoch: int) -> Mapping[ShardId, Ended]:  # noqa: ARG002
        return self.notes

    def forget(self, destination: str, epoch: int, shards: Iterable[ShardId]) -> None:  # noqa: ARG002
        for shard in list(shards):
            del self.notes[shard]

    def graph(self, destination: str, epoch: int) -> LineageState | None:  # noqa: ARG002
        return self.state

    def opened(self, destination: str, epoch: int, state: LineageState) -> None:  # noqa: ARG002
        self.state = state


class Follow:
    """One that reads a model of a stream, notes what has ended, and looks at the whole graph."""

    def __init__(self, stream: ModelStream) -> None:
        self.stream, self.calls = stream, StreamCalls(stream, ARN)
        self.kept = Kept(opening(describe(self.calls).listing))
        self.orders: dict[int, int] = {}  # by sequence number
        self.clock = NOON
        self.table: dict[str, Any] = {
            "LatestStreamArn": ARN,
            "StreamSpecification": {"StreamEnabled": True},
        }

    def round(self, *, minutes: float = 2) -> None:
        """What a round does: note what has ended, read on; the clock goes on."""
        noted = dict(self.kept.cursor.ended)
        self.kept.notes |= noted
        follow = Following(self.calls, Waiting(), opening=None, clock=lambda: self.clock, noted=list(noted))
        for page in follow.pages(self.kept.cursor):
            for change in page.changes:
                number = int(change.sequence_number)
                assert number not in self.orders, "handed out twice"
                self.orders[number] = change.ordinal
            self.kept.cursor = page.cursor
        self.clock += timedelta(minutes=minutes)

    def look(self, patience: float = 300) -> StreamLook:
        request = StreamLookInput(
            table="t", table_arn="t", stream_arn=ARN, destination="d", epoch=7, patience_seconds=patience
        )
        described: Any = type("Client", (), {"describe_table": lambda *_, **__: {"Table": self.table}})()
        found = look_at_stream(request, TableClient(described, "t"), self.calls, self.kept)
        self.kept.cursor = with_adopted(self.kept.cursor, found.adopt)
        return found


def divided(hidden: str) -> Follow:
    """A follow of a stream that was split; one of the two is not listed."""
    stream = ModelStream()
    follow = Follow(stream)
    write_all(stream)
    stream.divide(0, split=True)
    write_all(stream)
    stream.hidden = {hidden}
    for _ in range(3):
        follow.round()
    return follow


def test_a_sibling_that_is_listed_late_is_adopted_and_goes_on_from_its_parents_end() -> None:
    follow = divided("s2")
    assert "s0" not in follow.kept.cursor.ended, "no one asks for children of it any more"
    assert follow.look() == StreamLook()
    follow.stream.hidden = set()
    [adopted] = follow.look().adopt
    assert (adopted.position.shard, adopted.position.ordinal, adopted.parent) == ("s2", 9, "s0")
    follow.round()
    assert sorted(follow.orders) == sorted(follow.stream.written)
    assert follow.look().adopt == []


def test_what_was_read_and_left_the_cursor_is_not_adopted_again() -> None:
    """Also where its children are not listed for a moment: without a note it would look as if never read."""
    follow = divided("none")
    for _ in range(3):
        follow.stream.divide(0, split=False)
        write_all(follow.stream)
        for _ in range(3):
            follow.round()
    assert set(follow.kept.cursor.reading) == {one.name for one in follow.stream.shards.values() if one.open}
    assert len(follow.kept.notes) > len(follow.kept.cursor.ended)
    for hidden in follow.stream.shards:
        follow.stream.hidden = {hidden}
        assert follow.look().adopt == []


def test_an_end_that_is_not_noted_stays_in_the_cursor() -> None:
    stream = ModelStream()
    follow = Follow(stream)
    stream.divide(0, split=True)
    cursor = follow.kept.cursor
    following = Following(follow.calls, Waiting(200), opening=None, clock=lambda: follow.clock)
    for page in following.pages(cursor):
        cursor = page.cursor
    assert set(cursor.ended) == {"s0"}


def test_notes_are_forgotten_once_no_listing_can_refer_to_them() -> None:
    follow = divided("none")
    assert set(follow.kept.notes) == {"s0"}
    follow.look()
    assert set(follow.kept.notes) == {"s0"}, "it is listed"
    follow.stream.shards["s0"].trimmed = True
    follow.look()
    assert follow.kept.notes == {}


def test_a_parent_that_stays_missing_is_a_loss_with_its_range_of_time() -> None:
    stream = ModelStream()
    follow = Follow(stream)
    write_all(stream)
    stream.divide(0, split=False)
    stream.divide(0, split=False)
    stream.hidden = {"s1"}
    follow.round()
    assert follow.look(patience=3600).lost == "", "it is looked for again"
    assert follow.kept.state is not None
    assert set(follow.kept.state.holes) == {"s2"}
    found = follow.look(patience=0)
    assert found.kind == "StreamHole"
    assert "2026-" in found.lost
    assert found.lost.endswith("UTC may be lost")
    stream.show()
    assert follow.look(patience=0) == StreamLook()
    assert follow.kept.state.holes == {}


def test_a_stream_that_was_replaced_or_switched_off_is_a_loss() -> None:
    follow = Follow(ModelStream())
    follow.table["LatestStreamArn"] = "other"
    follow.table["LatestStreamLabel"] = "2026-11-27T12:30:00.000"
    found = follow.look()
    assert (found.kind, "2026-11-27T12:30:00.000 UTC may be lost" in found.lost) == ("StreamReplaced", True)
    follow.table = {"LatestStreamArn": ARN}
    assert follow.look().kind == "StreamDisabled"


def test_a_stream_that_is_gone_is_a_loss() -> None:
    follow = Follow(ModelStream())

    def gone(**_: Any) -> Any:
        error: Any = {"Error": {"Code": "ResourceNotFoundException", "Message": "no such stream"}}
        raise ClientError(error, "DescribeStream")

    follow.stream.describe_stream = gone  # type: ignore[method-assign]
    assert follow.look().kind == "StreamGone"


def test_of_a_follow_that_kept_no_graph_nothing_is_adopted_that_may_have_been_read() -> None:
    follow = divided("s2")
    follow.kept.state, follow.kept.notes = None, {}
    follow.stream.show()
    assert follow.look().adopt == []
    assert follow.kept.state is not None
    assert set(follow.kept.state.passed) == {"s0", "s2"}
