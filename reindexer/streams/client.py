"""The client of DynamoDB Streams, and its calls on one stream: each one honest attempt."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Executor
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeAlias

from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from reindexer.answers import Action, CallFailed, Failure
from reindexer.dynamo.client import plain_client
from reindexer.dynamo.roles import Role
from reindexer.dynamo.transport import LeanClient
from reindexer.streams.taxonomy import of_stream_call

#: Records, next iterator, the service's time.
Records: TypeAlias = tuple[list[dict[str, Any]], str | None, datetime]

#: What a call can raise that has a meaning; anything else is a defect of ours and must surface as one.
_CALL_ERRORS = (ClientError, BotoCoreError, ResponseParserError, OSError)


def make_streams_client(
    *, region: str | None = None, endpoint: str | None = None, role: Role | None = None, pool: int = 32
) -> Any:
    """A client without hidden retries, with short time-outs and checked answers.

    Where no `endpoint` is given it is AWS_ENDPOINT_URL_DYNAMODB_STREAMS, or AWS's: AWS_ENDPOINT_URL_DYNAMODB is
    not for streams. `pool`: most calls in flight at once. Raises `EnvironmentFault` as `make_client` does.
    """
    made = plain_client("dynamodbstreams", region=region, pool=pool, endpoint=endpoint, role=role)
    return LeanClient(*made)


class StreamCalls:
    """The calls on one stream. Nothing here retries. Thread-safe, as boto3 clients are."""

    def __init__(self, client: Any, stream_arn: str, ahead: Executor | None = None) -> None:
        self._client, self.arn = client, stream_arn
        #: Where calls are made that are not waited for at once; None: none is.
        self.ahead = ahead

    def describe(
        self, start: str | None = None, children_of: str | None = None
    ) -> tuple[dict[str, Any], datetime]:
        """One page of DescribeStream: the description, and when it was given by the service's clock.

        Raises `CallFailed`, also for an answer that is not complete: it would look like a stream without
        shards.
        """
        more: dict[str, Any] = {} if start is None else {"ExclusiveStartShardId": start}
        if children_of is not None:
            more["ShardFilter"] = {"Type": "CHILD_SHARDS", "ShardId": children_of}
        answer = self._call("describe_stream", StreamArn=self.arn, **more)
        description = answer.get("StreamDescription") or {}
        if not isinstance(description.get("Shards"), list):
            raise CallFailed(_torn("describe_stream"))
        return description, _date(answer)

    def iterator(self, shard: str, after: str | None) -> str:
        """An iterator that begins after a sequence number; None: at the first record kept. Raises `CallFailed`.

        Never LATEST: an idle shard would have no number to go on from.
        """
        where: dict[str, Any] = {"ShardIteratorType": "TRIM_HORIZON"}
        if after is not None:
            where = {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "SequenceNumber": after}
        answer = self._call("get_shard_iterator", StreamArn=self.arn, ShardId=shard, **where)
        iterator = answer.get("ShardIterator")
        if not isinstance(iterator, str):
            raise CallFailed(_torn("get_shard_iterator"))
        return iterator

    def records(self, iterator: str, limit: int) -> Records:
        """(records, next iterator, the service's time). No next iterator: the shard has ended. Raises too."""
        answer = self._call("get_records", ShardIterator=iterator, Limit=limit)
        if not isinstance(answer.get("Records"), list):
            raise CallFailed(_torn("get_records"))
        return answer["Records"], answer.get("NextShardIterator") or None, _date(answer)

    def _call(self, operation: str, **parameters: Any) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = getattr(self._client, operation)(**parameters)
        except _CALL_ERRORS as error:
            raise CallFailed(of_stream_call(error)) from error
        return answer


def _torn(operation: str) -> Failure:
    message = f"{operation}: the answer is not complete"
    return Failure("IncompleteAnswer", message, Action.RETRY, False, "server_errors")


def _date(answer: Mapping[str, Any]) -> datetime:
    """The answer's time by the service's clock, in whole seconds; by ours, where it has none."""
    headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    try:
        return parsedate_to_datetime(headers["date"]).astimezone(UTC)
    except (KeyError, ValueError):
        return datetime.now(UTC)
