"""Whether the table under a name is still the table that was planned for.

After a drop and re-create a cursor of the old table silently skips rows of the new one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reindexer.answers import Action, CallFailed
from reindexer.dynamo.table import TableClient
from reindexer.models import Fault, Stop
from reindexer.round_context import RoundContext
from reindexer.throttle import backoff

#: Tries before a DescribeTable that only meets throttles or 5xx is given up: about 15 s in all.
_TRIES = 8


def table_id(description: Mapping[str, Any]) -> str:
    """`TableId`, or the creation time where an engine has none."""
    return str(description.get("TableId") or description["CreationDateTime"].isoformat())


def identity_fault(table: TableClient, arn: str, identity: str, context: RoundContext) -> Fault | None:
    """None: it is the table that was planned for. Else why the job has to park, or that it was asked to stop.

    Raises `CallFailed` where only throttles or no answers came: that is waited out, not an operator's to fix.
    """
    for tries in range(_TRIES):
        try:
            found = table.call("describe_table", TableName=table.table)["Table"]
        except CallFailed as failed:
            failure = failed.failure
            if failure.action not in (Action.WAIT, Action.RETRY):
                return Fault.of(failure)
            if tries == _TRIES - 1:
                raise
            context.wait(backoff(tries))
            if context.stopping():
                return Fault(code=Stop.ASKED.name, message=Stop.ASKED.value)
            continue
        if found["TableArn"] == arn and table_id(found) == identity:
            return None
        return Fault(
            code="TableReplaced",
            message=f"another table answers to the name {table.table} now: planned for {arn} ({identity}), "
            f"found {found['TableArn']} ({table_id(found)})",
        )
    raise AssertionError("unreachable: the last try returns or raises")
