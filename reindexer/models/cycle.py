"""What a run of the root hands to the next one."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, NonNegativeFloat, NonNegativeInt, PlainSerializer

from reindexer.models.checks import Verification
from reindexer.models.comparison import Compared
from reindexer.models.job_input import Limits
from reindexer.models.model import Model
from reindexer.models.packed import packed, unpacked
from reindexer.models.plan import Plan
from reindexer.models.purpose import Used
from reindexer.models.reports import ControlEvent
from reindexer.models.rounds import Isolated
from reindexer.models.search_index import Indexed
from reindexer.models.shards import Kept, ShardState, ShardSummary
from reindexer.models.sources import Source
from reindexer.models.streams import FollowState

#: What the job does: change records, read them consistently, change those found behind, read these again; or
#: compare two tables, and repair the second.
Phase = Literal[
    "planning", "running", "verifying", "sweeping", "checking", "comparing", "repairing", "closing", "done"
]


#: States of a follow while it works.
FOLLOWING = ("backfilling", "catching_up", "following")
#: Phases in which shards read and change nothing.
READING = ("verifying", "checking", "comparing")
#: States in which records are worked on.
MOVING = ("running", "throttled", "verifying", "comparing", *FOLLOWING)


class ShardCarried(Model):
    """A shard between two runs of its root. `source` None: the plan's, at its index."""

    index: NonNegativeInt
    phase: Phase
    source: Source | None = None
    done: bool = False
    summary: ShardSummary = ShardSummary()
    state: ShardState | None = None
    kept: Kept | None = None
    hand_backs: NonNegativeInt = 0
    starts: NonNegativeInt = 0
    lost: bool = False  # someone ended it: what it came to after its last report is not known


class RunCarried(Model):
    """All that a new run begins with, but for what DynamoDB, the ledger and Temporal know."""

    cycle: NonNegativeInt  # of the new run; the first run is 0
    started_at: datetime  # of the job
    plan: Plan
    limits: Limits
    asked: Limits | None = Field(default=None, exclude_if=lambda value: value is None)  # null: chosen
    phase: Phase
    control_seq: NonNegativeInt
    paused_since: NonNegativeInt = 0
    paused: bool = False
    parked: str = ""
    paused_for: str = ""
    #: When a pause for a time is over.
    resume_at: datetime | None = Field(default=None, exclude_if=lambda value: value is None)
    refused: str = ""
    code: str | None = None
    controls: list[ControlEvent] = []
    controls_dropped: NonNegativeInt = 0
    warnings: list[str] = []
    used: Used | None = Field(default=None, exclude_if=lambda value: value is None)  # as in `Report`
    verification: Verification | None = None  # of the first reading, while and after it is swept
    compared: Compared | None = Field(default=None, exclude_if=lambda value: value is None)
    followed: FollowState | None = Field(default=None, exclude_if=lambda value: value is None)
    index: Indexed | None = Field(default=None, exclude_if=lambda value: value is None)
    swept: NonNegativeInt = 0  # rows that the sweep takes up
    newest: list[Isolated] = []  # quarantined records
    shards: list[ShardCarried] = []
    worked_seconds: NonNegativeFloat = 0.0


class Carried(Model):
    """The second argument of every run of the root but the first."""

    run: Annotated[RunCarried, BeforeValidator(unpacked), PlainSerializer(packed)]
