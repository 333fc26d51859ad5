"""How many shards, and in which order they start."""

from __future__ import annotations

import math
import random

from reindexer.items import Key, key_text
from reindexer.models import KeyList, Segment

#: Records a shard should have: a second or two of work at full speed, so that few shards end late and a
#: thousand-record table is not cut to pieces.
RECORDS_PER_SHARD = 10_000
#: Bytes a shard should have: 12,800 read units, a few seconds of one partition's 3,000 per second.
BYTES_PER_SHARD = 100_000_000
#: More children than that do not help (a partition's rate bounds each) and would fill the root's history.
MOST_SHARDS = 400
#: Counts are up to six hours old, and 0 for a new table: four shards keep a small worker busy anyway.
LEAST_SHARDS = 4

KEYS_PER_SHARD = 500  # as many as a worker reads in five calls; a long list then uses several workers
BYTES_OF_KEYS_PER_SHARD = 200_000  # JSON of a shard's keys; it travels in each of its inputs
BYTES_OF_KEYS = 1_000_000  # JSON of all keys: half of what one Temporal payload may hold, the plan around it


def segments(items: int, size_bytes: int, total: int | None, run: str) -> list[Segment]:
    """The segments of a complete scan, in the order of starting.

    `total` None: chosen from the counts, which are old and decide nothing else. The order is a pseudo-random
    permutation, fixed by `run`, so that shards in flight lie on different partitions.
    """
    if total is None:
        wanted = max(math.ceil(items / RECORDS_PER_SHARD), math.ceil(size_bytes / BYTES_PER_SHARD))
        total = min(MOST_SHARDS, max(LEAST_SHARDS, wanted))
    order = list(range(total))
    random.Random(run).shuffle(order)
    return [Segment(segment=segment, total=total) for segment in order]


def key_lists(keys: list[Key]) -> tuple[list[KeyList], int]:
    """The keys cut into shards, and how many keys fit: the rest would not travel in one plan."""
    lists: list[list[Key]] = []
    size = everything = taken = 0
    for key in keys:
        length = len(key_text(key).encode()) + 1  # and a comma
        if everything + length > BYTES_OF_KEYS:
            break
        if not lists or len(lists[-1]) >= KEYS_PER_SHARD or size + length > BYTES_OF_KEYS_PER_SHARD:
            if len(lists) == MOST_SHARDS:
                break
            lists.append([])
            size = 0
        lists[-1].append(key)
        size, everything, taken = size + length, everything + length, taken + 1
    return [KeyList(keys=part) for part in lists], taken
