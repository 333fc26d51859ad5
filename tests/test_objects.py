"""Writing an object to S3 from a stream."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws
from moto.core import set_initial_no_auth_action_count

from reindexer.errors import BadInput
from reindexer.objects import ObjectPlace, object_place, write_object

PLACE = ObjectPlace("found-here", "a/b c.jsonl")
LINE = os.urandom(1024 * 1024)


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name, value in (
        ("AWS_ACCESS_KEY_ID", "a"),
        ("AWS_SECRET_ACCESS_KEY", "b"),
        ("AWS_REGION", "us-east-1"),
    ):
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with mock_aws():
        client: Any = boto3.client("s3")
        client.create_bucket(Bucket=PLACE.bucket)
        yield client


def content(s3: Any) -> bytes:
    found: bytes = s3.get_object(Bucket=PLACE.bucket, Key=PLACE.key)["Body"].read()
    return found


@pytest.mark.parametrize("lines", [[], [b"one\n", b"", b"two\n"]])
def test_the_lines_are_the_object(s3: Any, lines: list[bytes]) -> None:
    write_object(PLACE, lines)
    assert content(s3) == b"".join(lines)


def test_a_long_stream_goes_in_parts_and_is_never_held_whole(s3: Any) -> None:
    write_object(PLACE, (LINE for _ in range(20)))
    assert content(s3) == LINE * 20
    parts = s3.head_object(Bucket=PLACE.bucket, Key=PLACE.key)["ETag"].strip('"').split("-")[1]
    assert parts == "2", "16 MB each"


def test_a_stream_that_fails_leaves_no_object(s3: Any) -> None:
    def lines() -> Iterator[bytes]:
        for _ in range(20):
            yield LINE
        raise BadInput("the ledger is gone")

    with pytest.raises(BadInput, match="the ledger is gone"):
        write_object(PLACE, lines())
    assert s3.list_objects_v2(Bucket=PLACE.bucket)["KeyCount"] == 0
    assert not s3.list_multipart_uploads(Bucket=PLACE.bucket).get("Uploads")


def test_a_bucket_that_is_not_there_is_named(s3: Any) -> None:
    del s3
    with pytest.raises(BadInput, match="there is no bucket not-there"):
        write_object(ObjectPlace("not-there", "a"), [b"x"])


def test_without_permission_the_action_is_named(s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    del s3
    iam: Any = boto3.client("iam")
    iam.create_user(UserName="reader")
    key = iam.create_access_key(UserName="reader")["AccessKey"]
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", key["AccessKeyId"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", key["SecretAccessKey"])
    write = set_initial_no_auth_action_count(0)(write_object)
    with pytest.raises(BadInput, match="s3:PutObject on found-here/a/b c"):
        write(PLACE, [b"x"])


@pytest.mark.parametrize("text", ["s3://", "s3://bucket", "s3://bucket/", "s3://bucket/a/", "s3://B_/a"])
def test_what_names_no_object_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="s3://BUCKET/KEY"):
        object_place(text)


def test_a_file_is_no_object() -> None:
    assert object_place("found.jsonl") is None
    assert object_place("s3://bucket/a/b.jsonl") == ObjectPlace("bucket", "a/b.jsonl")
