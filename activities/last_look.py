"""count_ahead: the last act of a shard whose job is cancelled, so that the report agrees with the table."""

from __future__ import annotations

from temporalio import activity

from activities.clients import Clients
from activities.guard import Guard
from activities.identity import Identities
from activities.round_context import TemporalContext
from activities.second_table import second_of, trouble_of_either
from activities.seen_stamps import seen_by
from activities.sources import fetched
from reindexer.models import ClosingInput, ClosingResult, Fault
from reindexer.table_rounds import look_ahead


class ClosingLookActivities:
    """Reads only."""

    def __init__(self, clients: Clients, identities: Identities, guard: Guard) -> None:
        self._clients, self._identities, self._guard = clients, identities, guard

    @activity.defn(name="count_ahead", no_thread_cancel_exception=True)
    def count_ahead(self, request: ClosingInput) -> ClosingResult:
        """Tells what it has found when its time is over or it is asked to stop. May be repeated."""
        context = TemporalContext(request.heartbeat_timeout, self._guard)
        context.heartbeat(lambda: _nothing(request))
        trouble = trouble_of_either(self._identities.trouble_before, request.target, context)
        if trouble:
            return _nothing(request, trouble.fault)
        work = fetched(request, self._clients.ledger)
        if isinstance(work, Fault):
            return _nothing(request, work)
        with (
            seen_by(self._clients.ledger, work, context) as seen,
            second_of(self._clients, work.target, context, work.source) as second,
        ):
            return look_ahead(work, self._clients.table(request.target), context, seen, second)


def _nothing(request: ClosingInput, fault: Fault | None = None) -> ClosingResult:
    return ClosingResult(isolated=request.isolated, complete=False, fault=fault)
