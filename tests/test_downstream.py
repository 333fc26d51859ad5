"""The demo's consumer: it counts the events of one run, each, from the stream's beginning."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from commands.running.downstream import Downstream, Seen
from testbed.embedded import Engine
from tests.tables import Table

STAMP = "reindexRun"


@pytest.fixture
def streamed(
    each_engine: Engine, each_dynamodb: Any, make_table: Any, monkeypatch: pytest.MonkeyPatch
) -> tuple[Table, str]:
    """A table and the ARN of its stream."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB_STREAMS", each_engine.endpoint_url)
    table: Table = make_table()
    stream = {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"}
    each_dynamodb.update_table(TableName=table.name, StreamSpecification=stream)
    return table, each_dynamodb.describe_table(TableName=table.name)["Table"]["LatestStreamArn"]


def test_only_this_runs_events_count_those_before_it_came_too(streamed: tuple[Table, str]) -> None:
    table, arn = streamed
    table.fill(30)
    table.fill(20, **{STAMP: {"S": "ours"}})
    with Downstream(arn, STAMP) as downstream:
        assert downstream.seen("ours", 20) == Seen(events=20, records=20)
        table.fill(40, **{STAMP: {"S": "another"}})
        assert downstream.seen("another", 40) == Seen(events=40, records=40)
        assert downstream.seen("ours", 20) == Seen(events=20, records=20)


def test_a_record_changed_twice_is_two_events(streamed: tuple[Table, str]) -> None:
    table, arn = streamed
    table.fill(3, **{STAMP: {"S": "ours"}})
    table.fill(1, **{STAMP: {"S": "ours"}, "again": {"S": "yes"}})
    with Downstream(arn, STAMP) as downstream:
        assert downstream.seen("ours", 3) == Seen(events=4, records=3)


def test_what_does_not_come_is_waited_for_no_longer_than_events_arrive(
    streamed: tuple[Table, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("commands.running.downstream._QUIET", 0.5)
    table, arn = streamed
    table.fill(2, **{STAMP: {"S": "ours"}})
    with Downstream(arn, STAMP) as downstream:
        assert downstream.seen("ours", 3) == Seen(events=2, records=2)


def test_a_stream_that_cannot_be_read_is_an_error_not_a_zero(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB_STREAMS", engine.endpoint_url)
    arn = "arn:aws:dynamodb:us-east-1:000000000000:table/nothing/stream/2026-01-01T00:00:00.000"
    with Downstream(arn, STAMP) as downstream, pytest.raises(ClientError, match="ResourceNotFound"):
        downstream.seen("ours", 1)
