"""Calls of planning: repeated while DynamoDB is busy, and with errors a person can act on."""

from __future__ import annotations

import time
from typing import Any

from reindexer.answers import Action, CallFailed
from reindexer.dynamo.table import TableClient
from reindexer.errors import EnvironmentFault, Refused, Unavailable
from reindexer.throttle import backoff

#: Tries of a call that meets only throttles and 5xx: with full jitter up to 5 s about 10 s in all.
_TRIES = 8
#: Seconds after which no further try begins: of a service that accepts no connection each takes 3 s.
_SECONDS = 10.0

#: An engine's or a policy's way to say that an operation does not exist there.
UNKNOWN_OPERATION = ("UnknownOperationException", "UnknownOperation", "InvalidAction", "NotImplemented")


def ask(table: TableClient, operation: str, *, tries: int = _TRIES, **parameters: Any) -> dict[str, Any]:
    """One answer of one call that may be repeated at will. Raises `CallFailed` as the last try left it."""
    begun = time.monotonic()
    for tried in range(1, tries + 1):
        try:
            return table.call(operation, **parameters)
        except CallFailed as failed:
            passing = failed.failure.action in (Action.WAIT, Action.RETRY)
            if not passing or tried == tries or time.monotonic() - begun > _SECONDS:
                raise
            time.sleep(backoff(tried))
    raise AssertionError("unreachable: the last try returns or raises")


def verdict(failed: CallFailed, action: str, where: str) -> Refused | EnvironmentFault:
    """What a failed call means for the job. `action`: the IAM action it needs; `where`: the table's name."""
    failure = failed.failure
    if failure.denied:
        return denied([action], where)
    if failure.action is Action.LEAVE:
        return Unavailable(failure.code, failure.message)
    if failure.action in (Action.WAIT, Action.RETRY):
        return Unavailable(failure.code, f"{action} on {where} got no answer: {failure.message}")
    return EnvironmentFault(failure.code, f"{action} on {where}: {failure.message}")


def denied(actions: list[str], where: str) -> Refused:
    """The refusal that names every IAM action that is missing."""
    return Refused(
        f"these credentials may not do what the job needs on {where}; missing: {', '.join(actions)}",
        "AccessDenied",
    )
