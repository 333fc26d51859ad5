"""The engine's own stream of one shard, as the layer reads it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

from testbed.faults.engine import Engine
from testbed.faults.requests import table_name

_SERVICE = "DynamoDBStreams_20120810"
_PAGE = 1000  # records: the most that GetRecords hands out


class RealStream:
    """One stream of the engine, with its one shard. Its methods raise `EngineError`, aiohttp's errors."""

    def __init__(self, engine: Engine, arn: str) -> None:
        self._engine, self._arn = engine, arn
        self._shard = ""

    async def describe(self) -> dict[str, Any]:
        """The stream's description. Raises `ValueError` where it does not have one shard."""
        answer = await self._engine.ask("DescribeStream", {"StreamArn": self._arn}, _SERVICE)
        description: dict[str, Any] = answer["StreamDescription"]
        [shard] = description["Shards"]
        self._shard = shard["ShardId"]
        return description

    async def partition_key(self) -> str:
        """The name of the table's partition key. Not every engine has it in the stream's description."""
        await self.describe()
        table = (await self._engine.ask("DescribeTable", {"TableName": table_name(self._arn)}))["Table"]
        return next(str(part["AttributeName"]) for part in table["KeySchema"] if part["KeyType"] == "HASH")

    async def page(self, after: str | None, limit: int | None = None) -> list[Mapping[str, Any]]:
        """Records after a number; None: from the first that is kept."""
        if not self._shard:
            await self.describe()
        where: dict[str, Any] = {"ShardIteratorType": "TRIM_HORIZON"}
        if after is not None:
            where = {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "SequenceNumber": after}
        asked = {"StreamArn": self._arn, "ShardId": self._shard, **where}
        iterator = (await self._engine.ask("GetShardIterator", asked, _SERVICE))["ShardIterator"]
        page = {"ShardIterator": iterator, "Limit": limit or _PAGE}
        records: list[Mapping[str, Any]] = (await self._engine.ask("GetRecords", page, _SERVICE))["Records"]
        return records

    async def records(self, after: str | None) -> AsyncIterator[Mapping[str, Any]]:
        """All records after a number up to the first empty page, which is the end on these engines."""
        while found := await self.page(after):
            for record in found:
                yield record
            after = found[-1]["dynamodb"]["SequenceNumber"]
