"""A second table, and how it is reached."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Annotated, NamedTuple

from pydantic import Field, model_validator

from reindexer.models.model import Asked, Model
from reindexer.models.option import Option


class With(Asked):
    """A second table, and how it is reached: by default as the first one is."""

    table: Annotated[
        str,
        Field(min_length=1, max_length=1024),  # an ARN has at most 1,024 characters
        Option("OTHER", "The other table's name or ARN."),
    ]
    region: Annotated[
        Annotated[str, Field(pattern=r"^[a-z]{2}(-[a-z]+)+-[0-9]+$")] | None,
        Option("--with-region", "The other table's Region.", "REGION"),
    ] = None
    endpoint: Annotated[
        Annotated[str, Field(pattern=r"^https?://[^\s/?#]+/?$")] | None,
        Option("--with-endpoint", "The DynamoDB endpoint of the other table.", "URL"),
    ] = None
    #: Assumed by the worker, with its own credentials, to read this table alone.
    role_arn: Annotated[
        Annotated[str, Field(pattern=r"^arn:[a-z-]+:iam::[0-9]{12}:role/\S+$")] | None,
        Option("--role-arn", "A role to assume for the other table.", "ARN"),
    ] = None
    external_id: Annotated[
        Annotated[str, Field(min_length=2, max_length=1224)] | None,  # STS's bounds
        Option("--external-id", "External ID that the role asks for.", "ID"),
    ] = None

    @property
    def name(self) -> str:
        """The table's."""
        return self.table

    @model_validator(mode="after")
    def _of_a_role(self) -> With:
        if self.external_id is not None and self.role_arn is None:
            raise ValueError("external_id needs role_arn")
        return self


class Beside(NamedTuple):
    """A second table as an operation names it, and what of its rows is compared."""

    table: With
    leave_out: Sequence[str] = ()
    lag_seconds: float = 0.0


class OtherTable(Model):
    """The table that a job compares its own with: how it is reached, and what of its rows is compared."""

    table: str
    table_arn: str
    table_id: str  # as in `Target`
    region: str
    endpoint: str | None = None  # None: AWS's own settings
    role_arn: str | None = None  # assumed to read it
    external_id: str | None = None
    left_out: list[str] = []  # attributes that are not compared
    expiries: list[str] = []  # TTL attributes, of both tables
    #: By which DynamoDB removes its tombstones; None: by none.
    ttl: str | None = Field(default=None, exclude_if=lambda value: value is None)
    #: Of a refresh of partitions: its partitions are those of the table, and are read as well.
    same_partitions: bool = Field(default=False, exclude_if=operator.not_)
    #: Seconds for which a difference has to persist.
    lag_seconds: float = Field(default=0.0, exclude_if=lambda value: not value)


def destination_of_table(arn: str, identity: str) -> str:
    """By which the ledger keeps lock, epochs and positions of a replica; not of another table of its name."""
    return f"table:{arn}/{identity}"
