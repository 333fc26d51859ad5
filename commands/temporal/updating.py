"""An update of a job, sent until a run of its workflow answers it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

from temporalio.client import Client, WorkflowUpdateFailedError, WorkflowUpdateRPCTimeoutOrCancelledError
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from commands.input.exits import Exit, Stopped
from commands.temporal.server import CONFIRM_SECONDS, open_job, workers_poll
from reindexer.errors import BadInput

T = TypeVar("T")

#: How the server fails an update that a run has accepted and not answered when it continues as new.
_CUT_OFF = "AcceptedUpdateCompletedWorkflow"
#: What it answers to one that the run has not accepted; or that came when too many were under way (10).
_ABORTED = frozenset(
    (
        RPCStatusCode.ABORTED,
        RPCStatusCode.FAILED_PRECONDITION,
        RPCStatusCode.NOT_FOUND,  # "workflow execution already completed": that run, not the chain
        RPCStatusCode.RESOURCE_EXHAUSTED,
        RPCStatusCode.UNAVAILABLE,
    )
)
#: Seconds until the update is sent again: the next run begins within about half a second.
_AGAIN = 0.5


async def asked_of_workers(client: Client, job: str, name: str, asked: dict[str, Any]) -> dict[str, Any]:
    """What the job answers; an update does not wait on the server for a worker. Raises as `in_time`."""
    await open_job(client, job)
    if not await workers_poll(client):
        raise Stopped(Exit.NOT_FINISHED, f"no worker answers for {job}; start one first")
    return await in_time(updated(client, job, name, asked), job, "status", "its state")


async def in_time(answer: Awaitable[T], job: str, command: str, what: str) -> T:
    """The answer, if it comes within ten seconds. `command` shows later `what` became of it.

    Raises `Stopped`, and what the answer raises.
    """
    try:
        return await asyncio.wait_for(answer, CONFIRM_SECONDS)
    except (TimeoutError, WorkflowUpdateRPCTimeoutOrCancelledError):
        raise Stopped(
            Exit.NOT_FINISHED,
            f"{job} did not answer within {CONFIRM_SECONDS:.0f} s; `reindexer {command} {job}` shows {what}",
        ) from None


async def updated(client: Client, job: str, name: str, asked: dict[str, Any]) -> dict[str, Any]:
    """What the job answers. Raises `BadInput` where it rejects the update, or has ended.

    A run that hands over to the next one aborts the updates it has not answered: they are sent again, so that
    one may be taken twice. Does not end while no worker answers.
    """
    while True:
        handle = await open_job(client, job)
        try:
            answer: dict[str, Any] = await handle.execute_update(name, asked)
        except WorkflowUpdateFailedError as failed:
            cause = failed.cause
            if not isinstance(cause, ApplicationError) or cause.type != _CUT_OFF:
                raise BadInput(cause.message if isinstance(cause, ApplicationError) else str(cause)) from None
        except RPCError as error:
            if error.status not in _ABORTED:
                raise
        else:
            return answer
        await asyncio.sleep(_AGAIN)
