"""Following a real engine's stream, drawn into lineages, while calls fail and shards roll and split."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest

from reindexer.answers import Action, CallFailed
from reindexer.dynamo.client import plain_client
from reindexer.models.streams import LineageCursor
from reindexer.streams.client import StreamCalls
from reindexer.streams.following import Following, LineagePage
from reindexer.streams.lineages import opening
from reindexer.streams.listing import describe
from reindexer.streams.order import applies, order_of
from testbed.faults import Fault, FaultKind, FaultPlan
from tests.model_stream import EPOCH, Waiting
from tests.streamed import Streamed

pytest_plugins = ["tests.proxied"]
_STREAM_CALLS = frozenset(("GetRecords", "GetShardIterator", "DescribeStream"))
#: A call in five fails, before or after records were handed out.
TROUBLE = FaultPlan(
    seed=7,
    faults=tuple(
        Fault(kind=kind, probability=0.06, operations=_STREAM_CALLS)
        for kind in (
            FaultKind.SERVER_ERROR,
            FaultKind.CUT,
            FaultKind.CUT_APPLIED,
            FaultKind.BROKEN_JSON,
        )
    ),
)


class Destination:
    """Keeps the newest image of each key by its order, and when it was given which."""

    def __init__(self) -> None:
        self.stored: dict[str, tuple[int, Any]] = {}
        self.ordinals: dict[tuple[str, str], int] = {}

    def take(self, page: LineagePage, places: range) -> None:
        for place in places:
            change = page.changes[place]
            number = page.shard, change.sequence_number
            assert self.ordinals.setdefault(number, change.ordinal) == change.ordinal
            order, key = order_of(EPOCH, change.ordinal), change.key["id"]["S"]
            stored, _ = self.stored.get(key, (None, None))
            if applies(order, stored):
                self.stored[key] = order, change.new

    @property
    def items(self) -> dict[str, Any]:
        return {key: image for key, (_, image) in self.stored.items() if image is not None}


def carry_on(
    streamed: Streamed, cursor: LineageCursor, into: Destination, draw: random.Random
) -> LineageCursor:
    """One round; it is lost somewhere in a page one time in two, and goes on from where it stood."""
    calls = StreamCalls(streamed.client, streamed.arn)
    pages = Following(calls, Waiting(2.0), None, limit=draw.randint(1, 8)).pages(cursor)
    left = draw.randint(1, 12)
    try:
        for page in pages:
            settled = draw.randint(0, len(page.changes)) if left == 1 else len(page.changes)
            into.take(page, range(settled))
            if settled < len(page.changes):
                return page.cursor_after(settled - 1) if settled else page.before
            cursor, left = page.cursor, left - 1
            if not left:
                return cursor
    except CallFailed as failed:
        if failed.failure.action is not Action.RETRY:
            raise
    return cursor


@pytest.mark.parametrize("seed", [1, 2])
def test_the_destination_equals_the_table_once_all_was_read(streamed: Streamed, seed: int) -> None:
    draw = random.Random(seed)
    cursor = LineageCursor(
        reading=opening(describe(StreamCalls(streamed.client, streamed.arn)).listing).reading
    )
    open_now, into = [streamed.control.root], Destination()
    streamed.proxy.set_plan(TROUBLE)
    for _ in range(6):
        streamed.write(draw.randint(1, 15))
        streamed.delete(draw.randint(0, 6))
        cursor = carry_on(streamed, cursor, into, draw)
        shard = open_now.pop(draw.randrange(len(open_now)))
        if draw.random() < 0.5:
            open_now.append(streamed.control.roll(shard, listed_after=draw.randint(0, 3), parent_open_for=1))
        else:
            open_now += streamed.control.split(shard, listed_after=draw.randint(0, 3))
        cursor = carry_on(streamed, cursor, into, draw)
    streamed.write(3)
    for _ in range(100):  # rounds, of which three or four suffice
        if not missing(streamed, into):
            break
        cursor = carry_on(streamed, cursor, into, draw)
    assert into.items == {item["id"]["S"]: item for item in streamed.table.items()}
    assert streamed.proxy.truth().injected, "something failed"


def missing(streamed: Streamed, into: Destination) -> list[tuple[str, str]]:
    """Written and not handed on yet, by the layer's own list."""
    truth = streamed.control.truth()
    written = Counter((one.shard, one.sequence_number) for one in truth.written)
    assert max(written.values()) == 1
    assert set(into.ordinals) <= set(written)
    return sorted(set(written) - set(into.ordinals))


def test_an_iterator_that_expired_is_had_again(streamed: Streamed) -> None:
    streamed.write(5)
    calls = StreamCalls(streamed.client, streamed.arn)
    cursor, into = LineageCursor(reading=opening(describe(calls).listing).reading), Destination()
    pages = Following(calls, Waiting(), None, limit=2).pages(cursor)
    for _ in range(3):
        page = next(pages)
        into.take(page, range(len(page.changes)))
        streamed.control.turn_clock(1000)
    assert sorted(into.ordinals.values()) == [2, 3, 4, 5, 6]


def test_what_was_trimmed_before_it_was_read_is_named(streamed: Streamed) -> None:
    streamed.write(5)
    calls = StreamCalls(streamed.client, streamed.arn)
    cursor = LineageCursor(reading=opening(describe(calls).listing).reading)
    page = next(Following(calls, Waiting(), None, limit=2).pages(cursor))
    streamed.control.trim()
    with pytest.raises(CallFailed) as failed:
        next(Following(calls, Waiting(), None).pages(page.cursor))
    assert (failed.value.failure.code, failed.value.failure.action) == ("StreamTrimmed", Action.PARK)
    streamed.control.roll(streamed.control.root)
    streamed.control.trim(through=streamed.control.root)
    with pytest.raises(CallFailed) as failed:
        next(Following(calls, Waiting(), None).pages(page.cursor))
    assert (failed.value.failure.code, failed.value.failure.action) == ("StreamShardGone", Action.PARK)


def test_records_are_those_that_boto3_reads(streamed: Streamed) -> None:
    """Every type, binary inside and out, as far as they are used: of what was before by name."""
    nested: Any = {"M": {"B": {"B": b"\x00\xff"}, "list": {"L": [{"BS": [b"\xfe"]}, {"NULL": True}]}}}
    item: Any = {"id": {"S": "k"}, "n": {"N": "1.5"}, "ss": {"SS": ["a"]}, "b": {"B": b"\x80"}, "m": nested}
    streamed.table.put({"id": {"S": "k"}, "B": nested, "was": {"B": b"\xff"}})
    streamed.table.put(item)
    made = plain_client("dynamodbstreams", region=None, pool=1, endpoint=streamed.proxy.endpoint_url, role=None)
    ours = streamed.client.get_records(ShardIterator=streamed.iterator(streamed.control.root))["Records"]
    theirs = made.client.get_records(ShardIterator=streamed.iterator(streamed.control.root))["Records"]
    assert [one["dynamodb"].get("NewImage") for one in ours] == [
        {"id": {"S": "k"}, "B": nested, "was": {"B": b"\xff"}},
        item,
    ]
    assert ours[1]["dynamodb"]["OldImage"].keys() == {"id", "B", "was"}
    for own, other in zip(ours, theirs, strict=True):
        assert own["eventName"] == other["eventName"]
        for name in ("Keys", "NewImage", "SequenceNumber"):
            assert own["dynamodb"][name] == other["dynamodb"][name]
        at = other["dynamodb"]["ApproximateCreationDateTime"]
        assert own["dynamodb"]["ApproximateCreationDateTime"] == at.timestamp()
