"""Every type that crosses a process boundary: inputs, plans, rounds, reports.

All are frozen pydantic models that refuse unknown fields. They evolve by adding fields with defaults only,
since histories recorded by an older worker must still be read.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveInt,
    StrictInt,
    StrictStr,
    model_validator,
)

from reindexer.items import Key
from reindexer.tally import Attempts, Tally

#: Largest integer every JSON reader keeps exactly (2^53 − 1), the Web UI's included.
MAX_VERSION = 9_007_199_254_740_991


class Model(BaseModel):
    """Base of all: immutable, unknown fields refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


# ── The outer input ────────────────────────────────────────────────────────────────────────────────────────


class Touch(Model):
    """Bump the version of every record, so that the table's stream fires again."""

    kind: Literal["touch"] = "touch"
    #: The target. None: the start time in milliseconds. "next": one above the highest recorded for the table.
    version: Annotated[int, Field(ge=1, le=MAX_VERSION)] | Literal["next"] | None = None


class Transform(Model):
    """Run a job's query and function over the records."""

    kind: Literal["transform"]
    job: Annotated[str, Field(min_length=1)]
    params: dict[str, Any] = {}
    version: Annotated[int, Field(ge=1, le=MAX_VERSION)] | Literal["next"] | None = None


class Verify(Model):
    """Only read: how many records are behind `version`. Takes no lock, writes nothing."""

    kind: Literal["verify"]
    version: Annotated[int, Field(ge=1, le=MAX_VERSION)]


Operation = Annotated[Touch | Transform | Verify, Field(discriminator="kind")]


class Complete(Model):
    """The whole table, as a parallel scan."""

    kind: Literal["complete"] = "complete"


class Sample(Model):
    """Exactly min(limit, rows of the table) records, for a first try."""

    kind: Literal["sample"]
    limit: Annotated[int, Field(ge=1, le=1_000_000)] = 10  # above a million it is no sample: one shard reads it


class Keys(Model):
    """Named records. Each key holds the table's key attributes: N as string or integer, B as base64."""

    kind: Literal["keys"]
    # 10,000 keys are about 1 MB of JSON, half of what one Temporal payload may hold.
    # Strict: 1.0 and true would otherwise pass for the integer 1.
    keys: Annotated[list[dict[str, StrictStr | StrictInt]], Field(min_length=1, max_length=10_000)]


class Partitions(Model):
    """All records of the named partition key values."""

    kind: Literal["partitions"]
    values: Annotated[list[StrictStr | StrictInt], Field(min_length=1, max_length=10_000)]  # as for keys


class Quarantined(Model):
    """A redrive: the records that an earlier run gave up, at that run's target."""

    kind: Literal["quarantined"]
    job: Annotated[str, Field(min_length=1)]
    run: Annotated[str, Field(min_length=1)]
    error: str | None = None  # only this error class
    keys: list[dict[str, StrictStr | StrictInt]] | None = None  # only these


Scope = Annotated[Complete | Sample | Keys | Partitions | Quarantined, Field(discriminator="kind")]

Rate = Annotated[float, Field(gt=0)] | Literal["unlimited"] | None


class Limits(Model):
    """What a job may use. null: chosen from the table's capacity and shown; "unlimited" is said aloud."""

    read_units_per_second: Rate = None
    write_units_per_second: Rate = None
    records_per_second: Rate = None
    #: Shards working at the same time. 400 is the most shards a job ever has.
    shards_in_flight: Annotated[int, Field(ge=1, le=400)] = 32
    #: Records given up before the job parks itself. 0: park at the first.
    quarantined: NonNegativeInt = 1000


class Attributes(Model):
    """The names of the two attributes that every write carries."""

    version: Annotated[str, Field(min_length=1, max_length=255)] = "reindexVersion"
    run: Annotated[str, Field(min_length=1, max_length=255)] = "reindexRun"

    @model_validator(mode="after")
    def _differ(self) -> Attributes:
        if self.version == self.run:
            raise ValueError("version and run must be two different attributes")
        return self


class JobInput(Model):
    """What an operator starts `ReindexTable` with. All but `table` is optional."""

    table: Annotated[str, Field(min_length=1, max_length=1024)]  # a name, or an ARN (at most 1,024 characters)
    operation: Operation = Touch()
    scope: Scope = Complete()
    limits: Limits = Limits()
    attributes: Attributes = Attributes()
    #: Shards; null: about 10,000 records each, at most 400.
    total_segments: Annotated[int, Field(ge=1, le=400)] | None = None
    #: "record": every record is its own activity; "batch": only those that keep failing.
    #: null: "record" for a list of up to 100 keys, else "batch".
    isolation: Literal["batch", "record"] | None = None
    verify: bool = True
    sweep: bool = True
    reason: str | None = None
    #: Accept a target below versions that are already in the table (those records end as `superseded`).
    allow_lower: bool = False
    #: Accept a global table, where conditions hold in one Region only.
    allow_multi_region: bool = False
    #: Only look: read a sample, apply query and function, write nothing, report what would become of it.
    dry_run: bool = False
    #: Let a job delete records or attributes of a table that cannot be restored to a point in time.
    allow_no_recovery: bool = False
    #: Take the table's lock although its holder cannot be asked (another cluster). Only if it surely stopped.
    take_lock: bool = False


# ── The plan ───────────────────────────────────────────────────────────────────────────────────────────────


class KeyAttribute(Model):
    name: str
    type: Literal["S", "N", "B"]


class Target(Model):
    """Which table, and what is written there: everything a round needs to know besides its own part."""

    table: str
    table_arn: str
    table_id: str  # TableId, or the creation time where the engine has none
    key: list[KeyAttribute]
    attributes: Attributes
    version: int
    stamp: str  # the run stamp: value of the run attribute
    writer: Literal["partiql", "update_item", "none"]
    operation: Touch | Transform | Verify = Touch()
    code: str | None = None  # SHA-256 of the job file that was planned with, or as many digits as were accepted
    index_keys: dict[str, str] = {}  # attributes that are keys of an index, and their types

    def running(self, code: str | None) -> Target:
        """The same with other code of its job; None: with what was planned."""
        return self if code is None else self.model_copy(update={"code": code})


class TableFacts(Model):
    """What DynamoDB says of the table. Counts are up to six hours old; they size, they decide nothing."""

    account: str
    region: str
    items: NonNegativeInt
    size_bytes: NonNegativeInt
    indexes: list[str] = []
    stream: str | None = None  # the stream's view type
    kinesis: bool = False
    capacity_mode: Literal["on-demand", "provisioned"] = "on-demand"
    read_capacity: float | None = None  # what the table can take per second, where known
    write_capacity: float | None = None
    point_in_time_recovery: bool | None = None  # None: not to be asked


class Segment(Model):
    """One part of a parallel scan. `limit`: at most so many rows (a sample)."""

    kind: Literal["segment"] = "segment"
    segment: NonNegativeInt
    total: PositiveInt
    limit: PositiveInt | None = None


class KeyList(Model):
    """Named keys, each once."""

    kind: Literal["keys"] = "keys"
    keys: list[Key]
    unknown: list[Key] = []  # those of them to which an earlier run sent a write whose answer never came


Source = Annotated[Segment | KeyList, Field(discriminator="kind")]


class Plan(Model):
    """What the job is going to do, and why so. Made once, before anything is written."""

    run: str
    target: Target
    facts: TableFacts
    limits: Limits  # resolved: numbers or "unlimited"
    isolation: Literal["batch", "record"]
    sources: list[Source]  # one per shard, in the order they are started
    warnings: list[str] = []
    limits_from: str = ""  # where the chosen limits come from, for people
    heartbeat_timeout: float = 10.0  # seconds
    rounds_queue: str = "reindexer-rounds"
    round_seconds: float = 30.0
    continue_after: NonNegativeInt = (
        0  # events of a shard's run before it continues as new; 0: the server's word
    )
    search_attributes: list[str] = []  # registered names that may be upserted


class PlanInput(Model):
    job: JobInput
    workflow_id: str
    started_at: datetime
    run: str


# ── Rounds ─────────────────────────────────────────────────────────────────────────────────────────────────


class Isolated(Model):
    """A record that kept failing while its neighbours went through. `unknown`: a write may have landed."""

    key: Key
    error: str = ""
    message: str = ""
    attempts: NonNegativeInt = 0
    unknown: bool = False
    given_up: bool = False  # can never succeed: straight to quarantine


class Progress(Model):
    """One value that covers exactly the rows up to the cursor: heartbeat detail and result of a round.

    Counts are those of this round alone; `unknown` are keys beyond the cursor to which a write was sent
    whose answer never came.
    """

    cursor: Key | None = None
    tally: Tally = Tally()
    attempts: Attempts = Attempts()
    isolated: list[Isolated] = []
    unknown: list[Key] = []
    read_units: NonNegativeFloat = 0.0
    write_units: NonNegativeFloat = 0.0


class Share(Model):
    """What one shard may use per second. None: no limit."""

    read_units: float | None = None
    write_units: float | None = None
    records: float | None = None


class RoundInput(Model):
    target: Target
    source: Source
    cursor: Key | None = None
    handed_out: NonNegativeInt = 0  # rows before the cursor; a sample counts down from its limit
    unknown: list[Key] = []
    doubt: bool = False  # an attempt was lost before: it may have sent writes beyond the cursor, unanswered
    share: Share = Share()
    isolation: Literal["batch", "record"] = "batch"
    seconds: float = 30.0  # time slice
    heartbeat_timeout: float = 10.0


class Stop(StrEnum):
    """Why a round ended."""

    DONE = "done"
    SLICE = "time slice over"
    TOLD = "told to stop"
    ISOLATED = "many isolated records"
    THROTTLED = "throttled"
    UNAVAILABLE = "service unavailable"
    FAULT = "environment fault"
    STALE = "stale attempt"


class Fault(Model):
    """An environment fault, returned and not raised."""

    code: str
    message: str


class RoundResult(Model):
    progress: Progress
    stop: Stop
    fault: Fault | None = None
    throttle: str | None = None  # how far the throttle reaches
    seconds: float = 0.0


class RecordInput(Model):
    """One isolated record, on its own."""

    target: Target
    record: Isolated
    share: Share = Share()
    heartbeat_timeout: float = 10.0


class RecordResult(Model):
    """`outcome` None: not settled; `record` then carries what is known.

    `retry`: the record itself failed. `waiting`: the service was not there, or had no capacity.
    """

    outcome: str | None
    attempts: Attempts = Attempts()
    record: Isolated
    retry: bool = False
    waiting: bool = False
    fault: Fault | None = None
    write_units: NonNegativeFloat = 0.0


class QuarantineInput(Model):
    target: Target
    job: str
    run: str
    record: Isolated


class QuarantineEntry(Model):
    """A quarantined record in the ledger. `applied`: whether its write may have landed after all."""

    job: str
    run: str
    table_arn: str
    version: int
    stamp: str
    key: Key
    error: str
    message: str
    attempts: NonNegativeInt
    applied: Literal["no", "unknown"]
    at: datetime
    state: Literal["open", "redriven", "discarded"] = "open"
    reason: str | None = None  # why it was discarded, or which job redrove it
    attributes: Attributes | None = None  # of the run's target; a redrive must write the same two
    code: str | None = None  # of the job file whose function gave it up


class KeysOfRun(Model):
    """Records that a run has met."""

    job: str
    run: str
    keys: list[Key]


class CloseInput(KeysOfRun):
    """Failures of a run that a redrive has settled. Those it quarantined again itself stay open."""

    by_job: str
    by_run: str


class FailurePage(Model):
    """Quarantined records: counts by error class, and one page. `after`: where the next page begins."""

    counts: dict[str, int]
    entries: list[QuarantineEntry]
    after: str | None = None


class Holder(Model):
    """Who holds a table's lock."""

    namespace: str
    workflow_id: str
    run_id: str
    run: str
    since: datetime


# ── Control and reports between root and shards ───────────────────────────────────────────────────────────


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
    read_units: NonNegativeFloat = 0.0
    write_units: NonNegativeFloat = 0.0
    rounds: NonNegativeInt = 0
    #: Quarantined records by error class, and the newest of them; the ledger has all.
    failures: dict[str, int] = {}
    quarantined: list[Isolated] = []
    timed_out: bool = False  # an attempt timed out: its zombie may still write for one heartbeat timeout


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


# ── Verification, lock, ledger ─────────────────────────────────────────────────────────────────────────────


class VerifyInput(Model):
    target: Target
    segment: NonNegativeInt
    total: PositiveInt
    cursor: Key | None = None
    share: Share = Share()
    keep: NonNegativeInt = 1000  # keys of rows behind to hand back; more are only counted
    keys: list[Key] | None = None  # instead of a segment
    heartbeat_timeout: float = 10.0
    seconds: float = 30.0


class VerifyResult(Model):
    scanned: NonNegativeInt = 0
    behind: NonNegativeInt = 0
    keys: list[Key] = []
    cursor: Key | None = None
    done: bool = False
    fault: Fault | None = None
    read_units: NonNegativeFloat = 0.0


class LockInput(Model):
    table_arn: str
    version_attribute: str
    workflow_id: str
    run_id: str
    namespace: str
    run: str
    take: bool = False
    wait_seconds: float = 10.0  # one heartbeat timeout: the last attempts of a dead holder may still write


class Verification(Model):
    """What an independent consistent read found. `behind`: rows in scope that are not at the target."""

    scanned: NonNegativeInt
    behind: NonNegativeInt


class ControlEvent(Model):
    """Who paused, resumed or changed what, when and why."""

    at: datetime
    what: str
    reason: str | None = None
    limits: dict[str, Any] | None = None


class Change(Model):
    """One attribute before and after, as JSON of its value, shortened; None: missing."""

    name: str
    before: str | None
    after: str | None


class Pair(Model):
    """A record that a dry run would change. `delete`: it would be gone; then the changes show what it holds."""

    key: Key
    changes: list[Change]
    delete: bool = False


class DryRun(Model):
    """What would become of a sample. Nothing was written. `failures`: by error class, with one message each."""

    tally: Tally
    pairs: list[Pair] = []
    failures: dict[str, int] = {}
    messages: dict[str, str] = {}


class DryRunInput(Model):
    target: Target
    source: Source
    limit: PositiveInt
    pairs: NonNegativeInt = 10
    seconds: float = 20.0  # then it tells what it has seen
    heartbeat_timeout: float = 10.0


class Report(Model):
    """The account of a job: the workflow's result, and a row of the ledger."""

    job: str
    run: str
    table: str
    table_arn: str
    operation: dict[str, Any]
    version: int
    tally: Tally
    attempts: Attempts
    balanced: bool
    verification: Verification | None
    shards: NonNegativeInt
    warnings: list[str]
    controls: list[ControlEvent]
    started_at: datetime
    seconds: NonNegativeFloat
    state: Literal["complete", "incomplete", "cancelled", "failed"]
    writer: str
    consumed: dict[str, float]
    unbalanced_shards: list[int] = []
    code: str | None = None  # of the job file
    dry_run: DryRun | None = None


class ReportInput(Model):
    report: Report
    version_attribute: str
