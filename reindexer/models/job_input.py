"""The outer input: what an operator starts a job with."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import Field, StrictInt, StrictStr, field_validator, model_validator

from reindexer.items import RESERVED
from reindexer.models.model import MAX_VERSION, Asked


class AskedOperation(Asked):
    """What a job is to do. Each verb has one; all have a version."""

    kind: str

    @property
    def words(self) -> str:
        """For a line of a list."""
        return self.kind


class Touch(AskedOperation):
    """Bump the version of every record, so that the table's stream fires again."""

    kind: Literal["touch"] = "touch"
    #: The target. None: the start time in milliseconds. "next": one above the highest recorded for the table.
    version: Annotated[int, Field(ge=1, le=MAX_VERSION)] | Literal["next"] | None = None


def _floats(value: Any, path: str = "") -> Iterator[tuple[str, float]]:
    """Every float within, with its path."""
    if isinstance(value, float):
        yield path, value
    elif isinstance(value, dict):
        for name, entry in value.items():
            yield from _floats(entry, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for index, entry in enumerate(value):
            yield from _floats(entry, f"{path}[{index}]")


class Transform(AskedOperation):
    """Run a job's query and function over the records."""

    kind: Literal["transform"]
    job: Annotated[str, Field(min_length=1)]
    params: dict[str, Any] = {}
    version: Annotated[int, Field(ge=1, le=MAX_VERSION)] | Literal["next"] | None = None

    @property
    def words(self) -> str:
        """With the job's name."""
        return f"{self.kind} {self.job}"

    @field_validator("params")
    @classmethod
    def _finite(cls, given: dict[str, Any]) -> dict[str, Any]:
        # Types are the job's own affair; a number that JSON cannot hold is not the job's number any more.
        for path, number in _floats(given):
            if not math.isfinite(number):
                raise ValueError(f"{path} has to be a finite number (given: {number})")
        return given


class Verify(AskedOperation):
    """Only read: how many records are behind `version`. Takes no lock, writes nothing."""

    kind: Literal["verify"]
    version: Annotated[int, Field(ge=1, le=MAX_VERSION)]


Operation = Annotated[Touch | Transform | Verify, Field(discriminator="kind")]


class Complete(Asked):
    """The whole table, as a parallel scan."""

    kind: Literal["complete"] = "complete"


class Sample(Asked):
    """Exactly min(limit, rows of the table) records, for a first try."""

    kind: Literal["sample"]
    limit: Annotated[int, Field(ge=1, le=1_000_000)] = 10  # above a million it is no sample: one shard reads it


class Keys(Asked):
    """Named records. Each key holds the table's key attributes: N as string or integer, B as base64.

    `values` instead of `keys`: of a table whose key is one attribute, its values.
    """

    kind: Literal["keys"]
    # 10,000 keys are about 1 MB of JSON, half of what one Temporal payload may hold.
    # Strict: 1.0 and true would otherwise pass for the integer 1.
    keys: Annotated[list[dict[str, StrictStr | StrictInt]], Field(min_length=1, max_length=10_000)] | None = (
        None
    )
    values: Annotated[list[StrictStr | StrictInt], Field(min_length=1, max_length=10_000)] | None = None

    @model_validator(mode="after")
    def _one(self) -> Keys:
        if (self.keys is None) == (self.values is None):
            raise ValueError('needs "keys", a list of objects; or "values", of a key with one attribute')
        return self


class SortKey(Asked):
    """Exactly one condition on the sort key, named as boto3 names it. Bounds of `between` are both included."""

    eq: StrictStr | StrictInt | None = None
    lt: StrictStr | StrictInt | None = None
    lte: StrictStr | StrictInt | None = None
    gt: StrictStr | StrictInt | None = None
    gte: StrictStr | StrictInt | None = None
    begins_with: StrictStr | None = None
    between: Annotated[list[StrictStr | StrictInt], Field(min_length=2, max_length=2)] | None = None

    @model_validator(mode="after")
    def _one(self) -> SortKey:
        given = [name for name in SortKey.model_fields if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(
                f"has to hold exactly one of {', '.join(SortKey.model_fields)} "
                f"(given: {', '.join(given) or 'none'})"
            )
        return self


class Partitions(Asked):
    """All records of the named partition key values, of the table or of an index."""

    kind: Literal["partitions"]
    #: Of the partition key's type: N as string or integer, B as base64. As many as `keys` may name.
    values: Annotated[list[StrictStr | StrictInt], Field(min_length=1, max_length=10_000)]
    sort_key: SortKey | None = None
    index: Annotated[str, Field(min_length=1, max_length=255)] | None = None  # 255: DynamoDB's longest name


class Quarantined(Asked):
    """A redrive: the records that an earlier run gave up, at that run's target."""

    kind: Literal["quarantined"]
    job: Annotated[str, Field(min_length=1)]
    run: Annotated[str, Field(min_length=1)]
    error: str | None = None  # only this error class
    keys: list[dict[str, StrictStr | StrictInt]] | None = None  # only these


Scope = Annotated[Complete | Sample | Keys | Partitions | Quarantined, Field(discriminator="kind")]


#: A unit in 100 s: a job that may do less never ends. A billion: more than any table has.
Rate = Annotated[float, Field(ge=0.01, le=1e9)] | Literal["unlimited"] | None


class Limits(Asked):
    """What a job may use. null: chosen by the plan from the table's capacity and shown; "unlimited": none."""

    read_units_per_second: Rate = None
    write_units_per_second: Rate = None
    records_per_second: Rate = None
    #: Shards working at the same time. 400 is the most shards a job ever has.
    shards_in_flight: Annotated[int, Field(ge=1, le=400)] = 32
    #: Records given up before the job parks itself. 0: park at the first.
    quarantined: Annotated[int, Field(ge=0, le=1_000_000_000)] = 1000


class Attributes(Asked):
    """The names of the two attributes that every write carries."""

    version: Annotated[str, Field(min_length=1, max_length=255)] = "reindexVersion"
    run: Annotated[str, Field(min_length=1, max_length=255)] = "reindexRun"

    @model_validator(mode="after")
    def _differ(self) -> Attributes:
        for field in ("version", "run"):
            if getattr(self, field).startswith(RESERVED):
                raise ValueError(f"{field}: names that begin with {RESERVED} are AWS's own; choose another")
        if self.version == self.run:
            raise ValueError("version and run must be two different attributes")
        return self


class JobInput(Asked):
    """What an operator starts `ReindexTable` with. All but `table` is optional."""

    table: Annotated[str, Field(min_length=1, max_length=1024)]  # a name, or an ARN (at most 1,024 characters)
    operation: Operation = Touch()
    scope: Scope = Complete()
    limits: Limits = Limits()
    attributes: Attributes = Attributes()
    #: Shards; null: about 20,000 records each, at most 400.
    total_segments: Annotated[int, Field(ge=1, le=400)] | None = None
    #: "record": every record is its own activity; "batch": only those that keep failing.
    #: null: "record" for a list of up to 100 keys, else "batch".
    isolation: Literal["batch", "record"] | None = None
    verify: bool = True
    sweep: bool = True
    #: Leave records alone that were past their time to live when the job began.
    skip_expired: bool = False
    reason: str | None = None
    #: Accept a target below versions that are already in the table (those records end as `superseded`).
    allow_lower: bool = False
    #: Accept a target that another operation, job, code or parameters have used: what carries it is left alone.
    allow_used: bool = False
    #: Accept a global table, where conditions hold in one Region only.
    allow_multi_region: bool = False
    #: Only look: read a sample, apply query and function, write nothing, report what would become of it.
    dry_run: bool = False
    #: Let a job delete records or attributes of a table that cannot be restored to a point in time.
    allow_no_recovery: bool = False
    #: Complete only if every named key is there, no named partition is empty, and some record was found.
    expect_found: bool = False
    #: Take the table's lock although its holder cannot be asked (another cluster). Only if it surely stopped.
    force_lock: bool = False
