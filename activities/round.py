"""reindex_round: carry one shard forward, with heartbeat and cancellation around one engine call."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor

from temporalio import activity

from activities.clients import Clients
from activities.guard import Guard
from activities.identity import Identities
from activities.ledger_answers import answered
from activities.lock_held import LockHeld
from activities.round_context import TemporalContext
from activities.second_table import second_of, trouble_of_either
from activities.seen_stamps import seen_by
from activities.sources import fetched
from reindexer.answers import CallFailed
from reindexer.errors import ReindexerError
from reindexer.models import Fault, Lineages, RoundInput, RoundResult, Stop
from reindexer.models.streams import LineageCursor
from reindexer.round_context import RoundContext
from reindexer.table_rounds import run_round
from reindexer.telemetry import round_ended

log = logging.getLogger(__name__)

#: Rounds of a process that note at once what of the stream they have read: a few calls, once in hours.
_THREADS = 2


class RoundActivities:
    """Rounds, on the rounds queue. `clients` are made and warmed when the worker starts."""

    def __init__(self, clients: Clients, identities: Identities, holding: LockHeld, guard: Guard) -> None:
        self._clients, self._identities, self._holding, self._guard = clients, identities, holding, guard
        self._pool = ThreadPoolExecutor(_THREADS, "noting")

    @activity.defn(name="reindex_round", no_thread_cancel_exception=True)
    def reindex_round(self, request: RoundInput) -> RoundResult:
        """Hands back its state when it is asked to stop, and when something fails; it raises nothing."""
        result = self._carry(request, TemporalContext(request.heartbeat_timeout, self._guard))
        round_ended(request.target, result)
        return result

    def _carry(self, request: RoundInput, context: TemporalContext) -> RoundResult:
        context.heartbeat(lambda: request.beginning)
        trouble = trouble_of_either(self._identities.trouble_before, request.target, context)
        trouble = trouble or self._holding.trouble_before(request.lock, context)
        if trouble:
            return RoundResult(
                progress=request.beginning, stop=trouble.stop, fault=trouble.fault, throttle=trouble.throttle
            )
        work = fetched(request, self._clients.ledger)
        if isinstance(work, Fault):
            return RoundResult(progress=request.beginning, stop=Stop.FAULT, fault=work)
        work = self._noted(work, context)
        with (
            seen_by(self._clients.ledger, work, context) as seen,
            second_of(self._clients, work.target, context, work.source) as second,
        ):
            result = run_round(work, context, self._clients.table(request.target), seen, second)
        self._keep_position(request, result)
        if result.stop is not Stop.DONE:
            return result  # the next round looks before it reads
        # Had the table been replaced meanwhile, its end would look like the end of the shard.
        trouble = trouble_of_either(self._identities.trouble_after, request.target, context)
        if trouble:
            return result.model_copy(
                update={"stop": trouble.stop, "fault": trouble.fault, "throttle": trouble.throttle}
            )
        return result

    def _noted(self, request: RoundInput, context: RoundContext) -> RoundInput:
        """With the ended stream shards that the ledger knows by now; where it does not answer they stay."""
        source, cursor = request.source, request.cursor
        if not isinstance(source, Lineages) or cursor is None:
            return request
        ended = LineageCursor.model_validate(cursor).ended
        if not ended:
            return request
        positions, place = self._clients.ledger.positions, (request.target.destination, request.target.version)
        try:
            answered(self._pool.submit(lambda: positions.note_ended(*place, ended)), context)
        except (ReindexerError, CallFailed) as error:
            log.warning("stream shards that have ended were not noted: %s", error)
            return request
        return request.model_copy(update={"noted": list(ended)})

    def _keep_position(self, request: RoundInput, result: RoundResult) -> None:
        """Of one that follows: in the ledger too. Not worth a failed round: the next one notes it as well.

        Not past isolated records: only the workflow knows them, and a follow that goes on meets them again.
        """
        if request.isolated or result.progress.isolated:
            return
        source, cursor = request.source, result.progress.cursor
        if not isinstance(source, Lineages) or cursor is None or request.place is None:
            return
        try:
            self._clients.ledger.positions.keep(
                request.target.destination,
                request.target.version,
                request.place.index,
                source,
                LineageCursor.model_validate(cursor),
            )
        except ReindexerError as error:
            log.warning("the position of shard %d was not noted: %s", request.place.index, error)
