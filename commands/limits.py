"""limits: show or change the limits of a running job."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from temporalio.client import (
    Client,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from commands.input.exits import Exit, Stopped
from commands.input.fields import Fields, Given
from commands.input.json_only import emit_json
from commands.input.options import AsJson, Job
from commands.rendering.screen import facts, say
from commands.temporal.server import (
    CONFIRM_SECONDS,
    QUERY_SECONDS,
    open_job,
    progress_of,
    talk,
    workers_poll,
)
from reindexer.errors import BadInput
from reindexer.words import count

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


def limits(
    job: Job,
    given: Annotated[Given, Fields("limits", "reason")],
    as_json: AsJson = False,
) -> None:
    """Change the limits of a running job; without options, show them."""
    change, reason = given.get("limits", {}), given.get("reason")
    in_force = talk(lambda client: _limits(client, job, change, reason))
    if as_json:
        emit_json(in_force)
    else:
        say(facts((name.replace("_", " "), _shown(value)) for name, value in in_force.items()))


async def _limits(client: Client, job: str, change: dict[str, Any], reason: str | None) -> dict[str, Any]:
    handle = await open_job(client, job)
    # Unlike a signal, neither an update nor a query waits on the server for a worker to come.
    if not await workers_poll(client):
        raise Stopped(
            Exit.NOT_FINISHED, f"no worker answers for {job}, so its limits are unchanged; start a worker first"
        )
    if not change:
        answer = await progress_of(handle)
        if answer is None or answer.limits is None:
            raise Stopped(Exit.NOT_FINISHED, f"{job} did not answer within {QUERY_SECONDS:.0f} s")
        return answer.limits.model_dump()
    try:
        return await asyncio.wait_for(
            set_limits(client, job, {**change, **({"reason": reason} if reason else {})}), CONFIRM_SECONDS
        )
    except (TimeoutError, WorkflowUpdateRPCTimeoutOrCancelledError):
        raise Stopped(
            Exit.NOT_FINISHED,
            f"{job} did not answer within {CONFIRM_SECONDS:.0f} s; `reindexer limits {job}` shows whether its "
            "limits changed",
        ) from None


async def set_limits(client: Client, job: str, change: dict[str, Any]) -> dict[str, Any]:
    """The limits then in force. Raises `BadInput` where the job rejects the change, or has ended.

    A run that hands over to the next one aborts the updates it has not answered: they are sent again, since
    the same limits set twice are the same limits. Does not end while no worker answers.
    """
    while True:
        handle = await open_job(client, job)
        try:
            in_force: dict[str, Any] = await handle.execute_update("set_limits", change)
        except WorkflowUpdateFailedError as failed:
            cause = failed.cause
            if not isinstance(cause, ApplicationError) or cause.type != _CUT_OFF:
                raise BadInput(cause.message if isinstance(cause, ApplicationError) else str(cause)) from None
        except RPCError as error:
            if error.status not in _ABORTED:
                raise
        else:
            return in_force
        await asyncio.sleep(_AGAIN)


def _shown(value: object) -> str:
    if value is None:
        return "to be chosen by the plan"
    return count(value) if isinstance(value, int | float) else str(value)
