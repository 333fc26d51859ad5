"""The outer input: what an operator starts a job with.

`Option` gives a field its command-line option. docs/input.md explains the fields at length; tests compare both.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from reindexer.items import RESERVED
from reindexer.models.model import Asked
from reindexer.models.operations import Touch
from reindexer.models.option import Option
from reindexer.models.ordered_operations import Operation
from reindexer.models.scope import Complete, Scope

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
    bytes_per_second: Annotated[
        Rate, Option("--bytes-per-second", f"Bytes of documents sent to an index: {RATE_TEXT}.", "RATE")
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
    #: "complete": every document of an index, and not a sample alone.
    verify: Annotated[
        bool | Literal["complete"], Option("--no-verify", "Skip the consistent read after the writes.")
    ] = True
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
    #: For at most five minutes; what has not arrived by then makes the job incomplete.
    confirm: Annotated[
        bool,
        Option("--confirm", "Wait at the end until follows of the table have carried it; else incomplete."),
    ] = False
    #: Of a holder that cannot be asked: its job is in another cluster.
    force_lock: Annotated[
        bool, Option("--force-lock", "Take over the lock of a job that has certainly stopped.")
    ] = False


class FollowInput(JobInput):
    """What an operator starts `FollowTable` with."""

    #: False: no scan; it goes on where the last follow of this destination was.
    backfill: bool = True
