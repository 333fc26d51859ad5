"""Delete records older than this many days, by an attribute that holds their time in seconds.

DynamoDB's own time to live deletes at its leisure and only what has the attribute set up for it; this deletes
now, counts what it deleted, and can be tried with a dry run.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import Field

from reindexer import Attr, Condition, Delete, Params, Skip


class Age(Params):
    """`now` is the start of the job, so that every record is held against the same moment."""

    older_than_days: int = Field(ge=1)
    attribute: str = "created_at"
    now: datetime = Field(default_factory=lambda: datetime.now(UTC))

    @property
    def limit(self) -> int:
        """Seconds since 1970; what is below goes."""
        return int((self.now - timedelta(days=self.older_than_days)).timestamp())


def query(params: Age) -> Condition:
    """Records with a number below the limit."""
    return Attr(params.attribute).lt(params.limit)


def transform(item: Mapping[str, Any], params: Age) -> Delete | Skip:
    """Asked again, in case the record was renewed since it was read."""
    return Delete() if item[params.attribute] < params.limit else Skip("not old enough")
