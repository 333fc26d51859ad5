"""reindex_record: one isolated record on its own, retried by Temporal's policy."""

from __future__ import annotations

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.clients import Clients
from activities.guard import Guard
from activities.identity import Identities
from activities.lock_held import LockHeld
from activities.round_context import TemporalContext
from activities.second_table import second_of, trouble_of_either
from reindexer.models import CLOCK_WRONG, RecordInput, RecordResult, Stop
from reindexer.table_rounds import attempt_record


class RecordActivities:
    """Records that left their round."""

    def __init__(self, clients: Clients, identities: Identities, holding: LockHeld, guard: Guard) -> None:
        self._clients, self._identities, self._holding, self._guard = clients, identities, holding, guard

    @activity.defn(name="reindex_record", no_thread_cancel_exception=True)
    def reindex_record(self, request: RecordInput) -> RecordResult:
        """One honest attempt. Raises what went wrong, so that Temporal shows it and tries again.

        What is known of the record (whether a write may have landed, how often it was tried) travels in the
        heartbeat's details; if an attempt died without any, its write may have landed.
        """
        known = self._known(request)
        context = TemporalContext(request.heartbeat_timeout, self._guard)
        # From here on a write may be sent. Should this attempt die, that is what its successor has to assume.
        in_doubt = known.record.model_copy(update={"unknown": True})
        activity.heartbeat(known.model_copy(update={"record": in_doubt, "died": True}))
        result = self._attempt(request, known, context)
        known = result.model_copy(update={"fault": None})
        activity.heartbeat(known)
        if result.retry:
            error = result.record.error or "Unavailable"
            raise ApplicationError(f"{error}: {result.record.message}", result, type=error)
        if result.fault and result.fault.code == CLOCK_WRONG and not _last_attempt():
            raise ApplicationError(result.fault.message, known, type=CLOCK_WRONG)  # for another worker
        return result

    def _attempt(self, request: RecordInput, known: RecordResult, context: TemporalContext) -> RecordResult:
        trouble = trouble_of_either(self._identities.trouble_before, request.target, context)
        trouble = trouble or self._holding.trouble_before(request.lock, context)
        if trouble:
            waiting = trouble.stop in (Stop.THROTTLED, Stop.UNAVAILABLE)
            return known.model_copy(update={"waiting": waiting, "fault": trouble.fault})
        table = self._clients.table(request.target)
        with second_of(self._clients, request.target, context) as second:
            result = attempt_record(request.model_copy(update={"record": known.record}), table, context, second)
        return result.model_copy(update={"attempts": known.attempts + result.attempts, "died": known.died})

    def _known(self, request: RecordInput) -> RecordResult:
        info = activity.info()
        if info.heartbeat_details:
            return RecordResult.model_validate(info.heartbeat_details[0])
        # 1 is the first attempt; a later one without details: one died before it could tell anything.
        died = info.attempt > 1
        record = request.record.model_copy(update={"unknown": request.record.unknown or died})
        return RecordResult(outcome=None, record=record, died=died)


def _last_attempt() -> bool:
    """Whether Temporal's policy gives the record no further one."""
    info = activity.info()
    return info.retry_policy is not None and 0 < info.retry_policy.maximum_attempts <= info.attempt
