"""reindex_round: carry one shard forward, with heartbeat and cancellation around one engine call."""

from __future__ import annotations

import logging

from temporalio import activity

from activities.clients import Clients
from activities.pulse import TemporalPulse
from reindexer.dynamo.identity import identity_fault
from reindexer.models import Fault, Progress, RoundInput, RoundResult, Stop
from reindexer.round import run_round

log = logging.getLogger(__name__)


class RoundActivities:
    """Rounds, on the rounds queue. `clients` are made and warmed when the worker starts."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients

    @activity.defn(name="reindex_round", no_thread_cancel_exception=True)
    def reindex_round(self, request: RoundInput) -> RoundResult:
        """Hands back where it stands when it is asked to stop; never raises for what DynamoDB answers.

        An attempt that follows a lost one starts from that one's last heartbeat.
        """
        pulse = TemporalPulse(request.heartbeat_timeout)
        resume = inherited()
        pulse.beat(lambda: resume or Progress(cursor=request.cursor, unknown=request.unknown))
        table = self._clients.table(request.target)
        fault = identity_fault(table, request.target.table_arn, request.target.table_id, pulse)
        if fault:
            progress = resume or Progress(cursor=request.cursor, unknown=request.unknown)
            return RoundResult(progress=progress, stop=fault_stop(fault), fault=fault)
        return run_round(request, pulse, table, resume)


def fault_stop(fault: Fault) -> Stop:
    """Being told to stop while the table's identity was asked for is no fault."""
    return Stop.TOLD if fault.code == Stop.TOLD.name else Stop.FAULT


def inherited() -> Progress | None:
    """What the lost attempt before this one had reached; None on a first attempt."""
    details = activity.info().heartbeat_details
    if not details:
        return None
    progress = Progress.model_validate(details[0])
    log.info("going on from an earlier attempt's heartbeat: %d records", progress.tally.scanned)
    return progress
