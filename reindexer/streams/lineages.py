"""Which stream shards may be read now, from which ordinal, and what was lost: pure functions over a listing.

A lineage is a stream shard and all its descendants. A listing is never trusted to be up to date: a child may be
listed late, a parent be shown open beside its child, a page be missing. What decides is what was read to its
end.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from reindexer.models.streams import Ended, LineageState, Listing, Position, Reading, ShardId, StreamShard
from reindexer.streams.order import SETTLED


class Look(NamedTuple):
    """What a listing means for the lineages.

    `begin`: what may be read now. `passed`: found late, and left to the scan. `holes`: cannot be begun in
    order. `forget`: of `ended` and `passed`, what no later listing can refer to.
    """

    begin: list[Reading]
    passed: list[ShardId]
    holes: list[ShardId]
    forget: list[ShardId]


def opening(listing: Listing) -> LineageState:
    """The positions of a complete listing, to be written before the scan's first read.

    Each shard that is open, or has no listed child, is read from its beginning; so a parent that is shown open
    beside its child is read, and the child after it. Raises `ValueError` for a listing with a page missing.
    """
    if not listing.complete:
        raise ValueError("positions are taken of a complete listing")
    graph = _Graph(listing)
    heads = {shard.shard for shard in listing.shards if shard.open or not graph.children.get(shard.shard)}
    first = [shard for shard in listing.shards if shard.shard in heads and not heads & set(graph.above(shard))]
    read = {shard.shard for shard in first}
    passed = [
        shard.shard
        for shard in listing.shards
        if shard.shard not in heads and not read & set(graph.above(shard))
    ]
    reading = {shard.shard: _begun(shard, SETTLED, listing.at) for shard in first}
    return LineageState(opened_at=listing.at, reading=reading, passed=passed)


def seems_to_lack_shards(listing: Listing) -> bool:
    """Whether a shard may be missing between one that has ended without a child and one without its parent.

    Then it is better to list once more before positions are taken: both would be begun at the floor, side by
    side, and the shard between them, once it is listed, be a hole.
    """
    graph = _Graph(listing)
    ends = any(not shard.open and not graph.children.get(shard.shard) for shard in listing.shards)
    return ends and any(
        shard.parent is not None and shard.parent not in graph.shards for shard in listing.shards
    )


def look(state: LineageState, listing: Listing) -> Look:
    """What a later listing means. Nothing is concluded from what a listing with a page missing lacks."""
    graph = _Graph(listing)
    known = state.reading.keys() | state.ended.keys() | set(state.passed)
    found = Look([], [], [], _forgettable(state, graph) if listing.complete else [])
    for shard in listing.shards:
        if shard.shard in known:
            continue
        if _has_begun_child(state, graph, shard.shard):
            read = state.reading.keys() | state.ended.keys()
            # Its child was listed with the positions, so it was closed by then: the scan has what it left. But
            # where an ancestor is read as well, ancestor and child were both begun at the floor, side by side.
            (found.holes if read & set(graph.above(shard)) else found.passed).append(shard.shard)
        elif (end := _end_before(state, shard)) is not None:
            found.begin.append(_begun(shard, end.ordinal, end.at or listing.at))
        elif listing.complete and shard.parent not in graph.shards.keys() | state.reading.keys():
            found.holes.append(shard.shard)
    return found


def after_look(state: LineageState, found: Look, at: datetime) -> LineageState:
    """The state once the shards to be begun are being read."""
    forgotten = set(found.forget)
    passed = [shard for shard in (*state.passed, *found.passed) if shard not in forgotten]
    return state.model_copy(
        update={
            "reading": state.reading | {begun.position.shard: begun for begun in found.begin},
            "ended": {shard: end for shard, end in state.ended.items() if shard not in forgotten},
            "passed": passed,
            "holes": {shard: state.holes.get(shard, at) for shard in found.holes},
        }
    )


def lasting_holes(state: LineageState, now: datetime, patience: timedelta) -> list[ShardId]:
    """Shards whose parent was looked for long enough: changes between them and what was read are lost."""
    return [shard for shard, since in state.holes.items() if now - since >= patience]


def childless(state: LineageState) -> list[Ended]:
    """Ends of which no child is known: what is missing from the graph has followed one of them."""
    begun: Mapping[ShardId, Reading | Ended] = {**state.ended, **state.reading}
    parents = {entry.parent for entry in begun.values()}
    return [end for shard, end in state.ended.items() if shard not in parents]


def children_of(shard: ShardId, end: Ended, listing: Listing) -> list[Reading]:
    """What follows a shard that was read to its end, where its children are known."""
    at = end.at or listing.at
    return [_begun(child, end.ordinal, at) for child in listing.shards if child.parent == shard]


def _begun(shard: StreamShard, base: int, at: datetime) -> Reading:
    return Reading(position=Position(shard=shard.shard, ordinal=base, found_at=at), parent=shard.parent)


def _end_before(state: LineageState, shard: StreamShard) -> Ended | None:
    """What the shard goes on from: its parent's end, or the floor; None: it may not be begun yet."""
    if shard.parent is None or shard.parent in state.passed:
        return Ended(ordinal=SETTLED)
    return state.ended.get(shard.parent)


def _has_begun_child(state: LineageState, graph: _Graph, shard: ShardId) -> bool:
    begun: Mapping[ShardId, Reading | Ended] = {**state.ended, **state.reading}
    children = {child for child, entry in begun.items() if entry.parent == shard}
    return bool(children or begun.keys() & set(graph.children.get(shard, ())))


def _forgettable(state: LineageState, graph: _Graph) -> list[ShardId]:
    """Ends that no child will ask for, ancestors first: unlisted, and each child is being read or has ended.

    An end without a known child is kept: its child may be listed yet.
    """
    children: defaultdict[ShardId, set[ShardId]] = defaultdict(set)
    begun: Mapping[ShardId, Reading | Ended] = {**state.ended, **state.reading}
    for shard, entry in begun.items():
        if entry.parent is not None:
            children[entry.parent].add(shard)
    for parent, listed in graph.children.items():
        children[parent].update(listed)
    done = {
        shard
        for shard in state.ended
        if shard not in graph.shards and children[shard] and children[shard] <= begun.keys()
    }
    forgotten = [shard for shard in state.passed if shard not in graph.shards]
    while oldest := [
        shard for shard in done if state.ended[shard].parent not in state.ended.keys() - set(forgotten)
    ]:
        forgotten += oldest
        done -= set(oldest)
    return forgotten


class _Graph:
    """A listing by shard and by parent."""

    def __init__(self, listing: Listing) -> None:
        self.shards = {shard.shard: shard for shard in listing.shards}
        self.children: defaultdict[ShardId, list[ShardId]] = defaultdict(list)
        for shard in listing.shards:
            if shard.parent is not None:
                self.children[shard.parent].append(shard.shard)

    def above(self, shard: StreamShard) -> Iterator[ShardId]:
        """Its ancestors as far as they are listed, and the first one that is not."""
        seen = {shard.shard}  # an inconsistent listing may lead in a circle
        above: StreamShard | None = shard
        while above is not None and above.parent is not None and above.parent not in seen:
            seen.add(above.parent)
            yield above.parent
            above = self.shards.get(above.parent)
