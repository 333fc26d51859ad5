"""A second table, and how it is reached."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from reindexer.models.model import Asked
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

    @model_validator(mode="after")
    def _of_a_role(self) -> With:
        if self.external_id is not None and self.role_arn is None:
            raise ValueError("external_id goes with role_arn")
        return self
