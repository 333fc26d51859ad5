"""Counting: what became of each record, and what it took.

`scanned` is counted by the source as it hands records out; the outcomes are counted where a record is
settled. The two meet only in `Tally.balanced`, so that a mistake on either side shows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, NonNegativeInt


class Outcome(StrEnum):
    """What became of one scanned record. Every scanned record gets exactly one."""

    UPDATED = "updated"  # changed by this run
    DELETED = "deleted"  # removed by this run
    CURRENT = "current"  # at the target before this run
    SUPERSEDED = "superseded"  # past the target, by someone else
    FILTERED = "filtered"  # the job's query or function left it alone
    VANISHED = "vanished"  # gone before this run wrote it
    QUARANTINED = "quarantined"  # given up, listed in the ledger


class Tally(BaseModel):
    """A count per outcome, and how many records the source handed out. Immutable; `+` adds two."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    scanned: NonNegativeInt = 0
    updated: NonNegativeInt = 0
    deleted: NonNegativeInt = 0
    current: NonNegativeInt = 0
    superseded: NonNegativeInt = 0
    filtered: NonNegativeInt = 0
    vanished: NonNegativeInt = 0
    quarantined: NonNegativeInt = 0

    @property
    def settled(self) -> int:
        """The sum of all outcomes."""
        return sum(getattr(self, outcome.value) for outcome in Outcome)

    def balanced(self, isolated: int = 0) -> bool:
        """Whether every scanned record has its one outcome, but for `isolated` records still under way."""
        return self.scanned == self.settled + isolated

    def plus(self, outcome: Outcome, count: int = 1) -> Tally:
        """This tally with `count` more of one outcome; `scanned` stays, since the source counts it."""
        return self.model_copy(update={outcome.value: getattr(self, outcome.value) + count})

    def __add__(self, other: Tally) -> Tally:
        return Tally(**{name: getattr(self, name) + getattr(other, name) for name in Tally.model_fields})

    def __sub__(self, other: Tally) -> Tally:
        """What came since `other`, which has no count above this one's."""
        return Tally(**{name: getattr(self, name) - getattr(other, name) for name in Tally.model_fields})


class Attempts(BaseModel):
    """What it took besides the writes that went through. Exact without crashes; lower bounds after one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    throttled: NonNegativeInt = 0  # statements refused for want of capacity
    server_errors: NonNegativeInt = 0  # statements answered by 5xx
    timeouts: NonNegativeInt = 0  # statements whose answer never came: time-out, cut connection
    conflicts: NonNegativeInt = 0  # statements refused because of another writer
    ambiguous: NonNegativeInt = 0  # records for which an error came back, yet the write had been applied

    def __add__(self, other: Attempts) -> Attempts:
        return Attempts(**{name: getattr(self, name) + getattr(other, name) for name in Attempts.model_fields})


T = TypeVar("T", Tally, Attempts)


def total(kind: type[T], parts: Iterable[T]) -> T:
    """Their sum; making a validated model of each partial sum would take 20 times as long."""
    every = list(parts)
    return kind(**{name: sum(getattr(part, name) for part in every) for name in kind.model_fields})


def plus_each(tallies: Mapping[str, Tally], more: Mapping[str, Tally]) -> dict[str, Tally]:
    """Both, name by name."""
    return {**tallies, **{name: tallies.get(name, Tally()) + tally for name, tally in more.items()}}
