"""Counting: what became of each record, and what it took.

`scanned` is counted by the source as it hands records out; the outcomes are counted where a record is
settled. The two meet only in `Tally.balanced`, so that a mistake on either side shows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, NonNegativeInt, model_serializer


class Outcome(StrEnum):
    """What became of one scanned record. Every scanned record gets exactly one."""

    UPDATED = "updated"
    DELETED = "deleted"
    CREATED = "created"
    REPLACED = "replaced"
    REMOVED = "removed"
    CURRENT = "current"
    SUPERSEDED = "superseded"
    FILTERED = "filtered"
    VANISHED = "vanished"
    QUARANTINED = "quarantined"


#: What each outcome says, for people who read its name for the first time.
MEANING: Mapping[Outcome, str] = {
    Outcome.UPDATED: "changed by this run",
    Outcome.DELETED: "removed by this run",
    Outcome.CREATED: "created in the other table by this run",
    Outcome.REPLACED: "changed in the other table to the table's values",
    Outcome.REMOVED: "removed from the other table by this run",
    Outcome.CURRENT: "at the target before this run",
    Outcome.SUPERSEDED: "past the target, by someone else",
    Outcome.FILTERED: "left alone by the job's query or function",
    Outcome.VANISHED: "gone before this run wrote it",
    Outcome.QUARANTINED: "given up, listed in the ledger",
}


#: What this run has written.
DONE = frozenset((Outcome.UPDATED, Outcome.DELETED, Outcome.CREATED, Outcome.REPLACED, Outcome.REMOVED))

_ZEROS = {outcome.value: 0 for outcome in Outcome}


class Tally(BaseModel):
    """How many records the source handed out, and a count per outcome. Immutable; `+` adds two.

    In JSON it is flat, with zeros: `{"scanned": 3, "updated": 3, "deleted": 0, …}`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    scanned: NonNegativeInt = 0
    outcomes: Mapping[Outcome, NonNegativeInt] = {}  # those that are not 0

    def __init__(self, scanned: int = 0, **outcomes: int) -> None:
        """Counts by their outcome's name. Raises `ValidationError` for any other name, and below 0."""
        super().__init__(scanned=scanned, outcomes={name: n for name, n in outcomes.items() if n != 0})

    @model_serializer
    def _flat(self) -> dict[str, int]:
        return {"scanned": self.scanned, **_ZEROS, **self.counted}

    @property
    def counted(self) -> dict[str, int]:
        """The outcomes that are not 0, by name."""
        return {outcome.value: count for outcome, count in self.outcomes.items()}

    def __hash__(self) -> int:
        # Pydantic copies a default that has no hash, deeply, each time that a model is made without the field.
        return hash((self.scanned, frozenset(self.outcomes.items())))

    def __getitem__(self, outcome: Outcome) -> int:
        return self.outcomes.get(outcome, 0)

    @property
    def settled(self) -> int:
        """The sum of all outcomes."""
        return sum(self.outcomes.values())

    def balanced(self, isolated: int = 0) -> bool:
        """Whether every scanned record has its one outcome, but for `isolated` records still under way."""
        return self.scanned == self.settled + isolated

    def plus(self, outcome: Outcome, count: int = 1) -> Tally:
        """This tally with `count` more of one outcome; `scanned` stays, since the source counts it."""
        return Tally(self.scanned, **{**self.outcomes, outcome: self[outcome] + count})

    @classmethod
    def total(cls, parts: Iterable[Tally]) -> Tally:
        """Their sum; making a validated model of each partial sum would take 20 times as long."""
        scanned, outcomes = 0, dict[str, int]()
        for part in parts:
            scanned += part.scanned
            for outcome, count in part.outcomes.items():
                outcomes[outcome] = outcomes.get(outcome, 0) + count
        return cls(scanned, **outcomes)

    def __add__(self, other: Tally) -> Tally:
        return self.total((self, other))

    def __sub__(self, other: Tally) -> Tally:
        """What came since `other`, which has no count above this one's."""
        counts = {outcome: self[outcome] - other[outcome] for outcome in Outcome}
        return Tally(self.scanned - other.scanned, **counts)


class Attempts(BaseModel):
    """What it took besides the writes that went through. Exact without crashes; lower bounds after one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    throttled: NonNegativeInt = 0  # statements refused for lack of capacity
    server_errors: NonNegativeInt = 0  # statements answered by 5xx
    timeouts: NonNegativeInt = 0  # statements whose answer never came: time-out, cut connection
    conflicts: NonNegativeInt = 0  # statements refused because of another writer
    ambiguous: NonNegativeInt = 0  # records for which an error came back, yet the write had been applied

    @classmethod
    def total(cls, parts: Iterable[Attempts]) -> Attempts:
        """Their sum; making a validated model of each partial sum would take 20 times as long."""
        every = list(parts)
        return cls(**{name: sum(getattr(part, name) for part in every) for name in cls.model_fields})

    def __add__(self, other: Attempts) -> Attempts:
        return self.total((self, other))

    @property
    def words(self) -> str:
        """For people: `1,948 server errors, 12 time-outs`; "" where there were none."""
        named = {name: name.replace("_", " ") for name in type(self).model_fields} | {"timeouts": "time-outs"}
        return ", ".join(f"{n:,} {word}" for name, word in named.items() if (n := getattr(self, name)))


def plus_each(tallies: Mapping[str, Tally], more: Mapping[str, Tally]) -> dict[str, Tally]:
    """Both, name by name."""
    return {**tallies, **{name: tallies.get(name, Tally()) + tally for name, tally in more.items()}}
