"""verify_segment: an independent consistent read of one segment, or of named keys."""

from __future__ import annotations

from reindexer.verification import verify_segment
from temporalio import activity

from activities.clients import Clients
from activities.pulse import TemporalPulse
from reindexer.models import VerifyInput, VerifyResult


class VerifyActivities:
    """Verification, on the rounds queue: it reads as much as the rounds did."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients

    @activity.defn(name="verify_segment", no_thread_cancel_exception=True)
    def verify_segment(self, request: VerifyInput) -> VerifyResult:
        """Hands back its cursor when its time slice is over or it is told to stop. Reads only."""
        pulse = TemporalPulse(request.heartbeat_timeout)
        activity.heartbeat()
        return verify_segment(request, self._clients.raw(request.target), pulse)
