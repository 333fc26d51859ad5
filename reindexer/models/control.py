"""What root and shards tell each other."""

from __future__ import annotations

import re
from typing import Any, Literal

from pydantic import NonNegativeFloat, NonNegativeInt, field_validator

from reindexer.items import Key
from reindexer.models.by_partition import PackedByPartition
from reindexer.models.model import Model
from reindexer.models.plan import Source, Target
from reindexer.models.rounds import Isolated, Share
from reindexer.tally import Attempts, Tally


class Resume(Model):
    """What may come with a `resume`. `code`: digits of the hash of a job's changed code, to go on with it."""

    reason: str | None = None
    code: str | None = None

    @field_validator("code", mode="before")
    @classmethod
    def _is_a_hash(cls, given: Any) -> Any:
        # From the 12 that are shown, which tell two versions of a file apart, to all of SHA-256.
        if given is not None and not (isinstance(given, str) and re.fullmatch("[0-9a-f]{12,64}", given)):
            raise ValueError(
                "should be 12 to 64 digits (0-9, a-f) of the code's hash, as the parked job's reason shows it "
                f"(given: {str(given)[:80]!r})"  # 80: a hash and some more
            )
        return given


class Control(Model):
    """The desired state, whole. A receiver ignores one whose `seq` is older than what it has."""

    seq: NonNegativeInt = 0
    paused: bool = False
    share: Share = Share()
    code: str | None = None  # of the job file, where it was accepted after the plan was made
    report_every: float = 2.0  # seconds between two reports of one shard, at the least


class ShardState(Model):
    """Where a shard stands, cumulative since the job began; also what it is started or continued from."""

    cursor: Key | None = None
    done: bool = False
    tally: Tally = Tally()
    attempts: Attempts = Attempts()
    isolated: list[Isolated] = []
    unknown: list[Key] = []
    deleting: list[Key] = []  # as in `Progress`
    deleting_in: list[str] = []  # the partition of each of these, where a job counts by partition
    read_units: NonNegativeFloat = 0.0
    write_units: NonNegativeFloat = 0.0
    rounds: NonNegativeInt = 0
    #: Quarantined records by error class, and the newest of them; the ledger has all.
    failures: dict[str, int] = {}
    quarantined: list[Isolated] = []
    timed_out: bool = False  # an attempt timed out: its zombie may still write for one heartbeat timeout
    #: The tally by partition; not in a report to the root, where thousands would come every two seconds.
    partitions: PackedByPartition = {}


class ShardInput(Model):
    job: str  # the root's workflow id
    run: str
    index: NonNegativeInt
    target: Target
    source: Source
    isolation: Literal["batch", "record"]
    heartbeat_timeout: float
    control: Control
    state: ShardState = ShardState()
    seq: NonNegativeInt = 0  # of the last report sent
    rounds_queue: str = "reindexer-rounds"
    records_queue: str | None = None
    round_seconds: float = 30.0
    continue_after: NonNegativeInt = 0  # events of a run before it continues as new; 0: when the server says


class ShardReport(Model):
    """Shard → root. The root replaces by shard and seq, it never adds."""

    index: NonNegativeInt
    seq: NonNegativeInt
    state: Literal["running", "throttled", "pausing", "paused", "parked"]
    reason: str = ""
    scope: str | None = None  # of a throttle
    acknowledged: NonNegativeInt  # the control seq in force
    progress: ShardState


class EndedShard(Model):
    """A shard that ended without a result, by the id of its workflow."""

    workflow_id: str
