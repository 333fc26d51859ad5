"""How many shards, and in which order they start."""

from __future__ import annotations

import heapq
import math
import random
import zlib
from collections.abc import Callable, Sequence

from reindexer.items import Key, key_text
from reindexer.models import KeyList, PartitionRange, PartitionRanges, Segment

#: Records a shard should have: two seconds of a core's work, so that few shards end late. Half as many in each
#: made a job of 120,000 a tenth slower, for the workflows and for the rounds that heartbeat at the same time.
RECORDS_PER_SHARD = 20_000
#: Bytes a shard should have: 12,800 read units, a few seconds of one partition's 3,000 per second.
BYTES_PER_SHARD = 100_000_000
#: More children than that do not help (a partition's rate bounds each) and would fill the root's history.
MAX_SHARDS = 400
#: Counts are up to six hours old, and 0 for a new table: four shards keep a small worker busy anyway.
MIN_SHARDS = 4

KEYS_PER_SHARD = 500  # as many as a worker reads in five calls; a long list then uses several workers
BYTES_OF_KEYS_PER_SHARD = 200_000  # JSON of a shard's keys; it travels in each of its inputs
BYTES_OF_KEYS = 1_000_000  # JSON of all keys: half of what one Temporal payload may hold, the plan around it
#: The same compressed by zlib: in base64 640 kB, and what the compressor holds back. Ids at random reach it.
_BYTES_OF_KEYS_COMPRESSED = 480_000


def segments(items: int, size_bytes: int, total: int | None, run: str) -> list[Segment]:
    """The segments of a complete scan, in the order of starting.

    `total` None: chosen from the counts, which are old and decide nothing else. The order is a pseudo-random
    permutation, fixed by `run`, so that shards in flight lie on different partitions.
    """
    number = shard_count(items, size_bytes) if total is None else total
    order = list(range(number))
    random.Random(run).shuffle(order)
    return [Segment(segment=segment, total=number) for segment in order]


def shard_count(items: int, size_bytes: int) -> int:
    """How many shards read a whole table."""
    wanted = max(math.ceil(items / RECORDS_PER_SHARD), math.ceil(size_bytes / BYTES_PER_SHARD))
    return min(MAX_SHARDS, max(MIN_SHARDS, wanted))


def key_lists(keys: list[Key], copies: Callable[[Key], int] = lambda _: 1) -> tuple[list[KeyList], int]:
    """The keys cut into shards, and how many keys fit: the rest would not travel in one plan.

    `copies`: how often a key is in its list.
    """
    lists: list[list[Key]] = []
    size = everything = compressed = taken = 0
    compressor = zlib.compressobj()
    for key in keys:
        text, times = key_text(key).encode() + b",", copies(key)
        length = times * len(text)
        compressed += times * len(compressor.compress(text))
        if everything + length > BYTES_OF_KEYS or compressed > _BYTES_OF_KEYS_COMPRESSED:
            break
        if not lists or len(lists[-1]) >= KEYS_PER_SHARD or size + length > BYTES_OF_KEYS_PER_SHARD:
            if len(lists) == MAX_SHARDS:
                break
            lists.append([])
            size = 0
        lists[-1].append(key)
        size, everything, taken = size + length, everything + length, taken + 1
    return [KeyList(keys=part) for part in lists], taken


#: What one more partition costs besides its records: a Query of its own takes as long as writing about 50.
_RECORDS_PER_QUERY = 50
#: A range whose end was not seen, and one no one looked at: a shard of its own, and an average tenant's.
_OPEN_END, _NOT_LOOKED_AT = RECORDS_PER_SHARD, 1000


def partition_shards(
    ranges: Sequence[tuple[PartitionRange, bool]], total: int | None, run: str
) -> list[PartitionRanges]:
    """Ranges dealt to shards, the heaviest first, always to the lightest shard; in the order of starting.

    With each range comes whether more rows than were seen are known to be there. `total`: the wish for the
    number of shards; there are never more than ranges, and enough that each fits a message.
    """
    lengths = [len(part.model_dump_json().encode()) + 1 for part, _ in ranges]  # and a comma
    scale = RECORDS_PER_SHARD / BYTES_OF_KEYS_PER_SHARD  # a shard is full of records, or of long values
    weights = [
        _rows(part, more) + _RECORDS_PER_QUERY + length * scale
        for (part, more), length in zip(ranges, lengths, strict=True)
    ]
    wanted = total or min(MAX_SHARDS, max(MIN_SHARDS, math.ceil(sum(weights) / RECORDS_PER_SHARD)))
    number = min(len(ranges), max(wanted, math.ceil(sum(lengths) / BYTES_OF_KEYS_PER_SHARD)))
    lightest = [(0.0, shard) for shard in range(number)]
    dealt: list[list[int]] = [[] for _ in range(number)]
    for place in sorted(range(len(ranges)), key=lambda place: (-weights[place], place)):
        load, shard = heapq.heappop(lightest)
        dealt[shard].append(place)
        heapq.heappush(lightest, (load + weights[place], shard))
    # In the order they were given: a partition's parts in a shard are read in the order of their keys.
    made = [PartitionRanges(ranges=[ranges[place][0] for place in sorted(places)]) for places in dealt]
    random.Random(run).shuffle(made)
    return made


def _rows(part: PartitionRange, more: bool) -> int:
    if more:
        return _OPEN_END
    return _NOT_LOOKED_AT if part.rows is None else part.rows
