"""Reading a stream shard and listing shards, of a stream that answers as each test says."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError

from reindexer.answers import Action, CallFailed
from reindexer.dynamo.roles import Role
from reindexer.models.streams import Position
from reindexer.streams.changes import ChangeKind
from reindexer.streams.client import StreamCalls, make_streams_client
from reindexer.streams.listing import children, describe
from reindexer.streams.reading import ChangePage, ShardReader, after_change
from reindexer.streams.taxonomy import of_stream_call
from tests.immediate_executor import ImmediateExecutor
from tests.model_stream import NOON, ModelStream

FIRST = 10**20 - 3  # of 20 digits, soon of 21: compared as texts they would fall


def refused(code: str, status: int = 400) -> ClientError:
    metadata: Any = {"HTTPStatusCode": status}
    return ClientError({"Error": {"Code": code, "Message": "why"}, "ResponseMetadata": metadata}, "call")


def record(number: int, name: str = "MODIFY", **more: Any) -> dict[str, Any]:
    change = {
        "Keys": {"id": {"S": "a"}},
        "ApproximateCreationDateTime": NOON.timestamp(),
        "SequenceNumber": str(number),
        **more.pop("images", {}),
    }
    return {"eventName": name, "dynamodb": change, **more}


class Stream:
    """A shard whose records are numbered from FIRST, in pages of two; calls fail with `failing` first."""

    def __init__(self, records: int = 5, *, closed: bool = True) -> None:
        self.records = [record(FIRST + place) for place in range(records)]
        self.closed = closed
        self.failing: list[Exception | None] = []  # None: this call is answered
        self.asked: list[dict[str, Any]] = []
        self.pages: list[dict[str, Any]] = []

    def _call(self, **asked: Any) -> None:
        self.asked.append(asked)
        if self.failing and (error := self.failing.pop(0)):
            raise error

    def get_shard_iterator(self, **asked: Any) -> dict[str, Any]:
        self._call(**asked)
        after = int(asked.get("SequenceNumber", FIRST - 1))
        return {"ShardIterator": str(after)}

    def get_records(self, **asked: Any) -> dict[str, Any]:
        self._call(**asked)
        after = int(asked["ShardIterator"])
        follow = [one for one in self.records if int(one["dynamodb"]["SequenceNumber"]) > after][:2]
        last = after if not follow else int(follow[-1]["dynamodb"]["SequenceNumber"])
        more = not self.closed or last < FIRST + len(self.records) - 1
        return {"Records": follow, **({"NextShardIterator": str(last)} if more else {})}

    def describe_stream(self, **asked: Any) -> dict[str, Any]:
        self._call(**asked)
        return {"StreamDescription": self.pages[int(asked.get("ExclusiveStartShardId", -1)) + 1]}


def calls(stream: Stream) -> StreamCalls:
    return StreamCalls(stream, "arn:stream")


def at(ordinal: int = 0, number: int | None = None, found_at: datetime = NOON) -> Position:
    text = None if number is None else str(number)
    changed_at = None if number is None else NOON
    return Position(
        shard="shard-1", sequence_number=text, ordinal=ordinal, found_at=found_at, changed_at=changed_at
    )


def reader(stream: Stream, position: Position | None = None) -> ShardReader:
    return ShardReader(calls(stream), position or at(), clock=lambda: NOON)


def ordinals(read: ShardReader) -> list[int]:
    page = turned(read)
    return places(page) + ([] if page.ended else ordinals(read))


def turned(read: ShardReader) -> ChangePage:
    """The next page; the one after it is read ahead where that is to be."""
    page = read.read()
    if page.read_ahead:
        page.read_ahead()
    return page


def places(page: ChangePage) -> list[int]:
    return [change.ordinal for change in page.changes]


def test_ordinals_go_on_from_the_parents_last() -> None:
    stream = Stream()
    read = reader(stream, at(ordinal=40))
    assert ordinals(read) == [41, 42, 43, 44, 45]
    assert read.position == at(45, FIRST + 4)
    assert stream.asked[0]["ShardIteratorType"] == "TRIM_HORIZON"


def test_reading_on_from_a_position_gives_each_change_the_same_ordinal() -> None:
    page = reader(Stream(), at(ordinal=40)).read()
    position = after_change(page.position, page.changes[0])
    assert position == at(41, FIRST)
    assert ordinals(reader(Stream(), position)) == [42, 43, 44, 45]


def test_an_expired_iterator_is_had_again_after_the_same_number() -> None:
    stream = Stream()
    read = reader(stream)
    read.read()
    stream.failing = [refused("ExpiredIteratorException")]
    assert [change.ordinal for change in read.read().changes] == [3, 4]
    assert stream.asked[-2]["SequenceNumber"] == str(FIRST + 1)


def ahead(stream: Stream) -> ShardReader:
    return ShardReader(StreamCalls(stream, "arn:stream", ImmediateExecutor()), at(), clock=lambda: NOON)


def test_far_behind_the_next_page_is_read_ahead() -> None:
    stream = Stream()
    read = ahead(stream)
    turned(read)
    assert len(stream.asked) == 3, "an iterator, and two pages"
    assert (read.position, ordinals(read)) == (at(2, FIRST + 1), [3, 4, 5])
    assert len(stream.asked) == 4, "nothing after the last page"


def test_what_failed_ahead_fails_where_it_is_asked_for_and_is_read_again() -> None:
    stream = Stream()
    stream.failing = [None, None, refused("InternalServerError", 500)]
    read = ahead(stream)
    assert places(turned(read)) == [1, 2]
    with pytest.raises(CallFailed):
        read.read()
    assert ordinals(read) == [3, 4, 5]


def test_an_iterator_that_expired_ahead_is_had_again() -> None:
    stream = Stream()
    stream.failing = [None, None, refused("ExpiredIteratorException")]
    assert ordinals(ahead(stream)) == [1, 2, 3, 4, 5]


def test_at_the_tip_nothing_is_read_ahead() -> None:
    stream = Stream()
    for one in stream.records:
        one["dynamodb"]["ApproximateCreationDateTime"] = datetime.now(UTC).timestamp()
    turned(ahead(stream))
    assert len(stream.asked) == 2


def test_an_iterator_that_expires_at_once_is_the_services_failure() -> None:
    stream = Stream()
    read = reader(stream)
    read._iterator = "1"
    stream.get_records = _always(refused("ExpiredIteratorException"))  # type: ignore[method-assign]
    with pytest.raises(CallFailed) as failed:
        read.read()
    assert failed.value.failure.action is Action.RETRY


def _always(error: Exception) -> Callable[..., dict[str, Any]]:
    def fail(**_: Any) -> dict[str, Any]:
        raise error

    return fail


def test_a_page_that_fails_is_read_again_with_the_same_iterator() -> None:
    stream = Stream()
    read = reader(stream)
    read.read()
    stream.failing = [refused("InternalServerError", 500)]
    with pytest.raises(CallFailed):
        read.read()
    assert ordinals(read) == [3, 4, 5]
    assert sum("ShardId" in asked for asked in stream.asked) == 1, "one iterator"


def test_an_empty_page_is_no_end() -> None:
    stream = Stream(2, closed=False)
    read = reader(stream)
    pages = [read.read() for _ in range(3)]
    assert [(len(page.changes), page.ended) for page in pages] == [(2, False), (0, False), (0, False)]
    stream.records.append(record(FIRST + 2))
    assert read.read().changes[0].ordinal == 3


def test_the_beginning_of_a_shard_counts_as_trimmed_after_20_hours() -> None:
    """TRIM_HORIZON would begin later without an error, and shift all ordinals."""
    old = NOON - timedelta(hours=20, seconds=1)
    with pytest.raises(CallFailed) as failed:
        reader(Stream(), at(found_at=old)).read()
    assert (failed.value.failure.code, failed.value.failure.action) == ("StreamTrimmed", Action.PARK)
    assert ordinals(reader(Stream(), at(1, FIRST, found_at=old))) == [2, 3, 4, 5], "a number names its place"


def test_numbers_that_do_not_rise_park() -> None:
    """Of an engine that began again: its ordinals would be given out twice."""
    stream = Stream()
    stream.records = [record(FIRST + 1), record(FIRST)]
    with pytest.raises(CallFailed, match="do not rise"):
        reader(stream).read()


def test_a_change_carries_key_images_time_and_who_deleted() -> None:
    images = {"OldImage": {"id": {"S": "a"}, "n": {"N": "1"}}}
    stream = Stream(0)
    service = {"PrincipalId": "dynamodb.amazonaws.com", "Type": "Service"}
    stream.records = [
        record(FIRST, "INSERT", images={"NewImage": {"id": {"S": "a"}}}),
        record(FIRST + 1, "REMOVE", images=images, userIdentity=service),
    ]
    inserted, removed = reader(stream).read().changes
    assert (inserted.kind, inserted.new, inserted.old) == (ChangeKind.INSERT, {"id": {"S": "a"}}, None)
    assert (removed.kind, removed.new, removed.old) == (ChangeKind.REMOVE, None, ("id", "n"))
    assert (inserted.expired, removed.expired) == (False, True)
    assert removed.key == {"id": {"S": "a"}}
    assert removed.changed_at == NOON


def test_the_last_page_says_that_the_shard_ends() -> None:
    read = reader(Stream(3))
    assert [read.read().ended for _ in range(2)] == [False, True]


@pytest.mark.parametrize(
    ("error", "code", "action"),
    [
        (refused("LimitExceededException"), "LimitExceededException", Action.WAIT),
        (refused("ThrottlingException"), "ThrottlingException", Action.WAIT),
        (refused("ProvisionedThroughputExceededException"), None, Action.WAIT),
        (refused("TrimmedDataAccessException"), "StreamTrimmed", Action.PARK),
        (refused("ResourceNotFoundException"), "StreamShardGone", Action.PARK),
        (refused("ExpiredIteratorException"), "ExpiredIterator", Action.RETRY),
        (refused("InternalServerError", 500), None, Action.RETRY),
        (refused("ServiceUnavailable", 503), None, Action.RETRY),
        (refused("ValidationException"), "StreamPositionRefused", Action.PARK),
        (refused("SerializationException"), None, Action.PARK),
        (refused("AccessDeniedException"), None, Action.PARK),
        (refused("ExpiredTokenException"), None, Action.PARK),
        (ReadTimeoutError(endpoint_url="there"), None, Action.RETRY),
        (EndpointConnectionError(endpoint_url="there"), None, Action.RETRY),
    ],
)
def test_what_an_error_means(error: Exception, code: str | None, action: Action) -> None:
    failure = of_stream_call(error)
    assert failure.action is action
    assert failure.applied is False, "a read changes nothing"
    if code is not None:
        assert failure.code == code


@pytest.mark.parametrize("operation", ["iterator", "records"])
@pytest.mark.parametrize("code", ["TrimmedDataAccessException", "ResourceNotFoundException"])
def test_what_is_lost_parks_from_either_call(operation: str, code: str) -> None:
    stream = Stream()
    read = reader(stream)
    if operation == "records":
        read.read()
    stream.failing = [refused(code)]
    with pytest.raises(CallFailed) as failed:
        read.read()
    assert failed.value.failure.action is Action.PARK


def page(*shards: tuple[str, str | None, str | None], last: int | None = None) -> dict[str, Any]:
    listed = [
        {
            "ShardId": shard,
            "SequenceNumberRange": {"StartingSequenceNumber": "1"}
            | ({"EndingSequenceNumber": ending} if ending else {}),
            **({"ParentShardId": parent} if parent else {}),
        }
        for shard, parent, ending in shards
    ]
    more = {} if last is None else {"LastEvaluatedShardId": str(last)}
    return {"Shards": listed, "StreamStatus": "ENABLED", "StreamViewType": "NEW_AND_OLD_IMAGES", **more}


@pytest.fixture
def listed() -> Stream:
    stream = Stream()
    stream.pages = [page(("a", None, "9"), ("b", "a", None), last=0), page(("c", "a", None))]
    return stream


def test_a_listing_goes_through_all_pages(listed: Stream) -> None:
    described = describe(calls(listed))
    assert [(one.shard, one.parent, one.open) for one in described.listing.shards] == [
        ("a", None, False),
        ("b", "a", True),
        ("c", "a", True),
    ]
    assert described.listing.complete
    assert (described.enabled, described.images) == (True, "NEW_AND_OLD_IMAGES")


def test_a_listing_keeps_what_came_before_a_page_that_fails(listed: Stream) -> None:
    described = describe(_failing_second(listed))
    assert [shard.shard for shard in described.listing.shards] == ["a", "b"]
    assert not described.listing.complete
    assert described.failure is not None
    assert described.failure.action is Action.RETRY


def _failing_second(stream: Stream) -> StreamCalls:
    answer = stream.describe_stream

    def describe_stream(**asked: Any) -> dict[str, Any]:
        if "ExclusiveStartShardId" in asked:
            raise refused("InternalServerError", 500)
        return answer(**asked)

    stream.describe_stream = describe_stream  # type: ignore[method-assign]
    return calls(stream)


def test_pages_that_lead_in_a_circle_end(listed: Stream) -> None:
    listed.pages = [page(("a", None, None), last=0), page(("a", None, None), last=0)]
    assert not describe(calls(listed)).listing.complete


def test_an_answer_without_shards_is_no_empty_stream(listed: Stream) -> None:
    listed.pages = [{"StreamStatus": "ENABLED"}]
    with pytest.raises(CallFailed, match="not complete"):
        describe(calls(listed))


def test_a_stream_that_is_switched_off_says_so(listed: Stream) -> None:
    listed.pages = [{**page(("a", None, "9")), "StreamStatus": "DISABLED"}]
    assert not describe(calls(listed)).enabled


def test_two_children_on_two_pages_are_both_found() -> None:
    stream = ModelStream(page_shards=1)
    stream.divide(0, split=True)
    found = children(StreamCalls(stream, "arn"), "s0")
    assert ([shard.shard for shard in found.shards], found.complete) == (["s1", "s2"], True)


def test_of_children_those_of_other_parents_are_dropped(listed: Stream) -> None:
    """An engine that ignores the filter lists the shard itself."""
    listed.pages = [page(("a", None, "9"), ("b", "a", None), ("c", "x", None))]
    assert [shard.shard for shard in children(calls(listed), "a").shards] == ["b"]
    assert listed.asked[-1]["ShardFilter"] == {"Type": "CHILD_SHARDS", "ShardId": "a"}


def test_the_endpoint_is_that_of_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "streams.dynamodb.us-east-1" in make_streams_client().meta.endpoint_url
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB_STREAMS", "http://127.0.0.1:9")
    client = make_streams_client(region="eu-west-1")
    assert (client.meta.endpoint_url, client.meta.region_name) == ("http://127.0.0.1:9", "eu-west-1")
    assert make_streams_client(endpoint="http://127.0.0.1:8").meta.endpoint_url == "http://127.0.0.1:8"
    assert client.meta.config.retries["total_max_attempts"] == 1


def test_a_role_is_assumed_when_it_is_first_needed() -> None:
    client = make_streams_client(role=Role("arn:aws:iam::123456789012:role/reader"))
    assert client._request_signer._credentials.method == "assume-role"
