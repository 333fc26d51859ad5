"""Which segments of two tables a sample reads: random ones, each with few keys.

The first rows of one segment say nothing of the rest of a table. All keys of random segments do: by its hash
DynamoDB decides which segment a partition key is in.
"""

from __future__ import annotations

import math
import random

from reindexer.answers import CallFailed
from reindexer.models import SampledSegments
from reindexer.planning.asking import ask, verdict
from reindexer.planning.facts import Described
from reindexer.planning.sizing import RECORDS_PER_SHARD

_MAX_SEGMENTS = 1_000_000  # DynamoDB's limit of TotalSegments
#: Keys that a segment should have: each costs a call to both tables, and its keys say less than others'.
_KEYS_PER_SEGMENT = 10
#: With this many the spread between them is known well enough for the interval's normal distribution.
_AT_LEAST = 30
#: More would not travel in a plan: 10,000 are 70 KB of JSON. With a larger sample each has more keys.
_MAX_READ = 10_000
#: As many segments as should be needed are listed twice over: a table may have fewer keys than its count says.
_SPARE = 2
#: Rows of the page by which a table is sized whose count is 0: below, it is counted; else it is taken as large.
_PAGE_ROWS = 1000
_LARGE = _MAX_SEGMENTS * _KEYS_PER_SEGMENT


def sampled_segments(
    described: Described, other: Described, items: int, limit: int, run: str
) -> list[SampledSegments]:
    """Segments for about `limit` keys, dealt to shards; chosen by `run`. `items`: of the larger table.

    Raises `EnvironmentFault`, `Refused` where a table whose count is 0 cannot be looked at.
    """
    items = items or max(_counted(described), _counted(other))
    each = max(_KEYS_PER_SEGMENT, math.ceil(limit * _SPARE / _MAX_READ))
    total = min(_MAX_SEGMENTS, max(1, items // each))
    wanted = max(_AT_LEAST, math.ceil(limit * _SPARE * total / max(1, items)))
    chosen = random.Random(run).sample(range(total), min(total, wanted))
    shards = max(1, min(len(chosen) // _AT_LEAST, math.ceil(limit / RECORDS_PER_SHARD)))
    return [
        SampledSegments(
            segments=chosen[shard::shards],
            total=total,
            enough=math.ceil(limit / shards),
            at_least=math.ceil(_AT_LEAST / shards),
        )
        for shard in range(shards)
    ]


def _counted(described: Described) -> int:
    """Rows of a table that is new by its count."""
    table = described.table
    try:
        page = ask(table, "scan", TableName=table.table, Limit=_PAGE_ROWS, Select="COUNT")
    except CallFailed as failed:
        raise verdict(failed, "dynamodb:Scan", table.table) from failed
    return _LARGE if page.get("LastEvaluatedKey") else int(page["Count"])
