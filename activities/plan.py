"""make_plan: everything that is decided before the first record is read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from temporalio import activity
from temporalio.service import RPCError

from activities.clients import Clients
from activities.failures import translated
from reindexer.connect import registered_search_attributes
from reindexer.models import CycleBounds, Elsewhere, Plan, PlanInput
from reindexer.planning.plan import make_plan
from reindexer.planning.redrive import operation_of
from reindexer.planning.verbs import queue_of
from reindexer.settings import Settings

if TYPE_CHECKING:
    from temporalio.client import Client


class PlanActivities:
    """Planning, with the worker's own credentials."""

    def __init__(self, clients: Clients, settings: Settings) -> None:
        self._clients, self._settings = clients, settings

    @activity.defn(name="make_plan")
    def make_plan(self, request: PlanInput) -> Plan | Elsewhere:
        """Reads the table's description and a sample, probes permissions. Writes nothing.

        A replica that is to be created is made last, once nothing refuses the job.

        A job with workers of its own is planned by them: theirs are the permissions and the code that count.
        """
        settings = self._settings
        with translated():
            queue = queue_of(operation_of(request.job, self._clients.ledger)) or settings.task_queue
            if queue != settings.serves:
                return Elsewhere(queue=queue)
            plan = make_plan(
                request,
                client=self._clients.own,
                ledger=self._clients.ledger,
                heartbeat_timeout=settings.heartbeat_timeout,
            )
        return plan.model_copy(
            update={
                "rounds_queue": settings.rounds_queue,
                "following_queue": settings.following_queue,
                "records_queue": settings.job_queue or None,
                "round_seconds": settings.round_seconds,
                "continue_after": settings.continue_after_events,
                "look_seconds": settings.look_seconds,
                "cycle": CycleBounds(
                    events=settings.cycle_events,
                    signals=settings.cycle_signals,
                    updates=settings.cycle_updates,
                ),
            }
        )


class SearchAttributeActivities:
    """What the Temporal server knows; asked once per job."""

    def __init__(self, client: Client) -> None:
        self._client = client

    @activity.defn
    async def registered_search_attributes(self) -> list[str]:
        """Which of ours the namespace has. An empty list where the server does not tell."""
        try:
            return await registered_search_attributes(self._client)
        except RPCError:
            return []
