"""A replica that is created: what is said while it is not there yet."""

from __future__ import annotations

from typing import Any

import pytest

from reindexer.errors import Unavailable
from reindexer.models import With
from reindexer.planning.create_replica import ensure_replica

pytestmark = pytest.mark.unit


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
        ensure_replica(With(table="r"), None, Tables(state), preview=False)  # type: ignore[arg-type]
