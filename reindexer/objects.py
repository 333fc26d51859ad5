"""One object in S3, written from a stream: in parts, so that memory does not grow with it."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import boto3
from boto3.exceptions import S3UploadFailedError
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError

from reindexer.errors import BadInput
from reindexer.settings import aws_region

#: Bytes of a part: 10,000 of them, S3's limit, are 160 GB. Up to ten parts are held at a time.
_PART_BYTES = 16 * 1024 * 1024
_PARTS_AT_ONCE = 4  # more do not help one stream
_URL = re.compile(r"s3://(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])/(?P<key>.{1,1024})")
_SAYS = {
    "NoSuchBucket": "there is no bucket {bucket}",
    "AccessDenied": "s3:PutObject on {bucket}/{key} is denied",
    "403": "s3:PutObject on {bucket}/{key} is denied",
    "PermanentRedirect": "bucket {bucket} is in another Region; set AWS_REGION to it",
    "InvalidAccessKeyId": "the credentials are not known to S3",
    "SignatureDoesNotMatch": "the credentials are not those that S3 knows",
}


class ObjectPlace(NamedTuple):
    bucket: str
    key: str

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.key}"


def object_place(text: str) -> ObjectPlace | None:
    """What an `s3://` URL names; None for anything else. Raises `BadInput` for one that names no object."""
    if not text.startswith("s3://"):
        return None
    match = _URL.fullmatch(text)
    if match is None or match["key"].endswith("/"):
        raise BadInput(f"should be s3://BUCKET/KEY (given: {text})", "--output")
    return ObjectPlace(match["bucket"], match["key"])


def write_object(place: ObjectPlace, lines: Iterable[bytes]) -> None:
    """Upload the lines; the object is there once all of them are, or not at all.

    Raises `BadInput` where the bucket is not there or may not be written, and what `lines` raises.
    """
    config = TransferConfig(
        multipart_threshold=_PART_BYTES, multipart_chunksize=_PART_BYTES, max_concurrency=_PARTS_AT_ONCE
    )
    client: Any = boto3.session.Session(region_name=aws_region()).client("s3")
    stream = io.BufferedReader(_Stream(iter(lines)))  # whose reads are whole parts
    try:
        client.upload_fileobj(stream, place.bucket, place.key, Config=config)
    except (ClientError, S3UploadFailedError) as error:
        code = error.response["Error"]["Code"] if isinstance(error, ClientError) else ""
        says = _SAYS.get(code, f"could not be written: {error}").format(bucket=place.bucket, key=place.key)
        raise BadInput(f"{place}: {says}", "--output") from error


class _Stream(io.RawIOBase):
    """The lines as a file that is read once, from its beginning."""

    def __init__(self, lines: Iterator[bytes]) -> None:
        self._lines = lines
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        """As many bytes as there are at hand; 0 at the end."""
        while not self._rest:
            line = next(self._lines, None)
            if line is None:
                return 0
            self._rest = line
        taken = min(len(buffer), len(self._rest))
        buffer[:taken], self._rest = self._rest[:taken], self._rest[taken:]
        return taken
