"""Looking at a job through its workflow handle: progress, outcome, history."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from temporalio.client import WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

#: Seconds between two looks at a job. Each takes 25 ms of CPU, a twelfth of a core: states last for longer.
_POLL_SECONDS = 0.3
#: The same where it takes longer than three seconds: what comes so late comes to stay.
_LATER_SECONDS = 0.6
_SOON_SECONDS = 3.0
#: Seconds that one answer may take. A query that went to a worker which has died or is cut off waits for ten;
#: another one finds those that are there.
_ANSWER_SECONDS = 3.0


async def progress(handle: WorkflowHandle[Any, Any]) -> dict[str, Any]:
    """The answer of the query `progress`."""
    answer: dict[str, Any] = await handle.query("progress")
    return answer


async def until(
    handle: WorkflowHandle[Any, Any], condition: Callable[[dict[str, Any]], bool], seconds: float = 60
) -> dict[str, Any]:
    """Poll `progress` until the condition holds. Raises `AssertionError` with the last answer."""
    began = time.monotonic()
    last: dict[str, Any] = {}
    while (waited := time.monotonic() - began) < seconds:
        try:
            last = await handle.query("progress", rpc_timeout=timedelta(seconds=_ANSWER_SECONDS))
        except RPCError as error:  # workers that were killed answer once others poll
            if error.status not in (RPCStatusCode.DEADLINE_EXCEEDED, RPCStatusCode.CANCELLED):
                raise
        else:
            if condition(last):
                return last
        await asyncio.sleep(_POLL_SECONDS if waited < _SOON_SECONDS else _LATER_SECONDS)
    raise AssertionError(f"not within {seconds} s; last seen {last}")


async def outcome(handle: WorkflowHandle[Any, Any], seconds: float = 120) -> tuple[str, dict[str, Any]]:
    """("complete", report), or (type of the failure, its report or {"message": …}).

    Raises `TimeoutError` where the job does not end in time.
    """
    try:
        return "complete", await asyncio.wait_for(handle.result(), seconds)
    except WorkflowFailureError as error:
        cause = error.cause
        if isinstance(cause, ApplicationError):
            details = cause.details[0] if cause.details else {"message": cause.message}
            return cause.type or "", details
        return type(cause).__name__, {}
