"""Looking at the whole graph of a stream: what no lineage reads, and what is lost.

Lineages go on into their descendants by themselves. What they cannot see is seen here: a child that was listed
long after its parent's end, a parent that is missing, a stream that was switched off or replaced.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from reindexer.answers import CallFailed
from reindexer.dynamo.table import TableClient
from reindexer.models import Lineages
from reindexer.models.streams import (
    Ended,
    LineageState,
    Listing,
    Position,
    Reading,
    ShardId,
    StreamLook,
    StreamLookInput,
)
from reindexer.streams.client import StreamCalls
from reindexer.streams.lineages import after_look, childless, lasting_holes, look
from reindexer.streams.listing import describe
from reindexer.streams.taxonomy import GONE

#: Shards of one answer; the next look finds the others. A table does not grow by as many within minutes.
MAX_ADOPTED = 100


class Kept(Protocol):
    """What is kept of a follow's way through the graph: the ledger's `Positions`."""

    def of(self, destination: str, epoch: int) -> Iterable[tuple[str, Lineages]]:
        """Where each shard of the follow is, or was a moment ago."""
        ...

    def ended(self, destination: str, epoch: int) -> Mapping[ShardId, Ended]:
        """Stream shards that were read to their end, noted before a cursor forgets them."""
        ...

    def forget(self, destination: str, epoch: int, shards: Iterable[ShardId]) -> None:
        """Drop such notes."""
        ...

    def graph(self, destination: str, epoch: int) -> LineageState | None:
        """What was passed, and since when there are holes."""
        ...

    def opened(self, destination: str, epoch: int, state: LineageState) -> None:
        """Keep that."""
        ...


def look_at_stream(request: StreamLookInput, table: TableClient, calls: StreamCalls, kept: Kept) -> StreamLook:
    """What to read besides, or why changes are lost. Raises `CallFailed`, and what the ledger raises."""
    described = table.call("describe_table", TableName=table.table)["Table"]
    if switched := _switched(request, described):
        return switched
    try:
        found = describe(calls)
    except CallFailed as failed:
        if failed.failure.code == GONE:
            return _lost(request, "StreamGone", f"the stream {calls.arn} is gone", None)
        raise
    if not found.enabled:
        return _lost(request, "StreamDisabled", f"the stream {calls.arn} is switched off", None)
    return _in_graph(request, found.listing, kept)


def _switched(request: StreamLookInput, described: Mapping[str, Any]) -> StreamLook | None:
    """That the table has another stream now, or none."""
    latest = described.get("LatestStreamArn")
    if latest != request.stream_arn and latest is not None:
        since = described.get("LatestStreamLabel")
        why = f"{request.table} has another stream now, {latest}"
        return _lost(request, "StreamReplaced", why, str(since) if since else None)
    if not (described.get("StreamSpecification") or {}).get("StreamEnabled"):
        return _lost(request, "StreamDisabled", f"the stream of {request.table} is switched off", None)
    return None


def _lost(request: StreamLookInput, kind: str, why: str, until: str | None) -> StreamLook:
    """`until`: from when on a stream has changes again, by its label."""
    since = "the last change that was settled"
    if request.through_ms:
        since = f"{datetime.fromtimestamp(request.through_ms / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"
    end = f"{until} UTC" if until else "now, and on"
    return StreamLook(kind=kind, lost=f"{why}: what changed between {since} and {end} may be lost")


def _in_graph(request: StreamLookInput, listing: Listing, kept: Kept) -> StreamLook:
    """The listing came first: what is unknown to what was kept later is unknown for certain."""
    place = request.destination, request.epoch
    before = kept.graph(*place)
    reached = [lineages for _, lineages in kept.of(*place)]
    notes = kept.ended(*place)  # after that: a cursor has forgotten only what had been noted before
    state = known(listing, before, reached, notes)
    found = look(state, listing)
    adopted = found.begin[:MAX_ADOPTED]
    now = after_look(state, found, listing.at)
    kept.forget(*place, [shard for shard in found.forget if shard in notes])
    if before is None or (now.passed, now.holes) != (before.passed, before.holes):
        kept.opened(*place, now)
    holes = lasting_holes(now, listing.at, timedelta(seconds=request.patience_seconds))
    if not holes:
        return StreamLook(adopt=adopted)
    ends = [end.at for end in childless(state) if end.at is not None]
    since, seen = min(ends, default=state.opened_at), min(now.holes[shard] for shard in holes)
    return StreamLook(
        adopt=adopted,
        kind="StreamHole",
        lost=f"the parent of stream shard {holes[0]} was never read and is not listed"
        f"{f' (nor are those of {len(holes) - 1} others)' if len(holes) > 1 else ''}: "
        f"what changed between {since:%Y-%m-%d %H:%M:%S} and {seen:%Y-%m-%d %H:%M:%S} UTC may be lost",
    )


def known(
    listing: Listing, graph: LineageState | None, kept: Iterable[Lineages], notes: Mapping[ShardId, Ended]
) -> LineageState:
    """All that is known of the lineages, from what each shard has kept and what was noted of ended ones.

    An end that a shard still has in its cursor counts as being read: that shard begins its children itself.
    `graph` None: of an older release, which kept none; then what is listed and not known is left alone.
    """
    reading: dict[ShardId, Reading] = {}
    for lineages in kept:
        opened = lineages.opened_at
        reading |= lineages.reading
        reading |= {
            shard: Reading(
                position=Position(shard=shard, ordinal=end.ordinal, found_at=end.at or opened),
                parent=end.parent,
            )
            for shard, end in lineages.ended.items()
        }
    ended = {shard: end for shard, end in notes.items() if shard not in reading}
    if graph is None:
        unknown = {shard.shard for shard in listing.shards} - reading.keys() - ended.keys()
        graph = LineageState(opened_at=listing.at, passed=sorted(unknown))
    return graph.model_copy(update={"reading": reading, "ended": ended})
