"""verify_segment: an independent consistent read of one segment, of named keys or of partitions."""

from __future__ import annotations

from temporalio import activity

from activities.clients import Clients
from activities.failures import refusals_as_faults
from activities.guard import Guard
from activities.identity import Identities, TableTrouble
from activities.round_context import TemporalContext
from activities.sources import fetched
from reindexer.checks.counted import KeepKeys
from reindexer.checks.documents import verify_documents
from reindexer.checks.verification import verify_segment
from reindexer.items import Key
from reindexer.models import Fault, Keep, Stop, VerifyInput, VerifyResult


class VerifyActivities:
    """Verification, on the rounds queue: it reads as much as the rounds did."""

    def __init__(self, clients: Clients, identities: Identities, guard: Guard) -> None:
        self._clients, self._identities, self._guard = clients, identities, guard

    @activity.defn(name="verify_segment", no_thread_cancel_exception=True)
    def verify_segment(self, request: VerifyInput) -> VerifyResult:
        """Hands back its cursor when its time slice is over or it is asked to stop. Does not change the table.

        A table that was replaced, before or meanwhile, verifies nothing: that is a fault. Keys of rows behind
        are in the ledger before a heartbeat or the result covers them.
        """
        context = TemporalContext(request.heartbeat_timeout, self._guard)
        context.heartbeat(lambda: VerifyResult(cursor=request.cursor))
        trouble = self._identities.trouble_before(request.target, context)
        if trouble:
            return _nothing(request, trouble)
        work = fetched(request, self._clients.ledger)
        if isinstance(work, Fault):
            return _nothing(request, TableTrouble(Stop.FAULT, work))
        keep = self._keeper(request.keep, context) if request.keep else None
        if search := request.target.search:
            table = self._clients.table(request.target)
            result = verify_documents(work, table, self._clients.search(search), context, keep)
        else:
            result = verify_segment(work, self._clients.raw(request.target), context, keep)
        trouble = self._identities.trouble_after(request.target, context) if result.done else None
        if trouble:  # what was read counts for nothing; this part is read again
            return _nothing(request, trouble)
        return result

    def _keeper(self, where: Keep, context: TemporalContext) -> KeepKeys:
        def keep(keys: list[Key], partitions: list[str]) -> None:
            with refusals_as_faults():
                self._clients.ledger.kept.put_behind(where.job, where.run, keys, partitions, context.heartbeat)

        return keep


def _nothing(request: VerifyInput, trouble: TableTrouble) -> VerifyResult:
    """Nothing was read, or nothing that counts."""
    return VerifyResult(
        cursor=request.cursor,
        fault=trouble.fault,
        throttled=trouble.stop is Stop.THROTTLED,
        throttle=trouble.throttle,
    )
