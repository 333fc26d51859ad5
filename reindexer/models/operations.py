"""What an operator may ask a job to do in the table itself, and with two tables: one class for each verb."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Discriminator, Field, Tag, field_validator, model_validator

from reindexer.models.model import MAX_VERSION, Asked
from reindexer.models.option import Option
from reindexer.models.search_index import IndexBeside, Readers
from reindexer.models.second_table import Beside, With

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

    @property
    def beside(self) -> Beside | None:
        """The second table, which it compares or writes; None: it has none."""
        return None

    @property
    def readers(self) -> Readers | None:
        """Who gets the index that it makes; None: it makes none."""
        return None

    @property
    def creates_replica(self) -> bool:
        """Whether its second table is created where there is none."""
        return False

    def on(self, table: str) -> str:
        """For the title of a plan: what is done to which table."""
        return f"{self.words} {table}"

    def at(self, version: int) -> Self:
        """The same with the version that was chosen for it."""
        return self.model_copy(update={"version": version})

    def again(self) -> AskedOperation:
        """What writes again what its verification has found behind."""
        return self


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
                raise ValueError(f"{path} must be a finite number (given: {number})")
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


def _beside(given: Any) -> str:
    """Which of both, by what names it."""
    index = isinstance(given, IndexBeside) or (isinstance(given, dict) and "search" in given)
    return IndexBeside.__name__ if index else With.__name__


class WithoutVersion(AskedOperation):
    """What neither writes a version nor judges by one."""

    @property
    def version(self) -> None:
        """None: where its writes have an order, the plan chooses the epoch."""
        return

    def at(self, version: int) -> Self:  # noqa: ARG002
        """The same."""
        return self


class TwoTables(WithoutVersion):
    """What is done with a second table, or an index, beside the first."""

    model_config = ConfigDict(validate_by_name=True, serialize_by_alias=True)  # `with` is no name in Python

    other: Annotated[
        Annotated[With, Tag(With.__name__)] | Annotated[IndexBeside, Tag(IndexBeside.__name__)],
        Discriminator(_beside),
        Field(alias="with"),
    ]
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
    def beside(self) -> Beside | None:
        """The other table; None: it is an index."""
        if isinstance(self.other, IndexBeside):
            return None
        return Beside(self.other, self.leave_out, self.lag_seconds)

    @property
    def words(self) -> str:
        """With the name of what is beside it."""
        return f"{self.kind} with {self.other.name}"


class Compare(TwoTables):
    """Only read: whether another table, or an index, holds the same. Takes no lock, writes nothing."""

    kind: Literal["compare"]
    #: Of an index, whose documents it has made.
    job: Annotated[
        Annotated[str, Field(min_length=1)] | None,
        Option("--job", "The job that made the index's documents, by document(item, params).", "NAME"),
    ] = Field(default=None, exclude_if=lambda value: value is None)
    params: Annotated[
        dict[str, Any], Option("--param", "A parameter of the job. Can be repeated.", "NAME=VALUE")
    ] = Field(default={}, exclude_if=lambda value: not value)

    def on(self, table: str) -> str:
        """Both, in their order."""
        return f"compare {table} with {self.other.name}"

    @field_validator("params")
    @classmethod
    def _numbers(cls, given: dict[str, Any]) -> dict[str, Any]:
        return Transform._finite(given)

    @model_validator(mode="after")
    def _of_an_index(self) -> Compare:
        if isinstance(self.other, With):
            if self.job is not None or self.params:
                raise ValueError("job and params are for an index, whose documents a job makes")
        elif self.leave_out:
            raise ValueError("leave_out is for a table: all fields of documents are compared")
        return self


class Repair(TwoTables):
    """Compare, and make the other table equal. Locks the other table, and writes to it alone."""

    kind: Literal["repair"]
    other: Annotated[With, Field(alias="with")]
    #: Compares nothing first: every record is created that is not there.
    backfill: Annotated[bool, Option("--backfill", "Fill an empty table, without comparing first.")] = False

    def on(self, table: str) -> str:
        """Which table is written, and from which."""
        return f"{'fill' if self.backfill else 'repair'} {self.other.table} from {table}"
