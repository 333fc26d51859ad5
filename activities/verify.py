"""verify_segment: an independent consistent read of one segment, or of named keys."""

from __future__ import annotations

from temporalio import activity

from activities.clients import Clients
from activities.identity import Identities, Standing
from activities.pulse import TemporalPulse
from reindexer.models import Stop, VerifyInput, VerifyResult
from reindexer.verification.segment import verify_segment


class VerifyActivities:
    """Verification, on the rounds queue: it reads as much as the rounds did."""

    def __init__(self, clients: Clients, identities: Identities) -> None:
        self._clients, self._identities = clients, identities

    @activity.defn(name="verify_segment", no_thread_cancel_exception=True)
    def verify_segment(self, request: VerifyInput) -> VerifyResult:
        """Hands back its cursor when its time slice is over or it is told to stop. Reads only.

        A table that was made anew, before or meanwhile, verifies nothing: that is a fault.
        """
        pulse = TemporalPulse(request.heartbeat_timeout)
        activity.heartbeat()
        trouble = self._identities.trouble_before(request.target, pulse)
        if trouble:
            return _nothing(request, trouble)
        result = verify_segment(request, self._clients.raw(request.target), pulse)
        trouble = self._identities.trouble_after(request.target, pulse) if result.done else None
        if trouble:  # what was read counts for nothing; this part is read again
            return _nothing(request, trouble)
        return result


def _nothing(request: VerifyInput, trouble: Standing) -> VerifyResult:
    """Nothing was read, or nothing that counts."""
    return VerifyResult(
        cursor=request.cursor,
        fault=trouble.fault,
        throttled=trouble.stop is Stop.THROTTLED,
        throttle=trouble.throttle,
    )
