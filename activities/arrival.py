"""await_arrival: whether what a job has written has arrived, by the follows of its table."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from temporalio import activity
from temporalio.client import WorkflowExecutionStatus, WorkflowQueryFailedError, WorkflowQueryRejectedError
from temporalio.service import RPCError, RPCStatusCode

from activities.clients import Clients
from activities.failures import translated
from activities.follows import Follow, FollowSeen, follows_of, watched, with_given_up
from activities.look import look_at, open_shards
from reindexer.errors import BadInput
from reindexer.models import Arrival, ArrivalInput, FollowArrival, JobProgress

if TYPE_CHECKING:
    from temporalio.client import Client

#: How long a query may take: a worker replays at most some thousand events for an answer.
_QUERY = timedelta(seconds=5)
#: Of a query that no worker answers now.
_UNANSWERED = frozenset((RPCStatusCode.DEADLINE_EXCEEDED, RPCStatusCode.CANCELLED))


class ArrivalActivities:
    """Asks other workflows at the Temporal server. Reads the ledger, and writes nothing."""

    def __init__(self, clients: Clients, client: Client) -> None:
        self._clients, self._client = clients, client

    @activity.defn
    async def require_follow(self, request: ArrivalInput) -> None:
        """Raises `BadInput`, not retryable, where no follow of the table runs: nothing could be confirmed."""
        with translated():
            if not await self._follows(request):
                raise BadInput(
                    f"no follow of {request.table} runs in namespace {self._client.namespace}; start one with "
                    "`reindexer index --follow`, or leave it out",
                    "confirm",
                )

    @activity.defn
    async def await_arrival(self, request: ArrivalInput) -> Arrival:
        """Wait until each follow has settled what changed up to `until`, or time is up; another attempt has
        what is left of it."""
        with translated():
            follows = await self._follows(request)
            left = max(0.0, (request.until - datetime.now(UTC)).total_seconds() + request.seconds)
            waits = (self._arrival(request, follow, left) for follow in follows)
            found = list(await asyncio.gather(*waits))
        return Arrival.of(request, found, "" if found else f"no follow of {request.table} runs any more")

    async def _follows(self, request: ArrivalInput) -> list[Follow]:
        return await follows_of(self._client, self._clients.ledger, request.table, request.table_arn)

    async def _arrival(self, request: ArrivalInput, follow: Follow, seconds: float) -> FollowArrival:
        found = await watched(
            lambda: seen(self._client, follow), follow, request.until, seconds, activity.heartbeat
        )
        return await asyncio.to_thread(with_given_up, self._clients.ledger, follow, found, request.started_at)


async def seen(client: Client, follow: Follow) -> FollowSeen:
    """The state of a follow, by a look at its shards and a query. Raises `RPCError`."""
    handle = client.get_workflow_handle(follow.job)
    description = await handle.describe()
    handed_over = description.status is WorkflowExecutionStatus.CONTINUED_AS_NEW
    if description.close_time is not None and not handed_over:
        return FollowSeen(None, ended=True)
    run, names = open_shards(description)
    looked = await look_at(client, follow.job, run, names)
    try:
        answer = await handle.query("progress", looked.model_dump(mode="json"), rpc_timeout=_QUERY)
    except (WorkflowQueryFailedError, WorkflowQueryRejectedError):
        return FollowSeen(None)
    except RPCError as error:
        if error.status not in _UNANSWERED:
            raise
        return FollowSeen(None)
    return FollowSeen(JobProgress.model_validate(answer, extra="ignore"))
