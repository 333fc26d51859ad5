"""Where a job is: the answer of its `progress` query, and as much of it as is known without its workers."""

from __future__ import annotations

from pydantic import Field, NonNegativeFloat, NonNegativeInt

from reindexer.models.checks import Verification
from reindexer.models.comparison import Comparison
from reindexer.models.job_input import Limits
from reindexer.models.model import Model
from reindexer.tally import Attempts, Tally


class ShardsDone(Model):
    """Shards of the job; while it verifies, those of the verification."""

    total: NonNegativeInt | None = None
    done: NonNegativeInt | None = None
    running: NonNegativeInt = 0


class Consumed(Model):
    """Capacity units per second."""

    read_units: NonNegativeFloat | None = None
    write_units: NonNegativeFloat | None = None


class Throttle(Model):
    """Why shards wait for capacity, how far that reaches, and since when."""

    reason: str
    scope: str | None
    since: str


class PartitionsDone(Model):
    """Partitions of a job that counts by them."""

    total: NonNegativeInt
    done: NonNegativeInt


class JobProgress(Model):
    """None: not known, as most of it is without workers. Scripts read its JSON, so fields keep their order.

    Times are text as `datetime.isoformat` writes it: pydantic would write `Z` instead of `+00:00`. `state` and
    `phase` are text too, so that people can also read one that only a newer worker knows.
    """

    state: str
    reason: str | None = None
    since: str = ""
    tally: Tally | None = None
    attempts: Attempts | None = None
    remaining: NonNegativeInt | None = None  # records still to be scanned
    in_flight: NonNegativeInt | None = None  # shards that run or are throttled
    isolated: NonNegativeInt = 0
    shards: ShardsDone = ShardsDone()
    consumed: Consumed = Consumed()
    limits: Limits | None = None
    throttle: Throttle | None = None  # also None where no shard waits
    records_per_second: NonNegativeFloat | None = None
    eta_seconds: NonNegativeInt | None = None
    partitions: PartitionsDone | None = None  # also None in a job that does not count by them
    run: str | None = None
    verification: Verification | None = None  # also None where there was none yet
    started_at: str | None = None
    as_of: str | None = None  # when the shards' figures were taken
    look_seconds: NonNegativeFloat | None = None  # between two looks at the shards
    phase: str | None = None
    cycle: NonNegativeInt = 0
    cycling: bool = False
    #: Of a follow alone: how far it is behind, how long the stream still has what is unread, the
    #: stream shards it reads, the epoch of its destination, whether what the scan missed has followed, and the
    #: time up to which every change is settled or isolated; also None while that is not known.
    lag_seconds: NonNegativeFloat | None = Field(default=None, exclude_if=lambda value: value is None)
    hours_left: NonNegativeFloat | None = Field(default=None, exclude_if=lambda value: value is None)
    stream_shards: NonNegativeInt | None = Field(default=None, exclude_if=lambda value: value is None)
    epoch: NonNegativeInt | None = Field(default=None, exclude_if=lambda value: value is None)
    drained: bool | None = Field(default=None, exclude_if=lambda value: value is None)
    settled_through: str | None = Field(default=None, exclude_if=lambda value: value is None)
    #: It ends once all that has changed until then is carried; None of one that was not asked to.
    stops_at: str | None = Field(default=None, exclude_if=lambda value: value is None)
    #: When a pause for a time is over; None in any other state.
    resumes_at: str | None = Field(default=None, exclude_if=lambda value: value is None)
    #: None in a job that compares nothing.
    comparison: Comparison | None = Field(default=None, exclude_if=lambda value: value is None)
