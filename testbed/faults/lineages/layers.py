"""All streams that are served as lineages, and what the test's process asks of them."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

import orjson

from testbed.faults.answers import Answer
from testbed.faults.draws import Call
from testbed.faults.engine import Engine
from testbed.faults.lineages.layer import LineageLayer
from testbed.faults.lineages.models import ASKED, Adjust, Begin, Divide, Hide, Shards, Tell, Trim, Turn


class LineageLayers:
    """By the stream's ARN. What is not named here goes to the engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._layers: dict[str, LineageLayer] = {}

    async def answer(self, call: Call) -> Answer | None:
        """The answer to a call on one of these streams; None for all others."""
        layer = self._layers.get(self._stream(call.operation, call.request)) if self._layers else None
        return None if layer is None else await layer.answer(call)

    def _stream(self, operation: str, request: Mapping[str, Any]) -> str:
        if operation in ("DescribeStream", "GetShardIterator"):
            return str(request.get("StreamArn", ""))
        if operation != "GetRecords":
            return ""
        try:  # an iterator of ours names its shard
            shard = orjson.loads(base64.urlsafe_b64decode(request["ShardIterator"]))[0]
        except (ValueError, LookupError, TypeError, binascii.Error):
            return ""
        return next((arn for arn, layer in self._layers.items() if shard in layer.graph.shards), "")

    async def control(self, body: bytes) -> bytes:
        """One request of `models.Asked`. Raises `ValueError`, pydantic's too, `KeyError`, `EngineError`."""
        asked = ASKED.validate_json(body)
        if isinstance(asked, Begin):
            made = LineageLayer(self._engine, asked.stream)
            await made.begin()
            self._layers[asked.stream] = made
            return Shards(shards=[made.graph.root.id]).model_dump_json().encode()
        layer = self._layers[asked.stream]
        async with layer.lock:
            match asked:
                case Divide():
                    return (await self._divide(layer, asked)).model_dump_json().encode()
                case Hide():
                    layer.graph.shards[asked.shard].hidden_for = asked.listings
                case Trim():
                    await self._trim(layer, asked)
                case Turn():
                    layer.clock_ahead += asked.seconds
                case Adjust():
                    layer.settings = asked
                case Tell():
                    return (await layer.truth()).model_dump_json().encode()
        return b"{}"

    async def _divide(self, layer: LineageLayer, asked: Divide) -> Shards:
        opened = layer.graph.divide(asked.shard, await layer.tip(), asked.children)
        for child in opened:
            child.hidden_for = asked.listed_after
        if asked.parent_open_for:
            layer.graph.shards[asked.shard].shown_open_for = asked.listed_after + asked.parent_open_for
        return Shards(shards=[child.id for child in opened])

    async def _trim(self, layer: LineageLayer, asked: Trim) -> None:
        end = None if asked.through is None else layer.graph.shards[asked.through]
        layer.graph.trimmed = await layer.tip() if end is None or end.open else end.end
        layer.trim = asked
