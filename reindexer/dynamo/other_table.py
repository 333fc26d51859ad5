"""A second table: clients that reach it, and its name in what goes wrong there."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from reindexer.answers import Failure
from reindexer.dynamo.client import make_client
from reindexer.dynamo.roles import Role
from reindexer.models import Fault, OtherTable, With

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

#: What went wrong: with a call, or with what surrounds a shard's records.
Wrong = TypeVar("Wrong", Failure, Fault)


def of_other(wrong: Wrong, table: str) -> Wrong:
    """The same with the other table named in what is said of it: else the first one would be looked at."""
    said = said_of(wrong, f"the other table, {table}")
    return said if isinstance(said, Fault) else replace(said, service=f"DynamoDB for {table}")


def said_of(wrong: Wrong, who: str) -> Wrong:
    """The same of whom it names."""
    message = f"{who}: {wrong.message}"
    if isinstance(wrong, Fault):
        return wrong.model_copy(update={"message": message})
    return replace(wrong, message=message)


def other_client(other: With | OtherTable, pool: int = 32) -> DynamoDBClient:
    """A client that reaches the other table. `pool`: most calls in flight at once.

    Its Region is the one that is named, else that of its ARN, else the worker's own. Raises `EnvironmentFault`
    where AWS's settings do not suffice.
    """
    role = Role(other.role_arn, other.external_id) if other.role_arn else None

    def made(region: str | None) -> DynamoDBClient:
        return make_client(region=region, endpoint=other.endpoint, role=role, pool=pool)

    if other.region is not None or not other.table.startswith("arn:"):
        return made(other.region)
    there, here = made(other.table.split(":")[3]), made(None)
    # One endpoint for all Regions is an engine's: what it writes into its ARNs may be a Region of its making.
    return here if there.meta.endpoint_url == here.meta.endpoint_url else there
