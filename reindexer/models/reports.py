"""A job's report, as its result and in the ledger."""

from __future__ import annotations

import operator
from datetime import datetime
from typing import Any, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt

from reindexer.models.arrived import Arrival
from reindexer.models.by_partition import ByPartition, PackedByPartition
from reindexer.models.checks import DryRun, Verification
from reindexer.models.comparison import Compared
from reindexer.models.model import Model
from reindexer.models.purpose import Purpose, Used
from reindexer.models.search_index import Indexed
from reindexer.models.shards import Kept
from reindexer.tally import Attempts, Tally


class ControlEvent(Model):
    """Who paused, resumed or changed what, when and why."""

    at: datetime
    what: str
    reason: str | None = None
    limits: dict[str, Any] | None = None


class Report(Model):
    """What a job did: the workflow's result, and a row of the ledger."""

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
    comparison: Compared | None = Field(default=None, exclude_if=lambda value: value is None)
    index: Indexed | None = Field(default=None, exclude_if=lambda value: value is None)
    #: Whether what it wrote has arrived, where the job was to wait for that.
    arrival: Arrival | None = Field(default=None, exclude_if=lambda value: value is None)
    shards: NonNegativeInt
    warnings: list[str]
    controls: list[ControlEvent]
    started_at: datetime
    seconds: NonNegativeFloat
    #: "running" is what the ledger has until a job ends: then its counts are those of `as_of`, lower bounds.
    state: Literal["complete", "incomplete", "cancelled", "failed", "running", "terminated"]
    as_of: datetime | None = None  # when the counts were taken, where the job has not ended by itself
    writer: str
    consumed: dict[str, float]
    unbalanced_shards: list[int] = []
    code: str | None = None  # of the job file
    dry_run: DryRun | None = None
    #: The tally of each named partition key value, of a job over partitions; those of which nothing was found
    #: too. They add up to `tally`, unless a warning names some that are not known.
    partitions: ByPartition = {}
    unbalanced_partitions: list[str] = Field(default=[], exclude_if=operator.not_)  # some of them
    not_found: list[str] = Field(default=[], exclude_if=operator.not_)  # what vanished or is empty, in words
    #: The version had been used for something else: what is `current` need not be as this job leaves records.
    used: Used | None = Field(default=None, exclude_if=operator.not_)
    #: Of a follow that ended by itself: records given up that no redrive has settled since. `tally` counts each
    #: change that was given up. None: not counted.
    left: NonNegativeInt | None = Field(default=None, exclude_if=lambda value: value is None)


class PartitionsInput(Model):
    """Tallies by partition of a job's shards: those at hand, and those in states that the ledger keeps."""

    partitions: PackedByPartition = {}
    kept: list[Kept] = []


class PartitionTotals(Model):
    """By partition, as many as one payload holds, those with records given up first. `left_out`: the others."""

    partitions: PackedByPartition = {}
    left_out: NonNegativeInt = 0
    total: Tally = Tally()  # over all of them
    empty: NonNegativeInt = 0  # of all of them, those of which no record was found
    unbalanced: list[str] = []  # names of some whose outcomes do not add up


class ReportInput(Model):
    """`partitions`: those of the report, which is handed over without them."""

    report: Report
    version_attribute: str
    partitions: PartitionsInput = PartitionsInput()
    purpose: Purpose | None = Field(default=None, exclude_if=operator.not_)  # of the version
