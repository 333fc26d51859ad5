"""An update of a job, sent until a run of its workflow answers it."""

from __future__ import annotations

import asyncio
from typing import Any

from temporalio.client import Client, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from commands.temporal.server import open_job
from reindexer.errors import BadInput

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
