"""The last look at a shard of a job that is cancelled: at what its rounds had done beyond the cursor."""

from __future__ import annotations

import operator

from pydantic import Field, NonNegativeFloat, NonNegativeInt

from reindexer.items import Cursor
from reindexer.models.by_partition import ByPartition
from reindexer.models.model import Model
from reindexer.models.plan import Target
from reindexer.models.rounds import Fault, Isolated, ShardPlace, Share
from reindexer.models.sources import Source
from reindexer.models.unconfirmed import Unconfirmed
from reindexer.tally import Attempts, Tally


class ClosingInput(Model):
    """The state of a shard that works no more; the fields are those of its state."""

    target: Target
    source: Source
    cursor: Cursor | None = None
    rows_read: NonNegativeInt = 0  # rows before the cursor
    unconfirmed: list[Unconfirmed] = []
    ahead: NonNegativeInt = 0
    doubt: bool = False  # an attempt was lost: it may have written further than `ahead` says
    isolated: list[Isolated] = []
    share: Share = Share()
    heartbeat_timeout: float = 10.0
    seconds: float = 60.0  # of reading; then it tells what it has found
    place: ShardPlace | None = Field(
        default=None, exclude_if=operator.not_
    )  # None: asked for by an older worker


class ClosingResult(Model):
    """What comes on top of the shard's counts: its tally is balanced by it with the `isolated` that are left.

    Another call looks at everything again: its result replaces this one.
    """

    tally: Tally = Tally()
    attempts: Attempts = Attempts()
    isolated: list[Isolated] = []  # without those that were found settled
    read_units: NonNegativeFloat = 0.0
    partitions: ByPartition = {}  # of the tally, where the job counts by partitions
    complete: bool = True  # False: the time was over, or there is a fault; the counts are lower bounds
    fault: Fault | None = None
