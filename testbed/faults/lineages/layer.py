"""Serving the calls of Streams for the shards that were drawn."""

from __future__ import annotations

import asyncio
import base64
import itertools
import time
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import orjson

from testbed.faults.answers import Answer, error_answer, json_answer
from testbed.faults.draws import Call
from testbed.faults.engine import Engine, EngineError
from testbed.faults.lineages.graph import Graph, Shard, partition_hash, value
from testbed.faults.lineages.models import Adjust, Drawn, Handed, LineageTruth, Trim
from testbed.faults.lineages.real_stream import RealStream
from testbed.faults.requests import key_text

_ITERATOR_SECONDS = 900.0  # DynamoDB's 15 minutes
_READER_SECONDS = 1.0  # for which a reader counts after its last call
_BY_TIME_TO_LIVE = {"PrincipalId": "dynamodb.amazonaws.com", "Type": "Service"}


class Refused(Exception):
    """An error that DynamoDB would answer, by its code."""


class LineageLayer:
    """One stream, as the shards that were drawn over it. Lives in one event loop."""

    def __init__(self, engine: Engine, arn: str) -> None:
        self.graph = Graph()
        self.settings = Adjust(stream=arn)
        self.trim = Trim(stream=arn)
        self.clock_ahead = 0.0  # seconds
        self._real = RealStream(engine, arn)
        self._handed_out: defaultdict[str, list[Handed]] = defaultdict(list)
        self._tip: str | None = None
        self._readers: defaultdict[str, dict[int, float]] = defaultdict(dict)
        self._iterators = itertools.count()
        self._partition_key = ""
        self._listing: list[Shard] = []  # that pages after the first belong to
        # While borders are drawn no records are handed out: they could lie beyond the border.
        self.lock = asyncio.Lock()

    async def begin(self) -> None:
        """Look whether the engine has such a stream. Raises `EngineError`, `ValueError`."""
        self._partition_key = await self._real.partition_key()

    async def tip(self) -> str | None:
        """The number of the last record written."""
        async for record in self._real.records(self._tip):
            self._tip = record["dynamodb"]["SequenceNumber"]
        return self._tip

    async def answer(self, call: Call) -> Answer:
        """What DynamoDB would answer."""
        serve = {
            "DescribeStream": self._describe,
            "GetShardIterator": self._iterator,
            "GetRecords": self._records,
        }[call.operation]
        async with self.lock:
            try:
                return json_answer(200, orjson.dumps(await serve(call.request)))
            except Refused as refused:
                return error_answer(str(refused))
            except EngineError as error:
                return json_answer(400, str(error).encode())
            except (ValueError, LookupError, TypeError):  # of a request that makes no sense
                return error_answer("ValidationException")

    async def _describe(self, request: Mapping[str, Any]) -> dict[str, Any]:
        description = await self._real.describe()
        start = request.get("ExclusiveStartShardId")
        # Pages belong to one listing: only its first brings what is hidden nearer.
        shown = self.graph.listed() if start is None else self._listing
        self._listing = shown
        only = request.get("ShardFilter", {}).get("ShardId")
        shown = [shard for shard in shown if only is None or shard.parent == only]
        if start is not None:
            shown = shown[1 + [shard.id for shard in shown].index(start) :]
        most = self.settings.page_shards or 100  # DynamoDB's own limit
        page = shown[:most]
        description["Shards"] = [self._listed(shard) for shard in page]
        description.pop("LastEvaluatedShardId", None)
        if len(shown) > most:
            description["LastEvaluatedShardId"] = page[-1].id
        return {"StreamDescription": description}

    def _listed(self, shard: Shard) -> dict[str, Any]:
        numbers = {"StartingSequenceNumber": shard.shown(shard.after or "0" * 21)}
        if not shard.open and not shard.shown_open_for:
            numbers["EndingSequenceNumber"] = shard.shown(shard.end or "0" * 21)
        shard.shown_open_for = max(0, shard.shown_open_for - 1)
        parent = {} if shard.parent is None else {"ParentShardId": shard.parent}
        return {"ShardId": shard.id, "SequenceNumberRange": numbers, **parent}

    async def _iterator(self, request: Mapping[str, Any]) -> dict[str, Any]:
        shard = self._shard(request["ShardId"])
        after: str | None = None
        match request["ShardIteratorType"]:
            case "TRIM_HORIZON":
                pass
            case "AFTER_SEQUENCE_NUMBER":
                after = shard.real(request["SequenceNumber"])
                if self.trim.fails == "GetShardIterator":
                    self._check_kept(after)
            case _:  # LATEST and AT_…: what reads from there loses records, or reads one twice
                raise ValueError("this layer serves TRIM_HORIZON and AFTER_SEQUENCE_NUMBER")
        return {"ShardIterator": self._token(shard, after, next(self._iterators))}

    async def _records(self, request: Mapping[str, Any]) -> dict[str, Any]:
        name, after, issued, reader = orjson.loads(base64.urlsafe_b64decode(request["ShardIterator"]))
        if self._now() - issued > _ITERATOR_SECONDS:
            raise Refused("ExpiredIteratorException")
        shard = self._shard(name)
        self._check_kept(after)
        self._check_readers(shard, reader)
        start = max((after, shard.after, self.graph.trimmed), key=value)
        at, found = start, []
        for record in await self._real.page(start, request.get("Limit")):
            number = record["dynamodb"]["SequenceNumber"]
            if shard.beyond(number):
                break
            at = number
            if shard.holds(number, partition_hash(record["dynamodb"]["Keys"], self._partition_key)):
                found.append(self._handed(shard, record))
        answer: dict[str, Any] = {"Records": found}
        if shard.open or value(at) < value(shard.end):
            # The position stays None as long as it is the shard's beginning: then nothing was missed by a trim.
            going_on = after if at == start and after is None else at
            answer["NextShardIterator"] = self._token(shard, going_on, reader)
        return answer

    def _handed(self, shard: Shard, record: Mapping[str, Any]) -> dict[str, Any]:
        change = dict(record["dynamodb"])
        change["SequenceNumber"] = shard.shown(change["SequenceNumber"])
        handed = _as_handed(shard, record)
        self._handed_out[shard.id].append(handed)
        by = {}
        if record["eventName"] == "REMOVE" and handed.key in self.settings.expired:
            by = {"userIdentity": _BY_TIME_TO_LIVE}
        return {**record, "dynamodb": change, **by}

    async def truth(self) -> LineageTruth:
        """What was written and what was handed out."""
        written = []
        async for record in self._real.records(None):
            change = record["dynamodb"]
            partition = partition_hash(change["Keys"], self._partition_key)
            written.append(_as_handed(self.graph.shard_of(change["SequenceNumber"], partition), record))
        shards = [
            Drawn(shard=shard.id, parent=shard.parent, open=shard.open) for shard in self.graph.shards.values()
        ]
        return LineageTruth(shards=shards, written=written, handed_out=self._handed_out)

    def _shard(self, name: str) -> Shard:
        shard = self.graph.shards.get(name)
        if shard is None or self.graph.gone(shard):
            raise Refused("ResourceNotFoundException")
        return shard

    def _check_kept(self, after: str | None) -> None:
        if after is not None and value(after) < value(self.graph.trimmed):
            raise Refused("TrimmedDataAccessException")

    def _check_readers(self, shard: Shard, reader: int) -> None:
        now, seen = time.monotonic(), self._readers[shard.id]
        others = sum(now - at < _READER_SECONDS for other, at in seen.items() if other != reader)
        if shard.id in self.settings.refused:
            raise Refused("LimitExceededException")
        if self.settings.readers is not None and others >= self.settings.readers:
            raise Refused("LimitExceededException")
        seen[reader] = now

    def _now(self) -> float:
        return time.monotonic() + self.clock_ahead

    def _token(self, shard: Shard, after: str | None, reader: int) -> str:
        return base64.urlsafe_b64encode(orjson.dumps([shard.id, after, self._now(), reader])).decode()


def _as_handed(shard: Shard, record: Mapping[str, Any]) -> Handed:
    change = record["dynamodb"]
    return Handed(
        shard=shard.id,
        sequence_number=shard.shown(change["SequenceNumber"]),
        key=key_text(change["Keys"]),
        kind=record["eventName"],
    )
