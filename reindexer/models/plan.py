"""The plan: made once, before anything is written."""

from __future__ import annotations

import operator
from datetime import datetime
from typing import Literal

from pydantic import Field, NonNegativeInt, PositiveInt

from reindexer.models.capacity import Capacity, Uses, chosen
from reindexer.models.job_input import Attributes, JobInput, Limits
from reindexer.models.model import Model
from reindexer.models.operations import Touch
from reindexer.models.ordered_operations import Operation
from reindexer.models.purpose import Purpose
from reindexer.models.search_index import IndexCreation, SearchIndex
from reindexer.models.second_table import OtherTable, destination_of_table
from reindexer.models.sources import KeyList, PartitionRanges, SampledSegments, Segment, Source
from reindexer.models.streams import Lineages
from reindexer.models.verb import Verb


class KeyAttribute(Model):
    name: str
    type: Literal["S", "N", "B"]


class SortCondition(Model):
    """A condition on the sort key; `values` as text (B: base64): one, or the two bounds of `between`."""

    operator: Literal["eq", "lt", "lte", "gt", "gte", "begins_with", "between"]
    values: list[str]


class PartitionScope(Model):
    """What the partitions of a job are partitions of: the table, or an index of it."""

    partition: KeyAttribute  # the partition key of the table, or of the index
    sort: KeyAttribute | None = None  # the sort key there
    index: str | None = None
    condition: SortCondition | None = None


class IndexKey(Model):
    """One key attribute of one index. `partition`: of its partition key, else of its sort key."""

    index: str
    name: str
    type: Literal["S", "N", "B"]
    partition: bool


class Expiry(Model):
    """Records left alone as expired: `attribute` is a number, at or above `first` and below `before`."""

    attribute: str  # the table's TTL attribute
    first: int  # seconds since 1970; DynamoDB never expires what is further in the past
    before: int  # the job's start, for each record and for the verification alike


class Target(Model):
    """Which table, and what is written there: everything a round needs to know besides its own part."""

    table: str
    table_arn: str
    table_id: str  # TableId, or the creation time where the engine has none
    key: list[KeyAttribute]
    attributes: Attributes
    version: int
    stamp: str  # the run stamp: value of the run attribute
    writer: Literal["partiql", "update_item", "bulk", "none"]
    operation: Operation = Touch()
    code: str | None = None  # SHA-256 of the job file that was planned with, or as many digits as were accepted
    index_keys: dict[str, str] = {}  # attributes that are keys of an index, and their types
    indexes: list[IndexKey] = []  # the same with their indexes; empty in plans of older workers
    within: PartitionScope | None = None  # of a `partitions` scope; the values are the sources'
    expiry: Expiry | None = None  # None: records past their TTL are processed like others
    other: OtherTable | None = Field(default=None, exclude_if=lambda value: value is None)
    search: SearchIndex | None = Field(default=None, exclude_if=lambda value: value is None)

    @property
    def destination(self) -> str:
        """By which the ledger keeps lock, epochs and positions of what has an order; "" in place."""
        if self.search is not None:
            return self.search.destination
        return destination_of_table(self.other.table_arn, self.other.table_id) if self.other is not None else ""

    @property
    def destination_name(self) -> str:
        """The destination for people."""
        if self.search is not None:
            return self.search.index
        return self.other.table if self.other is not None else self.table

    def running(self, code: str | None) -> Target:
        """The same with other code of its job; None: with what was planned."""
        return self if code is None else self.model_copy(update={"code": code})


class TableFacts(Capacity):
    """What DynamoDB says of the table. Counts are up to six hours old; they size, they decide nothing."""

    account: str
    region: str
    items: NonNegativeInt
    size_bytes: NonNegativeInt
    indexes: list[str] = []
    stream: str | None = None  # the stream's view type
    kinesis: bool = False
    point_in_time_recovery: bool | None = None  # None: not to be asked


class CycleBounds(Model):
    """Where a run of the root is long enough: it hands over to a new one. See `docs/scale.md`."""

    #: 0: only when the server suggests it, at 4,096 events by default. Half of that replays in a second; 400
    #: shards that hand back add some 1,500.
    events: NonNegativeInt = 2000
    signals: PositiveInt = 1000  # a tenth of what the server takes in one run: a pause always passes
    updates: PositiveInt = 500  # a quarter of what the server takes in one run


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
    ttl: str = ""  # the TTL attribute, and the sample's share of expired records, for people
    #: Of the table that it compares with.
    other_facts: TableFacts | None = Field(default=None, exclude_if=lambda value: value is None)
    creation: IndexCreation | None = Field(default=None, exclude_if=lambda value: value is None)
    #: Where a follow of the index begins, taken before anything is read; kept in the ledger.
    positions: list[Lineages] = Field(default=[], exclude_if=operator.not_)
    #: What of a replica is compared with the table once it is complete; none: nothing is.
    checks: list[Segment | SampledSegments] = Field(default=[], exclude_if=operator.not_)
    #: Segments in which a replica is read that held records before; 0: it was empty.
    refilled: NonNegativeInt = Field(default=0, exclude_if=operator.not_)
    begins: bool = Field(default=False, exclude_if=operator.not_)  # an epoch of a replica, by a scan
    uses: Uses | None = None  # what its limits are chosen by; None: planned by an older worker
    verb: Verb  # what the operation's verb says of itself
    purpose: Purpose | None = None  # of the version; None: a redrive keeps it, and who only reads has none
    heartbeat_timeout: float = 10.0  # seconds
    rounds_queue: str = "reindexer-rounds"
    #: Of rounds that follow; None: planned by an older worker, those of all others.
    following_queue: str | None = Field(default=None, exclude_if=lambda value: value is None)
    records_queue: str | None = None  # of records and their quarantine; None: that of the job's workflow
    round_seconds: float = 30.0
    continue_after: NonNegativeInt = (
        0  # events of a shard's run before it continues as new; 0: the server's word
    )
    look_seconds: float = 8.0  # between two looks at the shards, at first
    cycle: CycleBounds = CycleBounds()
    search_attributes: list[str] = []  # registered names that may be upserted

    def chosen(self, asked: Limits) -> tuple[Limits, str]:
        """The limits as `capacity.chosen` resolves them from what is known of the tables."""
        verb = self.verb
        return chosen(
            asked,
            self.facts,
            self.other_facts,
            writes_other=verb.writes_other,
            writes_index=verb.writes_index,
        )

    @property
    def counts_by_partition(self) -> bool:
        """Whether the report has a tally for each partition."""
        return not self.verb.compares and any(
            isinstance(source, PartitionRanges) or (isinstance(source, KeyList) and bool(source.partitions))
            for source in self.sources
        )

    @property
    def expected(self) -> int | None:
        """About how many records the job is for, by counts that may be hours old; None: not known."""
        named = [source for source in self.sources if isinstance(source, PartitionRanges)]
        if named:
            rows = [part.rows for source in named for part in source.ranges]
            return None if None in rows else sum(count or 0 for count in rows)
        if any(isinstance(source, Lineages) for source in self.sources):
            return None  # it does not end
        keys = sum(len(source.keys) for source in self.sources if isinstance(source, KeyList))
        limit = sum(source.limit or 0 for source in self.sources if isinstance(source, Segment))
        limit += sum(source.enough for source in self.sources if isinstance(source, SampledSegments))
        return keys or (min(limit, self.facts.items) if limit else self.facts.items)


class Elsewhere(Model):
    """Not planned here: the job has workers of its own, on this task queue, and is planned there."""

    queue: str


class PlanInput(Model):
    job: JobInput
    follows: bool = Field(default=False, exclude_if=operator.not_)  # the table's stream, beside the scan
    resumes: bool = Field(default=False, exclude_if=operator.not_)  # where an earlier follow was; no scan
    preview: bool = Field(default=False, exclude_if=operator.not_)  # nothing is created
    rescans: str = Field(default="", exclude_if=operator.not_)  # the index or replica to fill again, by name
    destination: str = Field(default="", exclude_if=operator.not_)  # as of `Target`, of what it fills again
    workflow_id: str
    started_at: datetime
    run: str
