"""dry_run: a job's query and function over a sample, on the rounds queue, where its code runs anyway."""

from __future__ import annotations

from temporalio import activity

from activities.clients import Clients
from activities.failures import translated
from activities.guard import Guard
from activities.round_context import TemporalContext
from reindexer.checks.dry_run import dry_run
from reindexer.models import DryRun, DryRunInput


class DryRunActivities:
    """Writes to no table; documents go to a temporary index."""

    def __init__(self, clients: Clients, guard: Guard) -> None:
        self._clients, self._guard = clients, guard

    @activity.defn(name="dry_run", no_thread_cancel_exception=True)
    def dry_run(self, request: DryRunInput) -> DryRun:
        """Tells what it has seen when its time is over or it is asked to stop."""
        context = TemporalContext(request.heartbeat_timeout, self._guard)
        activity.heartbeat()
        with translated():
            search = request.target.search
            client = self._clients.search(search) if search else None
            return dry_run(request, self._clients.table(request.target), context, client)
