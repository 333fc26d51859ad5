"""How far a follow is behind: what its pages say, and what they cannot say of a shard that is not read."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from botocore.exceptions import ClientError

from reindexer.models import Followed, Lineages
from reindexer.models.rounds import Share
from reindexer.sources.stream import StreamSource
from reindexer.streams.client import StreamCalls
from reindexer.throttle import Budget
from tests.model_stream import NOON, ModelStream, Waiting, begun, grown

_START = NOON.timestamp() * 1000


class Clocked(ModelStream):
    """Answers with the time of its context, as the service does."""

    def __init__(self, context: Waiting) -> None:
        super().__init__()
        self.context = context

    def get_records(self, **asked: Any) -> dict[str, Any]:
        at = NOON + timedelta(seconds=self.context.passed)
        headers = {"date": at.strftime("%a, %d %b %Y %H:%M:%S GMT")}
        return {**super().get_records(**asked), "ResponseMetadata": {"HTTPHeaders": headers}}


def followed(seconds: float, prepare: Any, before: Followed | None = None) -> list[Followed]:
    """What each page says of a round of some seconds; `prepare` gets the stream as time passes."""
    context = Waiting(seconds)
    stream = Clocked(context)
    model = grown()
    stream.shards, stream.written = model.shards, model.written
    context.woken = lambda passed: prepare(stream, passed)
    prepare(stream, 0.0)
    start = begun(stream) if "other" in stream.shards else begun(ModelStream())
    source = StreamSource(
        Lineages(stream_arn="arn", opened_at=NOON, reading=start.reading),
        StreamCalls(stream, "arn"),
        context,
        before,
    )
    pages = source.pages(None, 0, Budget(Share(), context))
    return [page.followed for page in pages if isinstance(page.followed, Followed)]


def refused() -> ClientError:
    return ClientError({"Error": {"Code": "LimitExceededException", "Message": "a third reader"}}, "GetRecords")


def test_at_rest_the_lag_is_none_and_a_minute_of_empty_pages_settles_the_minute_before() -> None:
    last = followed(100, lambda *_: None)[-1]
    assert (last.lag_ms, last.failing) == (0, None)
    assert 30_000 <= last.through_ms - _START <= 45_000
    assert last.empty_since_ms > 0


def test_of_a_shard_that_is_refused_the_lag_grows_and_nothing_more_is_settled() -> None:
    def refuse(stream: ModelStream, passed: float) -> None:
        if passed >= 80:
            stream.failing["s3"] = refused()

    found = followed(200, refuse)
    last = found[-1]
    assert 100_000 < last.lag_ms < 125_000
    assert last.through_ms - _START < 25_000, "not past what was read of the refused shard"
    assert last.empty_since_ms == 0, "not all pages came empty"
    assert last.failing is not None
    assert last.failing.shard == "s3"
    assert [one.lag_ms for one in found if one.at_ms - _START < 79_000][-1] == 0


def test_what_was_not_read_between_is_not_taken_for_empty() -> None:
    def refuse(stream: ModelStream, passed: float) -> None:
        stream.failing = {"s3": refused()} if 20 <= passed < 100 else {}

    found = followed(130, refuse)
    assert found[-1].failing is None
    assert found[-1].lag_ms == 0
    assert found[-1].through_ms - _START < 20_000, "a minute of its own pages has to come empty again"


def test_a_round_begins_where_the_one_before_stood() -> None:
    before = Followed(through_ms=round(_START) - 5000, lag_ms=7000, at_ms=round(_START) - 60_000, shards=3)

    def refuse(stream: ModelStream, passed: float) -> None:
        stream.failing["s2"] = refused()
        stream.shards.setdefault("other", type(stream.shards["s0"])("other", None, range(0)))

    last = followed(20, refuse, before)[-1]
    assert last.through_ms == before.through_ms, "settled stays settled"
    assert 67_000 + 15_000 <= last.lag_ms <= 67_000 + 20_000
    assert last.failing is not None


def test_of_a_shard_that_was_never_read_the_lag_is_that_of_the_opening() -> None:
    context = Waiting(20)
    stream = Clocked(context)
    stream.shards["other"] = type(stream.shards["s0"])("other", None, range(0))
    stream.failing["s0"] = refused()
    both = begun(stream)
    lineages = Lineages(stream_arn="arn", opened_at=NOON, reading=both.reading)
    source = StreamSource(lineages, StreamCalls(stream, "arn"), context)
    last: Any = list(source.pages(None, 0, Budget(Share(), context)))[-1].followed
    assert 15_000 <= last.lag_ms <= 21_000
    assert (last.through_ms, last.failing.shard) == (0, "s0")
