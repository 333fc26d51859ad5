"""Comparing two tables: what a round is asked, what it found, and how the differences are counted."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from enum import StrEnum
from functools import reduce

from pydantic import Field, NonNegativeFloat, NonNegativeInt

from reindexer.items import Cursor, Key
from reindexer.models.checks import Keep
from reindexer.models.clusters import Clusters, Estimate
from reindexer.models.model import Model
from reindexer.models.plan import Target
from reindexer.models.rounds import Fault, ShardPlace, Share
from reindexer.models.sources import KeptKeys, Source

_BRIEF = 3  # attributes of a difference in a report


class Difference(StrEnum):
    """How a key differs between the two tables. `moving`: it did not hold still while it was looked at."""

    DIFFERENT = "different"
    MISSING = "missing"  # in the other table
    EXTRANEOUS = "extraneous"  # in the other table, and not in the first
    MOVING = "moving"


class Differing(Model):
    """One attribute, by its path, in both tables: DynamoDB JSON, shortened; None: missing.

    Of a set only what the other one lacks.
    """

    path: str
    table: str | None
    other: str | None


class FoundDifference(Model):
    """A key that differs. `more`: attributes that differ besides."""

    kind: Difference
    key: Key
    attributes: list[Differing] = []
    more: NonNegativeInt = 0

    @property
    def brief(self) -> FoundDifference:
        """For a report, of which twenty travel together: with three of its attributes."""
        dropped = len(self.attributes) - _BRIEF
        if dropped <= 0:
            return self
        return self.model_copy(update={"attributes": self.attributes[:_BRIEF], "more": self.more + dropped})


class Comparison(Model):
    """Counts of a comparison. Every row that either scan hands out is counted once, on its own side.

    A row of the other table whose key the table has is `matched`: what it is like is counted with the table's.
    """

    scanned: NonNegativeInt = 0
    equal: NonNegativeInt = 0
    different: NonNegativeInt = 0
    missing: NonNegativeInt = 0
    moving: NonNegativeInt = 0
    absent: NonNegativeInt = 0  # past its time to live, a tombstone, or deleted before it was looked at again
    other_scanned: NonNegativeInt = 0
    matched: NonNegativeInt = 0
    extraneous: NonNegativeInt = 0
    other_moving: NonNegativeInt = 0
    other_absent: NonNegativeInt = 0
    other_read_units: NonNegativeFloat = 0.0
    clusters: Clusters = Field(default=Clusters(), exclude_if=Clusters().__eq__)  # of a sample

    @property
    def balanced(self) -> bool:
        """Whether every row of each side has its one outcome."""
        first = self.equal + self.different + self.missing + self.moving + self.absent
        other = self.matched + self.extraneous + self.other_moving + self.other_absent
        return (self.scanned, self.other_scanned) == (first, other)

    @property
    def differences(self) -> dict[Difference, int]:
        """How many keys differ, by kind."""
        return {
            Difference.DIFFERENT: self.different,
            Difference.MISSING: self.missing,
            Difference.EXTRANEOUS: self.extraneous,
            Difference.MOVING: self.moving + self.other_moving,
        }

    def with_second_look(self, again: Comparison, unnamed: Comparison) -> Comparison:
        """With what is left of its differences.

        `again`: of the keys that differed, each looked at once more; `unnamed`: differences that no key names.
        """
        moving, extraneous = again.moving, again.extraneous + unnamed.extraneous
        left, other_left = again.different + again.missing + moving, extraneous + unnamed.other_moving
        scanned = max(self.scanned, self.absent + left)
        other_scanned = max(self.other_scanned, self.other_absent + other_left)
        return self.model_copy(
            update={
                "scanned": scanned,
                "equal": scanned - self.absent - left,
                "different": again.different,
                "missing": again.missing,
                "moving": moving,
                "other_scanned": other_scanned,
                "matched": other_scanned - self.other_absent - other_left,
                "extraneous": extraneous,
                "other_moving": unnamed.other_moving,
            }
        )

    @classmethod
    def total(cls, parts: Sequence[Comparison]) -> Comparison:
        """Their sum."""
        return cls(
            **{
                name: reduce(operator.add, (getattr(part, name) for part in parts), field.default)
                for name, field in cls.model_fields.items()
            }
        )

    def __add__(self, other: Comparison) -> Comparison:
        return self.total((self, other))


class CompareInput(Model):
    """One round of a comparison: what `source` names of both tables. `chunks`: kept so far by this shard."""

    target: Target
    source: Source
    cursor: Cursor | None = None
    chunks: NonNegativeInt = 0
    share: Share = Share()
    place: ShardPlace  # where its differences are kept
    #: Rises from each round of a shard to the next: what an attempt that was lost keeps too late is refused.
    fence: NonNegativeInt = 0
    heartbeat_timeout: float = 10.0
    seconds: float = 30.0


class CompareResult(Model):
    """What one round found; also its heartbeat. Counts are of this round alone, `chunks` of the shard."""

    counts: Comparison = Comparison()
    cursor: Cursor | None = None
    chunks: NonNegativeInt = 0
    done: bool = False
    fault: Fault | None = None
    read_units: NonNegativeFloat = 0.0
    throttled: bool = False  # ended early for lack of capacity
    throttle: str | None = None  # how far that reaches, where known


class SampleInput(Model):
    """Some of the differences that the ledger keeps. `chunks`: of each shard, by its number."""

    keep: Keep
    chunks: list[NonNegativeInt]
    most: NonNegativeInt = 20  # enough to see what they have in common


class Sampled(Model):
    differences: list[FoundDifference] = []


class NameInput(SampleInput):
    """Key lists of the differences that the ledger keeps. `key`: names of the key attributes."""

    key: list[str]


class Named(Model):
    """Keys that differ, in lists of the ledger. `unnamed`: counts of documents whose key is not known."""

    lists: list[KeptKeys]
    unnamed: Comparison = Comparison()


class Compared(Model):
    """A comparison in a job's report. The ledger has all differences; `sample` some of them.

    `chunks`: what the ledger keeps of each shard, by its number.
    """

    counts: Comparison = Comparison()
    estimate: Estimate | None = Field(default=None, exclude_if=lambda value: value is None)  # by a sample
    sample: list[FoundDifference] = []
    chunks: list[NonNegativeInt] = Field(default=[], exclude_if=operator.not_)
