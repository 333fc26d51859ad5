"""make_plan: everything that is decided before the first record is read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from temporalio import activity
from temporalio.service import RPCError

from activities.clients import Clients
from activities.failures import translated
from reindexer.connect import registered_search_attributes
from reindexer.models import Plan, PlanInput
from reindexer.planning import make_plan
from reindexer.settings import Settings

if TYPE_CHECKING:
    from temporalio.client import Client


class PlanActivities:
    """Planning, with the worker's own credentials."""

    def __init__(self, clients: Clients, settings: Settings) -> None:
        self._clients, self._settings = clients, settings

    @activity.defn(name="make_plan")
    def make_plan(self, request: PlanInput) -> Plan:
        """Reads the table's description and a sample, probes permissions. Writes nothing."""
        with translated():
            plan = make_plan(
                request,
                client=self._clients.own,
                ledger=self._clients.ledger,
                heartbeat_timeout=self._settings.heartbeat_timeout,
            )
        return plan.model_copy(
            update={
                "rounds_queue": self._settings.rounds_queue,
                "round_seconds": self._settings.round_seconds,
                "continue_after": self._settings.continue_after_events,
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
