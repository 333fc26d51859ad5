"""Where the records of a shard come from, as it travels."""

from __future__ import annotations

import operator
from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, PositiveInt

from reindexer.items import Key
from reindexer.models.model import Model
from reindexer.models.streams import Lineages
from reindexer.models.unconfirmed import Unconfirmed


class Segment(Model):
    """One part of a parallel scan. `limit`: at most this many rows (a sample)."""

    kind: Literal["segment"] = "segment"
    segment: NonNegativeInt
    total: PositiveInt
    limit: PositiveInt | None = None


class SampledSegments(Model):
    """Some segments of a parallel scan, chosen at random: read in this order until there are enough keys."""

    kind: Literal["sampled_segments"] = "sampled_segments"
    segments: list[NonNegativeInt]
    total: PositiveInt
    enough: PositiveInt  # no further segment is read after this many keys
    at_least: NonNegativeInt  # segments that are read even so


class KeyList(Model):
    """Named keys, each once."""

    kind: Literal["keys"] = "keys"
    keys: list[Key]
    unconfirmed: list[Unconfirmed] = []  # writes of an earlier run to some of them
    marked: list[Key] = Field(default=[], exclude_if=operator.not_)  # those of `keys`, as in `Isolated`
    #: The partition that each key counts to, in their order, where a job counts by partitions.
    partitions: list[str] = Field(default=[], exclude_if=operator.not_)
    #: The order at which each is written, in their order; none: that of the scan.
    orders: list[int] = Field(default=[], exclude_if=operator.not_)
    older: bool = Field(default=False, exclude_if=operator.not_)  # as in `Isolated`


class KeptKeys(Model):
    """A key list that is kept in the ledger, under the job's run: whoever reads it gets it there."""

    kind: Literal["kept_keys"] = "kept_keys"
    job: str
    run: str
    number: NonNegativeInt
    count: NonNegativeInt  # of its keys, for people


class KeptDifferences(Model):
    """What a comparison found in one shard, as the ledger keeps it under the job's run."""

    kind: Literal["kept_differences"] = "kept_differences"
    job: str
    run: str
    shard: NonNegativeInt  # by which it is kept
    chunks: PositiveInt


class PartitionRange(Model):
    """Rows of one partition whose sort key is at or above `first` and below `before`; None: no such bound.

    All values are text: numbers normalised, so that 1 and 1.0 are one, binary as base64.
    """

    value: str  # of the partition key
    first: str | None = None
    before: str | None = None
    rows: NonNegativeInt | None = None  # that were there when it was planned; None: not known


class PartitionRanges(Model):
    """Ranges of partitions, read one after another. `Target.within` says of what they are partitions."""

    kind: Literal["partitions"] = "partitions"
    ranges: list[PartitionRange]


class OlderSegment(Model):
    """One part of what a replica held before the scan that has just been made for it.

    `given_up`: records that the run has given up, which are left as they are.
    """

    kind: Literal["older_segment"] = "older_segment"
    segment: NonNegativeInt
    total: PositiveInt
    given_up: list[Key] = Field(default=[], exclude_if=operator.not_)


class DocumentRange(Model):
    """Documents of one shard of a search index, by the numbers that it gives to writes, each a higher one.

    What is written again meanwhile gets a number above all others: it may be handed out once more, or not.
    """

    kind: Literal["documents"] = "documents"
    shard: NonNegativeInt
    after: int = -1
    upto: NonNegativeInt | None = None  # None: to the end


Source = Annotated[
    Segment
    | KeyList
    | KeptKeys
    | PartitionRanges
    | KeptDifferences
    | SampledSegments
    | Lineages
    | OlderSegment
    | DocumentRange,
    Field(discriminator="kind"),
]
