"""Listing a stream's shards: page by page, keeping what came where a page does not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from reindexer.answers import CallFailed, Failure
from reindexer.models.streams import Listing, StreamShard
from reindexer.streams.client import StreamCalls


@dataclass(frozen=True, slots=True)
class Described:
    """A stream as it was described.

    `enabled` False: it is switched off or being so, and gets no more changes. `images`: its view type.
    `failure`: why the listing has a page missing; None where it is complete.
    """

    listing: Listing
    enabled: bool
    images: str
    failure: Failure | None


def describe(calls: StreamCalls) -> Described:
    """The whole graph, as far as it can be had: only the first page's failure raises `CallFailed`."""
    description, at = calls.describe()
    shards = {shard.shard: shard for shard in _shards(description)}
    failure: Failure | None = None
    complete = True
    while (last := description.get("LastEvaluatedShardId")) is not None:
        try:
            description, _ = calls.describe(last)
        except CallFailed as failed:
            failure, complete = failed.failure, False
            break
        found = [shard for shard in _shards(description) if shard.shard not in shards]
        if not found and description.get("LastEvaluatedShardId") is not None:
            complete = False  # pages that bring nothing new lead in a circle
            break
        shards |= {shard.shard: shard for shard in found}
    return Described(
        Listing(shards=list(shards.values()), complete=complete, at=at),
        enabled=description.get("StreamStatus") not in ("DISABLING", "DISABLED"),
        images=str(description.get("StreamViewType", "")),
        failure=failure,
    )


def children(calls: StreamCalls, parent: str) -> Listing:
    """The shards that follow one which has ended. None, where the service does not list them yet.

    Raises `CallFailed`. A service that ignores the filter lists others too: those are dropped. Of two
    children the second may be on a page of its own.
    """
    found: dict[str, StreamShard] = {}
    description, at = calls.describe(children_of=parent)
    seen = set[str]()
    while True:
        listed = _shards(description)
        found |= {shard.shard: shard for shard in listed if shard.parent == parent}
        last = description.get("LastEvaluatedShardId")
        if last is None or last in seen:  # pages that bring nothing new lead in a circle
            return Listing(shards=list(found.values()), complete=last is None, at=at)
        seen.add(last)
        description, _ = calls.describe(last, children_of=parent)


def _shards(description: Mapping[str, Any]) -> list[StreamShard]:
    return [
        StreamShard(
            shard=shard["ShardId"],
            parent=shard.get("ParentShardId") or None,
            open=(shard.get("SequenceNumberRange") or {}).get("EndingSequenceNumber") is None,
        )
        for shard in description["Shards"]
    ]
