"""What an operator may ask a job to write elsewhere, at an order of its own; and all that may be asked for."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag, field_validator

from reindexer.models.operations import (
    AskedOperation,
    Compare,
    Repair,
    Touch,
    Transform,
    Unstamp,
    Verify,
    WithoutVersion,
)
from reindexer.models.option import Option
from reindexer.models.search_index import IndexBeside, MoveAlias, Readers, SearchAddress
from reindexer.models.second_table import Beside, With


class ToSearch(WithoutVersion):
    """What writes documents of records into a search index."""

    to: SearchAddress
    job: Annotated[
        Annotated[str, Field(min_length=1)] | None,
        Option("--job", "Make documents by this job's document(item, params).", "NAME"),
    ] = None
    params: Annotated[
        dict[str, Any], Option("--param", "A parameter of the job. Can be repeated.", "NAME=VALUE")
    ] = {}

    @field_validator("params")
    @classmethod
    def _numbers(cls, given: dict[str, Any]) -> dict[str, Any]:
        return Transform._finite(given)


class Refresh(ToSearch):
    """Write documents of named records again, into the index that readers have."""

    kind: Literal["refresh"]

    @property
    def words(self) -> str:
        """With the job's name."""
        return f"refresh by {self.job}" if self.job else "refresh"

    def on(self, table: str) -> str:
        """Of which table, for which readers."""
        return f"refresh {self.to.alias} from {table}"


def documents_of(compared: AskedOperation) -> Refresh | None:
    """What makes the documents of an index that is compared; None: it is none."""
    if not (isinstance(compared, Compare) and isinstance(compared.other, IndexBeside)):
        return None
    return Refresh(kind="refresh", to=compared.other.address, job=compared.job, params=compared.params)


class ToReplica(WithoutVersion):
    """What writes records into a second table, each at an order of its own."""

    to: With

    @property
    def beside(self) -> Beside:
        """The replica."""
        return Beside(self.to)


class RefreshReplica(ToReplica):
    """Write named records again into their replica."""

    kind: Literal["refresh"]

    @property
    def words(self) -> str:
        """With the replica's name."""
        return f"{self.kind} in {self.to.table}"

    def on(self, table: str) -> str:
        """Of which table, in which replica."""
        return f"refresh {self.to.table} from {table}"


def _refreshed(given: Any) -> str:
    """Which of both, by where it writes to."""
    to = given.get("to") if isinstance(given, dict) else getattr(given, "to", None)
    replica = isinstance(to, With) or (isinstance(to, dict) and "table" in to)
    return RefreshReplica.__name__ if replica else Refresh.__name__


class Index(ToSearch):
    """Write a document of every record into a new search index."""

    kind: Literal["index"]
    #: None: made from a sample of the records.
    mapping: Annotated[dict[str, Any] | None, Option("--mapping", "The index's mapping, as JSON.", "FILE")] = (
        None
    )
    settings: Annotated[
        dict[str, Any] | None, Option("--settings", "The index's settings, as JSON.", "FILE")
    ] = None
    move_alias: Annotated[
        MoveAlias,
        Option("--move-alias", "When readers get the index: if complete (the default), always, or never."),
    ] = "complete"
    replace_index: Annotated[
        bool, Option("--replace-index", "Remove an index that has the alias's name today.")
    ] = False

    @property
    def words(self) -> str:
        """With the job's name."""
        return f"index by {self.job}" if self.job else "index"

    def on(self, table: str) -> str:
        """From which table, for which readers."""
        return f"index {table} for {self.to.alias}"

    @property
    def readers(self) -> Readers:
        """Those of its alias."""
        return Readers(self.to, self.move_alias, self.replace_index)

    def again(self) -> Refresh:
        """What writes its documents again."""
        return Refresh(kind="refresh", to=self.to, job=self.job, params=self.params)

    def at(self, version: int) -> Self:  # noqa: ARG002
        """The same without what only the creation of the index needs: it travels with each round."""
        return self.model_copy(update={"mapping": None, "settings": None})

    @field_validator("mapping", "settings")
    @classmethod
    def _finite(cls, given: dict[str, Any] | None) -> dict[str, Any] | None:
        return given if given is None else Transform._finite(given)


class Replicate(ToReplica):
    """Write every record into a second table."""

    kind: Literal["replicate"]
    create: Annotated[
        bool, Option("--create", "Create the replica, where there is none, as the table is described.")
    ] = False

    #: Records that no replica has, of a table that others have filled.
    replace: Annotated[
        bool, Option("--replace", "Replace and remove records that the replica holds of others.")
    ] = False
    #: Of a table that is a replica itself.
    allow_chain: Annotated[bool, Option("--allow-chain", "Accept a table that is a replica itself.")] = False

    @property
    def creates_replica(self) -> bool:
        """As it was asked to."""
        return self.create

    @property
    def words(self) -> str:
        """With the replica's name."""
        return f"{self.kind} to {self.to.table}"

    def on(self, table: str) -> str:
        """From which table, to which."""
        return f"replicate {table} to {self.to.table}"


_Refreshes = Annotated[
    Annotated[Refresh, Tag(Refresh.__name__)] | Annotated[RefreshReplica, Tag(RefreshReplica.__name__)],
    Discriminator(_refreshed),
]
Operation = Annotated[
    Touch | Transform | Verify | Unstamp | Compare | Repair | Index | _Refreshes | Replicate,
    Field(discriminator="kind"),
]
