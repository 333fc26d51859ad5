"""What the lean transport makes of the answers to its calls."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.httpsession import URLLib3Session

from reindexer.answers import Action, CallFailed
from reindexer.streams.client import StreamCalls, make_streams_client

pytestmark = pytest.mark.unit


class _Answer:
    status_code = 200
    headers: dict[str, str] = {}  # noqa: RUF012 – never changed

    def __init__(self, content: bytes) -> None:
        self.content = content


def records(answer: bytes, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Of a page of a stream that travels as `answer`."""
    for name, value in (("REGION", "eu-central-1"), ("ACCESS_KEY_ID", "k"), ("SECRET_ACCESS_KEY", "s")):
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setattr(URLLib3Session, "send", lambda *_: _Answer(answer))
    return StreamCalls(make_streams_client(), "arn").records("iterator", 10)[0]


def test_a_stream_record_without_an_image_and_with_more_than_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = b"""{"Records": [{"eventName": "INSERT", "new": [1], "userIdentity": null,
        "dynamodb": {"Keys": {"B": {"B": "gA=="}}, "OldImage": null,
        "ApproximateCreationDateTime": 5}}], "more": 1}"""
    [record] = records(answer, monkeypatch)
    known = {"Keys": {"B": {"B": b"\x80"}}, "OldImage": None, "ApproximateCreationDateTime": 5.0}
    assert record == {"eventName": "INSERT", "userIdentity": None, "dynamodb": known}


@pytest.mark.parametrize(
    "answer",
    [b"", b"{}", b'{"Records": null}', b'{"Records": [3]}', b'{"Records": [{"dynamodb": 3}]}', b'{"Re'],
)
def test_a_page_of_a_stream_that_is_none_is_asked_for_again(
    answer: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It does not look like the end of the shard."""
    with pytest.raises(CallFailed) as failed:
        records(answer, monkeypatch)
    assert failed.value.failure.action is Action.RETRY
