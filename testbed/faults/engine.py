"""The engine behind the fault proxy: reading requests, forwarding them, and writing down what it did."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import aiohttp
import orjson
from yarl import URL

from testbed.faults.answers import Answer
from testbed.faults.draws import Call, Draws
from testbed.faults.requests import WRITES, Schema, Touched, tables_of, touched_by
from testbed.faults.truth import Tracker, Verdict, verdicts

#: What DynamoDB's protocol says in headers; the rest is about connections and software, and costs time.
_PASSED = ("x-amz", "content-type", "authorization")
_ENGINE_WAIT = 30.0  # seconds for DeleteTable or CreateTable to take effect; embedded engines need none
#: Embedded engines want these present and do not check them; used until a client has shown its own.
_ANYONE = {
    "Content-Type": "application/x-amz-json-1.0",
    "X-Amz-Date": "20260101T000000Z",
    "Authorization": "AWS4-HMAC-SHA256 Credential=anyone/20260101/us-east-1/dynamodb/aws4_request, "
    "SignedHeaders=host, Signature=0",
}
#: What CreateTable takes back of what DescribeTable tells.
_TABLE_FIELDS = ("AttributeDefinitions", "KeySchema", "StreamSpecification")
_INDEX_FIELDS = ("IndexName", "KeySchema", "Projection")


class EngineError(ValueError):
    """The engine refused what the proxy itself asked of it; the text is its answer."""


class Engine:
    """One DynamoDB engine. Only for engines that do not check signatures: bodies are changed on the way."""

    def __init__(self, target: str, session: aiohttp.ClientSession) -> None:
        self._url, self._session = URL(target).with_path("/"), session
        self._schemas: dict[str, Schema] = {}
        self._last_headers: Mapping[str, str] = _ANYONE

    async def read(self, headers: Mapping[str, str], body: bytes, draws: Draws) -> Call:
        """Understand a request: its operation, tables and, for writes, items."""
        kept = _passed(headers)
        operation = headers.get("X-Amz-Target", "").rpartition(".")[2]
        try:
            request = orjson.loads(body)
            tables = tables_of(operation, request)
        except (ValueError, LookupError, TypeError, AttributeError):
            return Call(operation, kept, body, {}, (), (), operation in WRITES, "")
        touched = await self._touched(operation, request, tables, kept, draws)
        writes = operation in WRITES and bool(touched)
        return Call(operation, kept, body, request, tables, touched, writes, self._arn(tables))

    def _arn(self, tables: list[str]) -> str:
        """Of the first table; a likely one where the table was not looked at yet."""
        schema = self._schemas.get(tables[0]) if tables else None
        if schema is not None and schema.arn:
            return schema.arn
        return f"arn:aws:dynamodb:us-east-1:000000000000:table/{tables[0]}" if tables else ""

    async def _touched(
        self,
        operation: str,
        request: Mapping[str, Any],
        tables: list[str],
        headers: dict[str, str],
        draws: Draws,
    ) -> list[Touched]:
        self._last_headers = headers
        if operation not in WRITES and not draws.wants_read_keys:
            return []
        for table in tables:
            if table not in self._schemas:
                await self._learn(table)
        try:
            return touched_by(operation, request, self._schemas, draws.plan.stamp)
        except (ValueError, LookupError, TypeError, AttributeError):  # a malformed batch: the engine refuses it
            return []

    async def _learn(self, table: str) -> None:
        """Get the table's key schema; a missing table stays unknown and is asked for again."""
        try:
            described = (await self.ask("DescribeTable", {"TableName": table}))["Table"]
        except (EngineError, aiohttp.ClientError, OSError):
            return
        keys = {entry["KeyType"]: entry["AttributeName"] for entry in described["KeySchema"]}
        self._schemas[table] = Schema(keys["HASH"], keys.get("RANGE"), described.get("TableArn", ""))

    async def forward(self, call: Call, tracker: Tracker) -> Answer | None:
        """Send the call to the engine, write down what it did, return its answer; None if there was none."""
        tracker.pending += 1
        try:
            async with self._session.post(self._url, data=call.body, headers=call.headers) as response:
                body = await response.read()
        except aiohttp.ClientConnectorError:  # never got there, so nothing was forwarded
            tracker.engine_lost += 1
            return None
        except (aiohttp.ClientError, OSError):
            tracker.engine_lost += 1
            if call.writes:
                tracker.record(call.touched, [Verdict.UNKNOWN] * len(call.touched))
            return None
        finally:
            tracker.pending -= 1
        if call.writes:
            tracker.record(call.touched, self._verdicts(call, response.status, body))
        elif call.operation in ("CreateTable", "DeleteTable"):  # the name may now stand for another schema
            for table in call.tables:
                self._schemas.pop(table, None)
        return Answer(response.status, _passed(response.headers), body)

    def _verdicts(self, call: Call, status: int, body: bytes) -> list[Verdict]:
        try:
            return verdicts(call.operation, call.touched, status, body, self._schemas)
        except (ValueError, LookupError, TypeError, AttributeError):  # an answer that makes no sense
            return [Verdict.UNKNOWN] * len(call.touched)

    async def ask(
        self, operation: str, request: Mapping[str, Any], service: str = "DynamoDB_20120810"
    ) -> dict[str, Any]:
        """A call of the proxy's own, in the name of the last client. Raises `EngineError`, aiohttp's errors."""
        headers = {**self._last_headers, "X-Amz-Target": f"{service}.{operation}"}
        async with self._session.post(self._url, data=orjson.dumps(request), headers=headers) as response:
            body = await response.read()
        if response.status != 200:
            raise EngineError(body.decode(errors="replace"))
        answer: dict[str, Any] = orjson.loads(body)
        return answer

    async def recreate(self, table: str) -> None:
        """Delete the table and create it again, empty, with the same schema, indexes and stream.

        Tags, time to live, backups, policies and scaling are not carried over. Raises `EngineError`.
        """
        new = await self._definition(table)
        await self.delete(table)
        await self._create(new)
        self._schemas.pop(table, None)

    async def create_like(self, table: str, name: str) -> None:
        """Create an empty table with the same keys and indexes, without a stream. Raises `EngineError`."""
        new = await self._definition(table)
        new.pop("StreamSpecification", None)
        await self._create({**new, "TableName": name})

    async def delete(self, table: str) -> None:
        """Delete the table, and return when it is gone. Raises `EngineError`."""
        await self.ask("DeleteTable", {"TableName": table})
        await self._until(table, there=False)

    async def _create(self, definition: Mapping[str, Any]) -> None:
        await self.ask("CreateTable", definition)
        await self._until(definition["TableName"], there=True)

    async def _definition(self, table: str) -> dict[str, Any]:
        """What CreateTable is to be given for a table just like this one."""
        old = (await self.ask("DescribeTable", {"TableName": table}))["Table"]
        new = {"TableName": table} | {name: old[name] for name in _TABLE_FIELDS if old.get(name)}
        if old.get("BillingModeSummary", {}).get("BillingMode") == "PAY_PER_REQUEST":
            new["BillingMode"] = "PAY_PER_REQUEST"
        new |= _throughput(old, new)
        for kind in ("GlobalSecondaryIndexes", "LocalSecondaryIndexes"):
            if old.get(kind):
                new[kind] = [
                    {name: index[name] for name in _INDEX_FIELDS} | _throughput(index, new)
                    for index in old[kind]
                ]
        return new

    async def _until(self, table: str, *, there: bool) -> None:
        async with asyncio.timeout(_ENGINE_WAIT):
            while True:
                try:
                    described = await self.ask("DescribeTable", {"TableName": table})
                    if there and described["Table"]["TableStatus"] == "ACTIVE":
                        return
                except EngineError:
                    if not there:
                        return
                await asyncio.sleep(0.05)  # seconds; engines need none or a few of these


def _passed(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: text for name, text in headers.items() if name.lower().startswith(_PASSED)}


def _throughput(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """The provisioned capacity of a table or index, where the new table has one."""
    units = old.get("ProvisionedThroughput", {})
    if new.get("BillingMode") == "PAY_PER_REQUEST" or not units:
        return {}
    return {
        "ProvisionedThroughput": {name: units[name] for name in ("ReadCapacityUnits", "WriteCapacityUnits")}
    }
