"""What goes into a round or a record activity, and what comes back."""

from __future__ import annotations

import operator
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, NonNegativeFloat, NonNegativeInt

from reindexer.errors import MAX_CLASS_BYTES, cut
from reindexer.items import Cursor, Key
from reindexer.models.by_partition import ByPartition
from reindexer.models.lock import LockInput
from reindexer.models.model import Model
from reindexer.models.plan import Target
from reindexer.models.sources import Source
from reindexer.models.streams import Followed, ShardId
from reindexer.models.unconfirmed import Unconfirmed
from reindexer.tally import Attempts, Tally

#: Texts that come from a job's code, from AWS or from an engine, whatever their length.
ErrorClass = Annotated[str, AfterValidator(lambda text: cut(text, MAX_CLASS_BYTES))]
Message = Annotated[str, AfterValidator(cut)]
#: Of a fault, which has to say what is to be done about it.
LongMessage = Annotated[str, AfterValidator(lambda text: cut(text, 1000))]


class Isolated(Model):
    """A record that kept failing while its neighbours went through. `unknown`: a write may have landed."""

    key: Key
    error: ErrorClass = ""
    message: Message = ""
    attempts: NonNegativeInt = 0
    unknown: bool = False
    given_up: bool = False  # can never succeed: straight to quarantine
    deleting: bool = False  # this run's delete mark is on it: if it is gone, this run has deleted it
    creating: bool = Field(default=False, exclude_if=operator.not_)  # what was sent last creates it elsewhere
    #: The mark is or was on it, as far as is known: at the target by another stamp, it is not `current`.
    marked: bool = Field(default=False, exclude_if=operator.not_)
    #: The order at which it is written elsewhere; None: that of the scan.
    order: int | None = Field(default=None, exclude_if=lambda value: value is None)
    #: When the change was made that it is about, in ms since 1970; 0: it is about none, or not known.
    changed_ms: NonNegativeInt = Field(default=0, exclude_if=operator.not_)
    #: It is one that a replica held before the scan: if the table has it not, it is removed there.
    older: bool = Field(default=False, exclude_if=operator.not_)
    #: The partition key value, as text, that its outcome counts to; None where a job does not count by them.
    partition: str | None = Field(default=None, exclude_if=lambda value: value is None)


class Progress(Model):
    """One value that covers exactly the rows up to the cursor: heartbeat detail and result of a round.

    Counts are those of this round alone; `unconfirmed` are writes beyond the cursor. `partitions`: the tally by
    partition, of those that this round has come to; it adds up to `tally`. Empty where a job does not count by
    partitions.
    """

    cursor: Cursor | None = None
    tally: Tally = Tally()
    attempts: Attempts = Attempts()
    isolated: list[Isolated] = []
    unconfirmed: list[Unconfirmed] = []
    read_units: NonNegativeFloat = 0.0
    write_units: NonNegativeFloat = 0.0
    partitions: ByPartition = {}
    #: Rows beyond the cursor, in the source's order, that may carry this run's stamp. Where the job ends here,
    #: they are looked at once more; else the next round meets them anyway.
    ahead: NonNegativeInt = Field(default=0, exclude_if=operator.not_)
    followed: Followed | None = Field(default=None, exclude_if=operator.not_)  # of one that reads a stream


class Share(Model):
    """What one shard may use per second. None: no limit."""

    read_units: float | None = None
    write_units: float | None = None
    records: float | None = None
    #: Of the other table, where two are compared.
    other_read_units: float | None = Field(default=None, exclude_if=lambda value: value is None)


class Levels(Model):
    """What is left of a shard's share at the end of a round, for the next. Negative: debt."""

    read_units: float = 0.0
    write_units: float = 0.0
    records: float = 0.0


class ShardPlace(Model):
    """Where the ledger keeps what rounds of a shard have found, for later rounds or for people."""

    job: str
    run: str
    index: NonNegativeInt


class RoundInput(Model):
    target: Target
    source: Source
    cursor: Cursor | None = None
    rows_read: NonNegativeInt = 0  # rows before the cursor; a sample counts down from its limit
    unconfirmed: list[Unconfirmed] = []  # as in `Progress`
    ahead: NonNegativeInt = 0  # as in `Progress`
    doubt: bool = False  # an attempt was lost before: it may have sent writes beyond the cursor, unanswered
    followed: Followed | None = Field(default=None, exclude_if=operator.not_)  # at the end of the round before
    #: Of one that follows: records before the cursor are isolated, and its position is not to pass them.
    isolated: bool = Field(default=False, exclude_if=operator.not_)
    #: Of one that follows: ended stream shards of the cursor that the ledger knows, so that they may leave it.
    noted: list[ShardId] = Field(default=[], exclude_if=operator.not_)
    share: Share = Share()
    levels: Levels = Levels()  # of the round before
    isolation: Literal["batch", "record"] = "batch"
    seconds: float = 30.0  # time slice
    heartbeat_timeout: float = 10.0
    lock: LockInput | None = Field(default=None, exclude_if=operator.not_)  # that has to be held
    place: ShardPlace | None = Field(
        default=None, exclude_if=operator.not_
    )  # None: asked for by an older worker

    @property
    def beginning(self) -> Progress:
        """The state of the round before it has done anything."""
        return Progress(cursor=self.cursor, unconfirmed=self.unconfirmed, ahead=self.ahead)


class Stop(StrEnum):
    """Why a round ended."""

    DONE = "done"
    SLICE = "time slice over"
    ASKED = "asked to stop"
    ISOLATED = "isolated records, which are not to wait"
    THROTTLED = "throttled"
    UNAVAILABLE = "service unavailable"
    FAULT = "environment fault"
    STALE = "stale attempt"
    FAILED = "defect"  # it raised what it should not, or met an unknown code; what it reached is kept


#: The code of a fault of one worker's machine: its clock. Another worker may do what it could not.
CLOCK_WRONG = "ClockWrong"


class Fault(Model):
    """An environment fault, returned and not raised."""

    code: ErrorClass
    message: LongMessage

    @classmethod
    def of(cls, error: Any) -> Fault:
        """Of an error or a failure, by its `code` and `message`."""
        return cls(code=error.code, message=error.message)


class RoundResult(Model):
    progress: Progress
    stop: Stop
    fault: Fault | None = None
    throttle: str | None = None  # how far the throttle reaches
    #: Of a round that was throttled or found no service: whose answer that was, and what it said last.
    service: str = Field(default="", exclude_if=operator.not_)
    said: str = Field(default="", exclude_if=operator.not_)
    seconds: float = 0.0
    levels: Levels = Levels()


class RecordInput(Model):
    """One isolated record, on its own."""

    target: Target
    record: Isolated
    share: Share = Share()
    heartbeat_timeout: float = 10.0
    lock: LockInput | None = Field(default=None, exclude_if=operator.not_)  # that has to be held


class RecordResult(Model):
    """`outcome` None: not settled; `record` then carries what is known.

    `retry`: the record itself failed. `waiting`: the service was not there, or had no capacity. `died`: an
    attempt ended without a result, so a record that is gone may have been deleted by it.
    """

    outcome: str | None
    attempts: Attempts = Attempts()
    record: Isolated
    retry: bool = False
    waiting: bool = False
    died: bool = False
    fault: Fault | None = None
    write_units: NonNegativeFloat = 0.0
