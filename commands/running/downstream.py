"""The demo's consumer: it reads the table's stream and counts what arrives, as an indexer would."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from threading import Event
from typing import Any, Self

import boto3
import orjson
from botocore.config import Config

from reindexer.settings import aws_region

#: Seconds between reads that find little: a full page is followed by the next at once.
_POLL = 0.2
_FULL = 500  # records; DynamoDB's pages end at 1 MB or 1,000 of them, which is 700 cities or more
#: Seconds without a new event at the stream's end after which no more are expected: engines on this machine
#: publish in milliseconds.
_QUIET = 3.0


@dataclass(frozen=True)
class Seen:
    """What arrived of one run: `events`, and how many different `records` they are of."""

    events: int
    records: int


class Downstream:
    """Reads the stream from its beginning, in a thread, as long as `with` lasts.

    Shards are read side by side: engines on this machine have one that never ends.
    """

    def __init__(self, stream_arn: str, stamp: str) -> None:
        """`stamp`: the attribute whose value names the run that wrote."""
        self._arn, self._stamp = stream_arn, stamp
        self._events: Counter[str] = Counter()
        self._keys: defaultdict[str, set[bytes]] = defaultdict(set)
        self._stop, self._at_end = Event(), Event()
        self._exits = ExitStack()
        self._reading: Future[None] | None = None

    def __enter__(self) -> Self:
        pool = self._exits.enter_context(ThreadPoolExecutor(1))
        self._exits.callback(self._stop.set)
        self._reading = pool.submit(self._read)
        return self

    def __exit__(self, *_: object) -> None:
        self._exits.close()

    def seen(self, run: str, records: int) -> Seen:
        """What arrived of a run that has ended: all that the stream has, waiting a while for this many records.

        Raises botocore's errors where the stream cannot be read.
        """
        assert self._reading is not None
        self._at_end.clear()
        now, since = self._count(run), time.monotonic()
        while not self._reading.done():
            at_end = self._at_end.is_set()  # before counting: then all of it is counted
            if (after := self._count(run)) != now:
                now, since = after, time.monotonic()
            elif at_end and (now.records >= records or time.monotonic() - since > _QUIET):
                return now
            time.sleep(0.05)  # seconds; too short to notice
        self._reading.result()  # raises what ended it
        return self._count(run)

    def _count(self, run: str) -> Seen:
        return Seen(self._events[run], len(self._keys.get(run, ())))

    def _read(self) -> None:
        client = _client()
        shards = client.describe_stream(StreamArn=self._arn)["StreamDescription"]["Shards"]
        iterators = [
            client.get_shard_iterator(
                StreamArn=self._arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
            )["ShardIterator"]
            for shard in shards
        ]
        while iterators and not self._stop.is_set():
            pages = [client.get_records(ShardIterator=iterator) for iterator in iterators]
            for page in pages:
                self._add(page["Records"])
            iterators = [page["NextShardIterator"] for page in pages if page.get("NextShardIterator")]
            most = max(len(page["Records"]) for page in pages)
            if not most:
                self._at_end.set()
            if most < _FULL:
                self._stop.wait(_POLL)

    def _add(self, records: list[dict[str, Any]]) -> None:
        for record in records:
            change = record["dynamodb"]
            run = change.get("NewImage", {}).get(self._stamp, {}).get("S")
            if run is not None:
                self._events[run] += 1
                self._keys[run].add(orjson.dumps(change["Keys"]))


def _client() -> Any:
    """A client for streams, at AWS_ENDPOINT_URL_DYNAMODB_STREAMS: AWS_ENDPOINT_URL_DYNAMODB is not for it."""
    # dynoxide's shard ids are shorter than AWS's, and boto3 would refuse to send them.
    client: Any = boto3.client(
        "dynamodbstreams", region_name=aws_region(), config=Config(parameter_validation=False)
    )
    client.meta.events.register("before-parse.dynamodb-streams.GetRecords", _keep_records)
    return client


def _keep_records(response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_: Any) -> None:
    """Bypass boto3's parser, which takes ten times as long for a city as orjson."""
    if response_dict["status_code"] == 200:
        answer = orjson.loads(response_dict["body"])
        customized_response_dict["Records"] = answer.pop("Records", [])
        response_dict["body"] = orjson.dumps(answer)
