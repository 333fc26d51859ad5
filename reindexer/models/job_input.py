"""The outer input: what an operator starts a job with.

`Option` gives a field its command-line option. docs/input.md explains the fields at length; tests compare both.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, field_validator, model_validator

from reindexer.items import RESERVED
from reindexer.models.model import MAX_VERSION, Asked
from reindexer.models.option import Option
from reindexer.models.scope import Complete, Scope
from reindexer.models.second_table import With

_VERSION = Option("--version", "The target version; default: the start time in ms.", "N|next")
Version = Annotated[int, Field(ge=1, le=MAX_VERSION)]
#: None: the start time in milliseconds. "next": one above the highest recorded for the table.
VersionOrNext = Annotated[Version | Literal["next"] | None, _VERSION]


class AskedOperation(Asked):
    """What a job is to do. Each verb has one; all have a `version`, which is None where it writes none."""

    kind: str

    @property
    def words(self) -> str:
        """For a line of a list."""
        return self.kind

    def on(self, table: str) -> str:
        """For the title of a plan: what is done to which table."""
        return f"{self.words} {table}"

    def at(self, version: int) -> Self:
        """The same with the version that was chosen for it."""
        return self.model_copy(update={"version": version})


class Touch(AskedOperation):
    """Bump the version of every record, so that the table's stream fires again."""

    kind: Literal["touch"] = "touch"
    version: VersionOrNext = None


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
    job: Annotated[
        str,
        Field(min_length=1),
        Option("--job", "Run the query and function of this job; `reindexer jobs` lists them.", "NAME"),
    ]
    params: Annotated[
        dict[str, Any], Option("--param", "A parameter of the job. Can be repeated.", "NAME=VALUE")
    ] = {}
    version: VersionOrNext = None

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
    version: Annotated[Version, _VERSION]


class Unstamp(AskedOperation):
    """Remove version and run attribute from the records."""

    kind: Literal["unstamp"]
    version: None = None  # it writes none

    @field_validator("version", mode="before")
    @classmethod
    def _none(cls, given: Any) -> None:
        if given is not None:
            raise ValueError("unstamp removes every version, and takes none")

    def at(self, version: int) -> Self:  # noqa: ARG002
        """The same: it has no version."""
        return self


class TwoTables(AskedOperation):
    """What is done with a second table beside the first."""

    model_config = ConfigDict(validate_by_name=True, serialize_by_alias=True)  # `with` is no name in Python

    other: Annotated[With, Field(alias="with")]
    leave_out: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=255)]],
        Field(max_length=100),  # it travels in the input of each round
        Option("--leave-out", "An attribute that is not compared. Can be repeated.", "NAME"),
    ] = []
    #: 0: what differs now. Above: of an asynchronous copy; it is looked at again after so long.
    lag_seconds: Annotated[
        float,
        Field(ge=0, le=300),  # a round waits as long: what lags by more is compared once it has caught up
        Option("--lag", "Count a difference only if it lasts longer than this, 0 to 300.", "SECONDS"),
    ] = Field(default=0.0, exclude_if=lambda value: not value)

    @property
    def version(self) -> None:
        """It judges by none."""
        return

    @property
    def words(self) -> str:
        """With the other table's name."""
        return f"{self.kind} with {self.other.table}"


class Compare(TwoTables):
    """Only read: whether another table holds the same. Takes no lock, writes nothing."""

    kind: Literal["compare"]

    def on(self, table: str) -> str:
        """Both tables, in their order."""
        return f"compare {table} with {self.other.table}"


class Repair(TwoTables):
    """Compare, and make the other table equal. Locks the other table, and writes to it alone."""

    kind: Literal["repair"]
    #: Compares nothing first: every record is created that is not there.
    backfill: Annotated[bool, Option("--backfill", "Fill an empty table, without comparing first.")] = False

    def on(self, table: str) -> str:
        """Which table is written, and from which."""
        return f"{'fill' if self.backfill else 'repair'} {self.other.table} from {table}"


Operation = Annotated[Touch | Transform | Verify | Unstamp | Compare | Repair, Field(discriminator="kind")]


#: A unit in 100 s: a job that may do less never ends. A billion: more than any table has.
Rate = Annotated[float, Field(ge=0.01, le=1e9)] | Literal["unlimited"] | None
#: A rate as it is written on the command line, where `chosen` is null.
RATE_TEXT = "a number per second, unlimited, or chosen (by the plan)"


class Limits(Asked):
    """What a job may use. null: chosen by the plan from the table's capacity and shown; "unlimited": none."""

    read_units_per_second: Annotated[Rate, Option("--read-units", f"Read units: {RATE_TEXT}.", "RATE")] = None
    write_units_per_second: Annotated[
        Rate, Option("--write-units", f"Write units, indexes included: {RATE_TEXT}.", "RATE")
    ] = None
    other_read_units_per_second: Annotated[
        Rate, Option("--other-read-units", f"Read units of the other table: {RATE_TEXT}.", "RATE")
    ] = Field(default=None, exclude_if=lambda value: value is None)
    records_per_second: Annotated[Rate, Option("--records-per-second", f"Records: {RATE_TEXT}.", "RATE")] = None
    shards_in_flight: Annotated[
        int,
        Field(ge=1, le=400),  # the most shards a job ever has
        Option("--shards-in-flight", "Shards in progress at the same time, 1 to 400.", "N"),
    ] = 32
    #: 0: park at the first.
    quarantined: Annotated[
        int,
        Field(ge=0, le=1_000_000_000),
        Option("--quarantined", "Park the job when more records than this are given up.", "N"),
    ] = 1000


class Attributes(Asked):
    """The names of the two attributes that every write carries."""

    version: Annotated[
        str,
        Field(min_length=1, max_length=255),
        Option("--version-attribute", "Attribute of the version; default: reindexVersion.", "NAME"),
    ] = "reindexVersion"
    run: Annotated[
        str,
        Field(min_length=1, max_length=255),
        Option("--run-attribute", "Attribute of the run stamp; default: reindexRun.", "NAME"),
    ] = "reindexRun"

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

    table: Annotated[
        str,
        Field(min_length=1, max_length=1024),  # an ARN has at most 1,024 characters
        Option("TABLE", "A table's name or ARN."),
    ]
    operation: Annotated[
        Operation,
        Option("--operation", "touch (the default), transform (needs --job), verify (only reads), or unstamp."),
    ] = Touch()
    scope: Annotated[Scope, Option("--scope", "Which records; default: complete.")] = Complete()
    limits: Limits = Limits()
    attributes: Attributes = Attributes()
    #: null: about 20,000 records each, at most 400.
    total_segments: Annotated[
        Annotated[int, Field(ge=1, le=400)] | None, Option("--segments", "Number of shards, 1 to 400.", "N")
    ] = None
    #: "batch": only those that keep failing are. null: "record" for a list of up to 100 keys, else "batch".
    isolation: Annotated[
        Literal["batch", "record"] | None,
        Option("--isolation", "record: run each record as an activity of its own."),
    ] = None
    verify: Annotated[bool, Option("--no-verify", "Skip the consistent read after the writes.")] = True
    sweep: Annotated[bool, Option("--no-sweep", "Do not process again what verification finds behind.")] = True
    #: The time is that at which the job began.
    skip_expired: Annotated[
        bool, Option("--skip-expired", "Skip records that are past their time to live (TTL).")
    ] = False
    reason: Annotated[str | None, Option("--reason", "Reason, kept in the job's report.", "TEXT")] = None
    #: Records above the target end as `superseded`.
    allow_lower: Annotated[
        bool, Option("--allow-lower", "Accept a target version below versions in the table.")
    ] = False
    #: By another operation, job, code or parameters: what carries the version is left alone.
    allow_used: Annotated[
        bool, Option("--allow-used", "Accept a version that was used for another purpose.")
    ] = False
    #: There conditions hold in one Region only.
    allow_multi_region: Annotated[bool, Option("--allow-multi-region", "Accept a global table.")] = False
    dry_run: Annotated[bool, Option("--dry-run", "Show what the job would do; write nothing.")] = False
    #: Delete records or attributes of a table without point-in-time recovery.
    allow_no_recovery: Annotated[
        bool, Option("--allow-no-recovery", "Allow deletions without point-in-time recovery.")
    ] = False
    expect_found: Annotated[
        bool,
        Option(
            "--expect-found",
            "Incomplete if a record vanished, a named partition is empty, or no record was found.",
        ),
    ] = False
    #: Of a holder that cannot be asked: its job is in another cluster.
    force_lock: Annotated[
        bool, Option("--force-lock", "Take over the lock of a job that has certainly stopped.")
    ] = False
