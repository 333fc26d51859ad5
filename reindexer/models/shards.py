"""The state of a shard: whole, as it is started and continued; and in brief, as its root knows it."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, SerializerFunctionWrapHandler, model_serializer

from reindexer.errors import cut
from reindexer.items import Cursor
from reindexer.models.by_partition import PackedByPartition
from reindexer.models.checks import Verification, VerifyResult
from reindexer.models.comparison import CompareResult, Comparison
from reindexer.models.model import Model
from reindexer.models.rounds import Isolated, Levels, Progress
from reindexer.models.streams import Followed
from reindexer.models.unconfirmed import Unconfirmed
from reindexer.tally import Attempts, Tally

#: Bytes of JSON of a shard's state as it travels to its root and back: 400 of them fit one payload of 2 MB.
MAX_STATE_BYTES = 2048
#: Bytes of JSON of the newest quarantined records that a shard tells of: its few signals carry them.
MAX_NEWEST_BYTES = 4096


def within_bytes(records: list[Isolated], most: int = MAX_NEWEST_BYTES) -> list[Isolated]:
    """As many of the last ones as fit."""
    kept: list[Isolated] = []
    for record in reversed(records):
        most -= len(record.model_dump_json().encode())
        if most < 0:
            break
        kept.append(record)
    return kept[::-1]


def _oldest(records: Sequence[Isolated]) -> int:
    """As `Counts` has it."""
    return min((record.changed_ms for record in records), default=0)


class Counts(Model):
    """What a shard has come to since the job began. All of them add up."""

    tally: Tally = Tally()
    attempts: Attempts = Attempts()
    isolated: NonNegativeInt = 0
    #: When the oldest change among them was made, in ms since 1970; 0: there is none, or one of unknown time.
    oldest_ms: NonNegativeInt = 0
    read_units: NonNegativeFloat = 0.0
    write_units: NonNegativeFloat = 0.0
    checked: Verification = Verification()  # of a shard that verifies
    compared: Comparison = Comparison()  # of one that compares
    followed: Followed | None = None  # of one that reads a stream; of several the last is what holds

    @classmethod
    def of(cls, round_: Progress | VerifyResult | CompareResult) -> Counts:
        """Those of one round."""
        if isinstance(round_, CompareResult):
            return cls(compared=round_.counts, read_units=round_.read_units)
        if isinstance(round_, VerifyResult):
            checked = Verification(scanned=round_.scanned, behind=round_.behind)
            return cls(checked=checked, read_units=round_.read_units)
        return cls(
            tally=round_.tally,
            attempts=round_.attempts,
            isolated=len(round_.isolated),
            oldest_ms=_oldest(round_.isolated),
            read_units=round_.read_units,
            write_units=round_.write_units,
            followed=round_.followed,
        )

    @model_serializer
    def _brief(self) -> dict[str, Any]:
        """Without zeros: hundreds of them travel in one payload, and are read again at each replay."""
        fields: dict[str, Any] = {
            "tally": {
                name: n for name, n in {"scanned": self.tally.scanned, **self.tally.counted}.items() if n
            },
            "attempts": self.attempts.model_dump(exclude_defaults=True),
            "isolated": self.isolated,
            "oldest_ms": self.oldest_ms,
            "read_units": self.read_units,
            "write_units": self.write_units,
            "checked": self.checked.model_dump(exclude_defaults=True),
            "compared": self.compared.model_dump(exclude_defaults=True),
            "followed": self.followed and self.followed.model_dump(),
        }
        return {name: value for name, value in fields.items() if value}

    @classmethod
    def total(cls, parts: Sequence[Counts]) -> Counts:
        """Their sum."""
        return cls(
            tally=Tally.total(part.tally for part in parts),
            attempts=Attempts.total(part.attempts for part in parts),
            isolated=sum(part.isolated for part in parts),
            oldest_ms=min((part.oldest_ms for part in parts if part.isolated), default=0),
            read_units=sum(part.read_units for part in parts),
            write_units=sum(part.write_units for part in parts),
            checked=Verification(
                scanned=sum(part.checked.scanned for part in parts),
                behind=sum(part.checked.behind for part in parts),
            ),
            compared=Comparison.total([part.compared for part in parts]),
            followed=next((part.followed for part in reversed(parts) if part.followed), None),
        )

    def __add__(self, other: Counts) -> Counts:
        return self.total((self, other))


class ShardSummary(Model):
    """What the root knows of a shard: bounded, whatever the shard has met. `rounds`: how many are in it."""

    counts: Counts = Counts()
    rounds: NonNegativeInt = 0
    failures: dict[str, int] = {}  # quarantined records by error class
    newest: list[Isolated] = []  # the newest of those that the root does not know; the ledger has all
    doubt: bool = False  # an attempt was lost: counts may be lower bounds
    chunks: NonNegativeInt = 0  # of differences, kept by a shard that compares

    @model_serializer(mode="wrap")
    def _brief(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without defaults: hundreds of them travel in one payload."""
        return {name: value for name, value in handler(self).items() if value not in ({}, [], 0, False)}


class ShardState(Model):
    """The state of a shard, cumulative since the job began; also what it is started or continued from."""

    cursor: Cursor | None = None
    done: bool = False
    tally: Tally = Tally()
    attempts: Attempts = Attempts()
    isolated: list[Isolated] = []
    unconfirmed: list[Unconfirmed] = []  # as in `Progress`
    ahead: NonNegativeInt = 0  # as in `Progress`
    read_units: NonNegativeFloat = 0.0
    write_units: NonNegativeFloat = 0.0
    rounds: NonNegativeInt = 0
    levels: Levels = Levels()
    checked: Verification = Verification()
    compared: Comparison = Field(default=Comparison(), exclude_if=Comparison().__eq__)
    chunks: NonNegativeInt = Field(default=0, exclude_if=operator.not_)  # as in `ShardSummary`
    followed: Followed | None = Field(default=None, exclude_if=operator.not_)
    #: Quarantined records by error class, and the newest that the root does not know; the ledger has all.
    failures: dict[str, int] = {}
    quarantined: list[Isolated] = []
    timed_out: bool = False  # an attempt was lost: its zombie may still write for one heartbeat timeout
    #: The tally by partition.
    partitions: PackedByPartition = {}

    @property
    def travels(self) -> bool:
        """Whether it is small enough for a payload; else it goes through the ledger."""
        return len(self.model_dump_json().encode()) <= MAX_STATE_BYTES

    @property
    def unsettled(self) -> bool:
        """Whether records beyond the cursor may have been changed, or are isolated."""
        return bool(self.ahead or self.unconfirmed or self.isolated or self.timed_out)

    @property
    def summary(self) -> ShardSummary:
        """What the root gets to know."""
        return ShardSummary(
            counts=Counts(
                tally=self.tally,
                attempts=self.attempts,
                isolated=len(self.isolated),
                oldest_ms=_oldest(self.isolated),
                read_units=self.read_units,
                write_units=self.write_units,
                checked=self.checked,
                compared=self.compared,
                followed=self.followed,
            ),
            rounds=self.rounds,
            failures=self.failures,
            newest=within_bytes(self.quarantined),
            doubt=self.timed_out,
            chunks=self.chunks,
        )


class Kept(Model):
    """A state that is too large to travel, kept in the ledger under the job's run, by shard and number."""

    job: str
    run: str
    index: NonNegativeInt
    number: NonNegativeInt  # of hand-backs of this shard; each has its own place


class Situation(Model):
    """What a shard is doing, as it says itself: in its memo, where whoever looks finds it without asking it."""

    state: Literal["running", "throttled", "paused", "parked"] = "running"
    reason: str = ""
    scope: str | None = None  # of a throttle
    summary: ShardSummary = ShardSummary()

    @property
    def brief(self) -> Situation:
        """For a memo, of which the server warns above 2 KB: without records, and the reason cut."""
        summary = self.summary.model_copy(update={"newest": []})
        return self.model_copy(update={"reason": cut(self.reason), "summary": summary})
