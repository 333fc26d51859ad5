"""reindex_round: carry one shard forward, with heartbeat and cancellation around one engine call."""

from __future__ import annotations

import logging

from temporalio import activity

from activities.clients import Clients
from activities.identity import Identities
from activities.pulse import TemporalPulse
from reindexer.models import Progress, RoundInput, RoundResult, Stop
from reindexer.round import run_round
from reindexer.telemetry import round_ended

log = logging.getLogger(__name__)


class RoundActivities:
    """Rounds, on the rounds queue. `clients` are made and warmed when the worker starts."""

    def __init__(self, clients: Clients, identities: Identities) -> None:
        self._clients, self._identities = clients, identities

    @activity.defn(name="reindex_round", no_thread_cancel_exception=True)
    def reindex_round(self, request: RoundInput) -> RoundResult:
        """Hands back where it stands when it is asked to stop; never raises for what DynamoDB answers.

        An attempt that follows a lost one starts from that one's last heartbeat.
        """
        result = self._carry(request, TemporalPulse(request.heartbeat_timeout))
        round_ended(request.target, result)
        return result

    def _carry(self, request: RoundInput, pulse: TemporalPulse) -> RoundResult:
        resume = inherited()
        if activity.info().attempt > 1:  # not the first: one was lost, and with it what it last sent
            request = request.model_copy(update={"doubt": True})
        stands = resume or request.beginning
        pulse.beat(lambda: stands)
        trouble = self._identities.trouble_before(request.target, pulse)
        if trouble:
            return RoundResult(
                progress=stands, stop=trouble.stop, fault=trouble.fault, throttle=trouble.throttle
            )
        result = run_round(request, pulse, self._clients.table(request.target), resume)
        if result.stop is not Stop.DONE:
            return result  # the next round looks before it reads
        # Had the table been made anew meanwhile, its end would look like the end of the shard.
        trouble = self._identities.trouble_after(request.target, pulse)
        if trouble:
            return result.model_copy(
                update={"stop": trouble.stop, "fault": trouble.fault, "throttle": trouble.throttle}
            )
        return result


def inherited() -> Progress | None:
    """What the lost attempt before this one had reached; None on a first attempt."""
    details = activity.info().heartbeat_details
    if not details:
        return None
    progress = Progress.model_validate(details[0])
    log.info("going on from an earlier attempt's heartbeat: %d records", progress.tally.scanned)
    return progress
