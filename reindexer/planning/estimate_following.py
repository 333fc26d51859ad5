"""The estimate of a day of following a table's stream."""

from __future__ import annotations

from reindexer.models import Model
from reindexer.units import POLLS_A_DAY

#: Dollars of a million stream read units: https://aws.amazon.com/dynamodb/pricing/on-demand, us-east-1, 2025.
#: The first 2.5 million a month are free.
_STREAM_READS = 0.20
_MILLION = 1_000_000
#: Seconds of a round at rest, between two of its heartbeats, and between two looks at shards and stream.
_ROUND, _HEARTBEAT, _LOOK = 240, 4, 300
_DAY = 86_400  # seconds
#: Actions of a round, its activity and its shard's memo; of a look at the shards, and of one at the stream.
_OF_ROUND, _OF_LOOK, _OF_STREAM = 2, 2, 1


class Following(Model):
    """What following costs, by the day and by what changes.

    `stream_reads`: units a day of each stream shard; `actions`: a day of a round at rest, which reads up to 200
    stream shards; `write_units`: at the destination, of a million changes. `changes`: a day, where that is
    known. `dollars`: of each of them, and of a `day` of that many changes and one stream shard.
    """

    stream_reads: int
    actions: int
    write_units: float
    changes: int | None = None
    dollars: dict[str, float]


def following(
    units_of_change: float, write_price: float, action_price: float, changes: int | None = None
) -> Following:
    """`units_of_change`: write units of one change; prices: dollars of a million; `changes`: a day."""
    actions = _DAY // _ROUND * _OF_ROUND + _DAY // _HEARTBEAT + _DAY // _LOOK * (_OF_LOOK + _OF_STREAM)
    dollars = {
        "stream_reads": POLLS_A_DAY / _MILLION * _STREAM_READS,
        "temporal_cloud": actions / _MILLION * action_price,
        "write": units_of_change * write_price,
    }
    if changes is not None:
        dollars["day"] = (
            dollars["stream_reads"] + dollars["temporal_cloud"] + dollars["write"] * changes / _MILLION
        )
    return Following(
        stream_reads=POLLS_A_DAY,
        actions=actions,
        write_units=units_of_change * _MILLION,
        changes=changes,
        dollars=dollars,
    )
