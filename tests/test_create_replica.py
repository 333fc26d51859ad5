"""A replica that is created: what is said while it is not there yet."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from reindexer.errors import BadInput, Unavailable
from reindexer.models import Replicate, With
from reindexer.planning.create_replica import find_replica

pytestmark = pytest.mark.unit


def created(name: str) -> Replicate:
    return Replicate(kind="replicate", to=With(table=name), create=True)


class Tables:
    """Each table is in this state."""

    def __init__(self, state: str) -> None:
        self._state = state

    def describe_table(self, **_: Any) -> dict[str, Any]:
        return {"Table": {"TableStatus": self._state}}


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ("CREATING", "DynamoDB is creating the replica r"),
        ("DELETING", "DynamoDB is deleting a table called r; the replica is created once that is gone"),
        ("ARCHIVED", "the table r is ARCHIVED"),
    ],
)
def test_a_table_that_is_not_ready_is_waited_for_by_what_it_is(state: str, said: str) -> None:
    with pytest.raises(Unavailable, match=said):
        find_replica(created("r"), None, Tables(state))  # type: ignore[arg-type]


class Refusing:
    """No table may have such a name."""

    def describe_table(self, **_: Any) -> dict[str, Any]:
        refused = {"Code": "ValidationException", "Message": "TableName must be at least 3 characters long"}
        raise ClientError({"Error": refused, "ResponseMetadata": {"HTTPStatusCode": 400}}, "DescribeTable")  # type: ignore[typeddict-item]


@pytest.mark.parametrize(
    ("name", "said"),
    [("no name!", "neither a table's name"), ("x", "'x' cannot be a table: TableName must be at least 3")],
)
def test_a_name_that_no_table_can_have_is_bad_input(name: str, said: str) -> None:
    with pytest.raises(BadInput, match=said) as refused:
        find_replica(created(name), None, Refusing())  # type: ignore[arg-type]
    assert refused.value.field == "operation.to.table"
