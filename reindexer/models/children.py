"""What goes between a root and its shards: what starts one, what it hands back, what is seen meanwhile."""

from __future__ import annotations

import operator
from datetime import datetime
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, NonNegativeFloat, NonNegativeInt, PlainSerializer

from reindexer.models.capacity import Capacity, Uses
from reindexer.models.control import Control
from reindexer.models.lock import LockInput
from reindexer.models.model import Model
from reindexer.models.packed import packed, unpacked
from reindexer.models.plan import Target
from reindexer.models.shards import Counts, Kept, ShardState, ShardSummary, Situation
from reindexer.models.sources import Source


class ShardInput(Model):
    job: str  # the root's workflow id
    run: str
    index: NonNegativeInt
    target: Target
    source: Source
    verifying: bool = False  # reads consistently and changes nothing
    comparing: bool = Field(default=False, exclude_if=operator.not_)  # of these: how an index differs
    keep_behind: bool = False  # keys of rows behind go to the ledger, for a sweep
    lock: LockInput | None = Field(default=None, exclude_if=lambda value: value is None)  # has to be held
    isolation: Literal["batch", "record"]
    heartbeat_timeout: float
    control: Control
    cycle: NonNegativeInt = 0  # of the root's run that started it
    state: ShardState = ShardState()
    kept: Kept | None = None  # instead of `state`
    summary: ShardSummary = ShardSummary()  # of what is kept, as the root knows it
    hand_backs: NonNegativeInt = 0  # so far: the number of the last kept state
    rounds_queue: str = "reindexer-rounds"
    records_queue: str | None = None
    round_seconds: float = 30.0
    continue_after: NonNegativeInt = 0  # events of a run before it continues as new; 0: when the server says


class HandBack(Model):
    """A shard's result: how it ended, and its state. `state` None: it is `kept`, or nothing is left."""

    how: Literal["done", "yielded", "cancelled"]
    summary: ShardSummary
    state: ShardState | None = None
    kept: Kept | None = None
    hand_backs: NonNegativeInt = 0
    settled: bool = False  # cancelled with its job, after its last look: it does not go on


class ShardReport(Model):
    """Shard → root, rarely: that it parked, that it is paused, that it gave records up."""

    index: NonNegativeInt
    acknowledged: NonNegativeInt  # `Control.paused_since` of the pause that has taken effect
    situation: Situation


class KeepInput(Model):
    """Keep a state in the ledger."""

    kept: Kept
    state: ShardState


class ClearKeptInput(Model):
    """Delete what a run keeps in the ledger."""

    job: str
    run: str


class CapacityInput(Model):
    """Whether a table's capacity is still `known`."""

    table: str
    table_arn: str
    table_id: str
    uses: Uses
    known: Capacity


class LookInput(Model):
    """Look at these shards, by index: `names` are the ends of their workflow ids."""

    job: str
    run: str
    names: dict[int, str]
    seconds: NonNegativeFloat = 0.0  # from now on, before looking
    capacity: CapacityInput | None = Field(default=None, exclude_if=lambda value: value is None)


class Seen(Model):
    """One open shard: what its workflow says, and what its running round has done besides (its heartbeat)."""

    situation: Situation
    running: Counts = Counts()


class Looked(Model):
    """Open shards by index, compressed where they are many."""

    at: datetime | None = None
    shards: Annotated[dict[int, Seen], BeforeValidator(unpacked), PlainSerializer(packed)] = {}
    #: Shards that were asked for and are closed, or not there.
    ended: list[int] = Field(default=[], exclude_if=lambda value: not value)
    #: Of the table, where it was asked for and has changed.
    capacity: Capacity | None = Field(default=None, exclude_if=lambda value: value is None)


class EndedShard(Model):
    """A shard that ended without a result, by its workflow id; where its state is kept if it is large."""

    workflow_id: str
    kept: Kept
