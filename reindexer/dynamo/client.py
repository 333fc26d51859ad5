"""Making boto3's DynamoDB client: no hidden retries, short time-outs, checked answers."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ChecksumError

from reindexer.errors import EnvironmentFault, one_line

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


def make_client(*, region: str | None = None, pool: int = 32) -> DynamoDBClient:
    """A DynamoDB client for counted work: each call is one attempt, so that every answer is seen.

    Endpoint, region and credentials come from AWS's own settings. `pool` is the most calls in flight at once.
    Raises `EnvironmentFault` where AWS's settings do not suffice (no region, broken profile).
    """
    config = Config(
        retries={
            "total_max_attempts": 1
        },  # a hidden retry turns "applied" into "refused" and ruins the counts
        parameter_validation=False,  # ours is typed and fixed; it costs 39 % of a batch call
        max_pool_connections=pool,
        tcp_keepalive=True,
        connect_timeout=3,  # seconds; a connect failure is known not to have been applied, so fail fast
        read_timeout=5,  # seconds; DynamoDB answers in milliseconds, and botocore's 60 would stall a pause
    )
    try:
        client = boto3.session.Session(region_name=region).client("dynamodb", config=config)
    except BotoCoreError as error:
        raise EnvironmentFault(type(error).__name__, one_line(error)) from error
    client.meta.events.register("before-parse.dynamodb", _check_crc32)
    return client


def _check_crc32(response_dict: dict[str, Any], **_: Any) -> None:
    """Refuse an answer that was damaged on the way: with retries off botocore itself would let it pass."""
    expected = response_dict["headers"].get("x-amz-crc32")
    if expected is None:
        return
    actual = zlib.crc32(response_dict["body"]) & 0xFFFFFFFF  # CRC32 is 32 bits, unsigned
    if actual != int(expected):
        raise ChecksumError(checksum_type="crc32", expected_checksum=expected, actual_checksum=str(actual))
