"""Reads that lag: answered from a copy of the table that gets each write `seconds` later.

The copy is a table of the same engine with the same keys and indexes, so that filters, projections, segments
and cursors mean there what they mean on the table itself. Writes that do not pass the proxy never reach a copy.
SELECT statements of PartiQL do not lag.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from testbed.faults.answers import Answer, json_answer
from testbed.faults.draws import Call
from testbed.faults.engine import Engine
from testbed.faults.plan import Fault, FaultKind
from testbed.faults.requests import key_text, table_name

_SUFFIX = ".lagging"  # of a copy's name; long and odd enough to be replaced in an answer as text
_WRITES, _READS = 25, 100  # DynamoDB's limits of BatchWriteItem and BatchGetItem
_TICK = 0.02  # seconds; short against any lag
_BY_TABLE = frozenset(("Scan", "Query", "GetItem"))

#: An item as it was after a write, None: gone; by its key, as `key_text` has it.
Images = Mapping[str, Mapping[str, Any] | None]


@dataclass
class _Copy:
    """One table's copy, and what has still to reach it, in order."""

    table: str
    seconds: float
    coming: deque[tuple[float, Images]] = field(default_factory=deque)
    feeder: asyncio.Task[None] | None = None

    @property
    def name(self) -> str:
        return self.table + _SUFFIX


class Lagging:
    """The copies of all tables that lag. Lives in one event loop."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._copies: dict[str, _Copy] = {}
        self._left: set[str] = set()  # names of copies that a reset deletes; a read may be under way till then

    async def follow(self, faults: Iterable[Fault]) -> None:
        """Copy each table that lags from now on. Raises `EngineError` for one that is not there."""
        lags = [fault for fault in faults if fault.kind is FaultKind.LAG]
        wanted = {table: fault.duration for fault in lags for table in fault.tables or ()}
        for table in self._copies.keys() - wanted.keys():
            self._stop(self._copies.pop(table))
        for table, seconds in wanted.items():
            if table in self._copies:
                self._copies[table].seconds = seconds
            else:
                await self._begin(_Copy(table, seconds))

    async def clear(self) -> None:
        """Delete the copies that are no longer read from."""
        for name in list(self._left):
            self._left.discard(name)
            await self._engine.delete(name)

    def behind(self, call: Call) -> bool:
        """Whether the call is a read that may lag, of a table whose copy misses writes."""
        return any(self._copies[table_name(given)].coming for given in self._lagging(call))

    def redirected(self, call: Call) -> Call:
        """The read as one of the copies."""
        names = {given: table_name(given) + _SUFFIX for given in self._lagging(call)}
        if call.operation in _BY_TABLE:
            request = {**call.request, "TableName": names[call.request["TableName"]]}
        else:
            items = {names.get(given, given): wanted for given, wanted in call.request["RequestItems"].items()}
            request = {**call.request, "RequestItems": items}
        return replace(call, request=request, body=orjson.dumps(request))

    def restored(self, call: Call, answer: Answer) -> Answer:
        """An answer of copies as the table's own; any other as it is."""
        if f'{_SUFFIX}"'.encode() not in call.body:
            return answer
        body = answer.body.replace(f'{_SUFFIX}"'.encode(), b'"')
        return json_answer(answer.status, body, answer.headers)

    async def written(self, call: Call) -> None:
        """Look at what a write left behind; the copy gets it when its time has come."""
        for table in {item.table for item in call.touched} & self._copies.keys():
            copy = self._copies[table]
            texts = {item.key for item in call.touched if item.table == table and item.key}
            place: tuple[float, dict[str, Any]] = (asyncio.get_running_loop().time() + copy.seconds, {})
            copy.coming.append(place)  # before the look: whoever comes later looks later
            for some in _parts([orjson.loads(text) for text in texts], _READS):
                place[1].update(await self._look(table, some))

    def _lagging(self, call: Call) -> Iterator[str]:
        """The tables of a read, as it names them, of which it takes what a copy has."""
        if call.operation in _BY_TABLE:
            reads = [(call.request.get("TableName", ""), call.request)]
        elif call.operation == "BatchGetItem":
            reads = list(call.request.get("RequestItems", {}).items())
        else:
            return
        for given, asked in reads:
            if table_name(given) in self._copies and not asked.get("ConsistentRead"):
                yield given

    async def _begin(self, copy: _Copy) -> None:
        """Writes that come meanwhile wait: the copy is fed once it is filled."""
        if copy.name in self._left:
            self._left.discard(copy.name)
            await self._engine.delete(copy.name)
        await self._engine.create_like(copy.table, copy.name)
        self._copies[copy.table] = copy
        page: dict[str, Any] = {"LastEvaluatedKey": None}
        while "LastEvaluatedKey" in page:
            start = page["LastEvaluatedKey"]
            asked = {"TableName": copy.table, "ConsistentRead": True}
            page = await self._engine.ask("Scan", asked | ({"ExclusiveStartKey": start} if start else {}))
            await self._put(copy.name, [{"PutRequest": {"Item": item}} for item in page["Items"]])
        copy.feeder = asyncio.create_task(self._feed(copy))

    def _stop(self, copy: _Copy) -> None:
        if copy.feeder is not None:
            copy.feeder.cancel()
        self._left.add(copy.name)

    async def _feed(self, copy: _Copy) -> None:
        while True:
            while copy.coming and copy.coming[0][0] <= asyncio.get_running_loop().time():
                due = [_request(key, item) for key, item in copy.coming[0][1].items()]
                await self._put(copy.name, due)
                copy.coming.popleft()
            await asyncio.sleep(_TICK)

    async def _look(self, table: str, keys: Sequence[Mapping[str, Any]]) -> Images:
        """The items as they are; None: there is none."""
        found: dict[str, Any] = {key_text(key): None for key in keys}
        left: Any = {table: {"Keys": keys, "ConsistentRead": True}}
        while left:
            answer = await self._engine.ask("BatchGetItem", {"RequestItems": left})
            for item in answer.get("Responses", {}).get(table, ()):
                found[key_text({name: item[name] for name in keys[0]})] = item
            left = answer.get("UnprocessedKeys")
        return found

    async def _put(self, name: str, requests: Sequence[Mapping[str, Any]]) -> None:
        for some in _parts(requests, _WRITES):
            left: Any = {name: some}
            while left:
                answer = await self._engine.ask("BatchWriteItem", {"RequestItems": left})
                left = answer.get("UnprocessedItems")


def _request(key: str, item: Mapping[str, Any] | None) -> dict[str, Any]:
    if item is None:
        return {"DeleteRequest": {"Key": orjson.loads(key)}}
    return {"PutRequest": {"Item": item}}


def _parts(whole: Sequence[Any], most: int) -> list[Sequence[Any]]:
    return [whole[start : start + most] for start in range(0, len(whole), most)]
