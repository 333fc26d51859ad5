"""A round: carry one shard forward from its cursor until it is done or there is a reason to stop."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from reindexer.answers import Action, CallFailed
from reindexer.dynamo.table import TableClient
from reindexer.errors import EnvironmentFault, Interrupted, named_failure, one_line
from reindexer.items import Skip, WireItem, WireKey, Write, from_json_key, key_identity, to_json_key
from reindexer.models import Fault, Isolated, KeyList, Progress, RoundInput, RoundResult, Stop
from reindexer.operations import Operation, make_operation
from reindexer.page import Page
from reindexer.round_context import RoundContext
from reindexer.rounds.checkpoint import MAX_UNSETTLED_BYTES, Checkpoint
from reindexer.rounds.delivery import FENCE, Delivery, Patience, PendingWrite
from reindexer.rounds.recently_deleted import RecentlyDeleted
from reindexer.rounds.unconfirmed_writes import UnconfirmedWrites
from reindexer.sinks.evidence import MARK_IS_GONE, MARK_OVERWRITTEN, Marked, WrongType, evidence, stamp_of
from reindexer.sinks.table import make_sink
from reindexer.sources import make_source
from reindexer.tally import Attempts, Outcome
from reindexer.throttle import Budget, backoff

log = logging.getLogger(__name__)

#: Rows begun between two looks at the clock while none of them needs a write: as many as a batch has.
_ROWS_PER_LOOK = 25


class Round:
    """One attempt at carrying a shard forward."""

    def __init__(
        self,
        request: RoundInput,
        table: TableClient,
        context: RoundContext,
        patience: Patience = Patience(),  # noqa: B008 – frozen
    ) -> None:
        self._request, self._table, self._context = request, table, context
        target = request.target
        self._stamp = stamp_of(target)
        self._operation: Operation = make_operation(target, self._stamp, context)
        reads, row_filter = self._operation.reads, self._operation.filter
        self._source = make_source(
            request.source, target, table, reads, row_filter, context, consistent=self._must_see_own_writes()
        )
        self._key_names = tuple(attribute.name for attribute in target.key)
        self._budget = Budget(request.share, context, request.levels)
        self._patience = patience
        self._started = context.now()
        self._deadline = self._started + request.seconds
        self._delivery = Delivery(
            table=table,
            sink=make_sink(table, target, self._stamp),
            operation=self._operation,
            stamp=self._stamp,
            budget=self._budget,
            context=context,
            deadline=self._deadline,
            # A slice shorter than that patience would always be over first, and a throttle never be told.
            patience=replace(patience, stalled_seconds=min(patience.stalled_seconds, request.seconds / 2)),
            max_batch=self._operation.max_batch,
            may_look_ahead=self._operation.pure,
            room=self._room,
        )
        # A record that is gone may be handed out again where it is asked for by its key, or by a lagging index.
        named = isinstance(request.source, KeyList) or bool(target.within and target.within.index)
        self._checkpoint = Checkpoint(request.cursor, named=named)
        by_index = target.within is not None and target.within.index is not None
        self._recent = RecentlyDeleted() if by_index and self._operation.deletes else None
        # After a crash it is not known which rows beyond the cursor were sent a write that may yet land. Where
        # every record is its own activity, no round has sent one.
        self._doubt = request.doubt and request.isolation == "batch"
        self._unconfirmed = UnconfirmedWrites(request.beginning)
        marked = request.source.marked if isinstance(request.source, KeyList) else []
        self._marked = {key_identity(from_json_key(key)) for key in marked}
        self._read_units = 0.0
        self._last = request.beginning  # what was reported last

    def _must_see_own_writes(self) -> bool:
        """Whether reads have to show every write of this run, at twice the price.

        A lagging read hands out a row that this run has deleted and counted, and nothing is left that could
        refuse the second count. It also shows a row without the stamp that says that `process` was called for
        it; that matters only where an earlier attempt may have stamped rows beyond the cursor. Every other
        conclusion from a lagging read is checked by the write's condition.
        """
        request, operation = self._request, self._operation
        return operation.deletes or (not operation.pure and bool(request.doubt or request.ahead))

    def run(self) -> RoundResult:
        """Work until done or stopped. Faults of the environment are returned, not raised; so are defects."""
        fault: Fault | None = None
        try:
            self._context.heartbeat(self.progress)
            stop = self._pages()
            fault = self._delivery.fault
            progress = self.progress()
        except _Parked as parked:
            stop, fault, progress = Stop.FAULT, parked.fault, self.progress()
        except EnvironmentFault as error:  # of the job's code: it hangs, or hangs too often
            stop, progress = Stop.FAULT, self.progress()
            fault = Fault.of(error)
        except Exception as error:
            log.exception("a round of %s failed", self._request.target.table)
            stop, fault, progress = Stop.FAILED, _defect(error), self._where_it_stood()
        scope = self._delivery.throttle
        return RoundResult(
            progress=progress.model_copy(update={"ahead": 0}) if stop is Stop.DONE else progress,
            stop=stop,
            fault=fault,
            throttle=scope.value if scope else None,
            seconds=self._context.now() - self._started,
            levels=self._budget.levels(),
        )

    def progress(self) -> Progress:
        """The state of the round now."""
        delivery = self._delivery
        fields = self._checkpoint.fields()
        self._last = Progress(
            **fields,
            attempts=Attempts(**{name: delivery.attempts[name] for name in Attempts.model_fields}),
            read_units=self._read_units + delivery.read_units,
            write_units=delivery.write_units,
            ahead=self._checkpoint.ahead(self._request.ahead, [work.position for work in delivery.sent]),
            **self._unanswered(),
        )
        return self._last

    def _where_it_stood(self) -> Progress:
        """After a defect: now, or at the last heartbeat if that is what does not work."""
        try:
            return self.progress()
        except Exception:
            log.exception("what a round of %s had reached is not known", self._request.target.table)
            return self._last

    def _room(self) -> bool:
        """Whether a heartbeat can name one more row that is not settled."""
        most = MAX_UNSETTLED_BYTES - self._unconfirmed.size
        if self._checkpoint.unsettled >= most:
            self._checkpoint.catch_up()
        return self._checkpoint.unsettled < most

    def _unanswered(self) -> dict[str, Any]:
        """Keys whose last write was not answered; those of them for which that was the deletion, and where."""
        here = self._checkpoint.partitions.in_hand
        new = {key_identity(work.key): (work.key, work.write.delete, here) for work in self._delivery.unknown}
        for key, isolated in self._checkpoint.isolated_beyond():
            if isolated.unknown:
                new[key_identity(key)] = key, isolated.deleting, here
        for key in self._checkpoint.deleted_beyond():
            new[key_identity(key)] = key, True, here
        return self._unconfirmed.with_new(new)

    def _pages(self) -> Stop:
        """Page after page; a page that could not be read is asked for again, from the cursor."""
        tries = 0
        failing_since = self._context.now()
        while True:
            try:
                if not self._checkpoint.named:
                    self._count_gone()
                rows_read = self._request.rows_read + self._checkpoint.scanned
                for page in self._source.pages(self._checkpoint.cursor, rows_read, self._budget):
                    tries = 0
                    stop = self._handle(page)
                    if stop:
                        return stop
                if self._context.stopping():
                    return Stop.TOLD
                if not isinstance(self._request.source, KeyList):
                    self._count_gone()  # a late deletion may have landed before its row was handed out
                return Stop.DONE
            except CallFailed as failed:
                failure = failed.failure
                if failure.action not in (Action.WAIT, Action.RETRY):
                    raise _Parked(Fault.of(failure)) from failed
                failing_since = failing_since if tries else self._context.now()
                if failure.counter:
                    self._delivery.attempts[failure.counter] += 1
                tries += 1
                self._context.wait(backoff(tries, throttled=failure.action is Action.WAIT))
                if self._context.stopping():
                    return Stop.TOLD
                if (
                    self._context.now() - failing_since > 5.0
                ):  # seconds, as for writes: the workflow waits longer
                    if not failure.known:
                        self._delivery.fault = Fault.of(failure)
                        return Stop.FAILED
                    self._delivery.throttle = failure.scope
                    return Stop.THROTTLED if failure.action is Action.WAIT else Stop.UNAVAILABLE

    def _handle(self, page: Page) -> Stop | None:
        """Settle one page, as far as it goes."""
        self._read_units += page.consumed
        if self._recent:
            page = self._recent.left_out(page, self._key_names)
        self._checkpoint.turn_to(page)
        self._operation.prefetch(page)
        stop = self._delivery.deliver(
            self._works(page), self._settled, lambda: self._checkpoint.begun < len(page.rows)
        )
        handled = self._checkpoint.advance(page)
        over = self._context.now() >= self._deadline or self._checkpoint.partitions.many
        if stop is None and over and not (handled and page.next_cursor is None):
            stop = Stop.SLICE  # but for the last page: where one takes a slice, the end would never be seen
        if stop is None and self._checkpoint.full:
            stop = Stop.ISOLATED
        if stop is None and self._context.stopping():
            stop = Stop.TOLD
        self._context.heartbeat()
        return stop

    def _works(self, page: Page) -> Iterator[PendingWrite]:
        """The rows of a page that need a write, begun as the delivery asks for them.

        It ends early when enough records are isolated, on a stop and at the end of the slice.
        """
        for position, item in enumerate(page.rows):
            if self._checkpoint.full:
                return
            if position and position % _ROWS_PER_LOOK == 0:
                self._context.heartbeat()
                if self._context.stopping() or self._context.now() >= self._deadline:
                    return
            key = {name: item[name] for name in self._key_names}
            self._checkpoint.begin(key)
            try:
                begun = self._begin(position, key, None if position in page.gone else item)
            except Interrupted:
                self._checkpoint.drop()
                return
            if isinstance(begun, PendingWrite):
                yield begun
            else:
                self._settle(position, key, begun)

    def _begin(self, position: int, key: WireKey, item: WireItem | None) -> PendingWrite | Outcome | Isolated:
        """What a row needs: a write, or nothing more."""
        unknown = key in self._unconfirmed
        found = evidence(self._stamp, item)
        if isinstance(found, WrongType):
            return self._isolate(key, "VersionType", found.message, unknown, given_up=True)
        if isinstance(found, Marked):
            assert item is not None
            return self._decide(position, key, item, unknown=unknown, marked=True)
        if found is Outcome.CURRENT and self._was_marked(key):
            return self._isolate(key, MARK_OVERWRITTEN, MARK_IS_GONE, False, given_up=True)
        if item is None and self._unconfirmed.deletion_sent(key):
            self._delivery.attempts["ambiguous"] += 1
            return Outcome.DELETED
        if found is not None and not (found is Outcome.VANISHED and (unknown or self._doubt)):
            if unknown and found is Outcome.UPDATED:
                self._delivery.attempts["ambiguous"] += 1
            return found
        if item is None:
            # Unknown, and gone by a read alone: only a refused write settles that. This one is always refused:
            # no item carries our stamp below the target. If the record is back by then, it is decided again.
            probe = Write(guards={self._stamp.run_attribute: self._stamp.run_value})
            return PendingWrite(position, key, probe, unknown=True)
        return self._decide(position, key, item, unknown)

    def _decide(
        self, position: int, key: WireKey, item: WireItem, unknown: bool, *, marked: bool = False
    ) -> PendingWrite | Outcome | Isolated:
        each = self._request.isolation == "record"
        if each and not self._operation.pure:  # what it does is done by the record's own activity
            return self._isolate(key, "", "isolation: record", unknown, given_up=False, deleting=marked)
        try:
            decision = self._operation.redecide(item) if marked else self._operation.decide(item)
        except (EnvironmentFault, Interrupted):
            raise
        except Exception as error:  # the job's own function: whatever it raises is this record's failure
            given_up = self._patience.gives_up(error)
            return self._isolate(key, *named_failure(error), unknown, given_up=given_up, deleting=marked)
        if isinstance(decision, Skip) and (marked or not unknown):
            return Outcome.UPDATED if marked else Outcome.FILTERED
        if each:
            return self._isolate(key, "", "isolation: record", unknown, given_up=False, deleting=marked)
        write = FENCE if isinstance(decision, Skip) else decision
        return PendingWrite(position, key, write, unknown=unknown, deleting=marked)

    def _was_marked(self, key: WireKey) -> bool:
        """Whether this run's delete mark is known to have been on it."""
        return self._unconfirmed.deletion_sent(key) or (
            bool(self._marked) and key_identity(key) in self._marked
        )

    def _isolate(
        self, key: WireKey, error: str, message: str, unknown: bool, *, given_up: bool, deleting: bool = False
    ) -> Isolated:
        return Isolated(
            key=to_json_key(key),
            error=error,
            message=message,
            attempts=int(given_up),
            unknown=unknown or self._doubt or deleting,
            given_up=given_up,
            deleting=deleting,
            marked=deleting or self._was_marked(key),
        )

    def _settled(self, work: PendingWrite, result: Outcome | Isolated) -> None:
        if isinstance(result, Isolated) and self._doubt:
            result = result.model_copy(update={"unknown": True})
        self._settle(work.position, work.key, result)

    def _settle(self, position: int, key: WireKey, result: Outcome | Isolated) -> None:
        self._checkpoint.settle(position, result)
        self._unconfirmed.clear(key)
        if self._recent and result is Outcome.DELETED:
            self._recent.add(key)

    def _count_gone(self) -> None:
        """Rows to which an earlier round sent a deletion are not handed out again where it landed."""
        gone, units = self._unconfirmed.take_gone(self._table, self._context)
        self._read_units += units
        self._budget.reads.spend(units, self._context.now())
        self._delivery.attempts["ambiguous"] += len(gone)
        self._checkpoint.count_gone(gone)


class _Parked(Exception):
    def __init__(self, fault: Fault) -> None:
        self.fault = fault


def _defect(error: Exception) -> Fault:
    return Fault(code=type(error).__name__, message=one_line(error))


def run_round(request: RoundInput, context: RoundContext, table: TableClient) -> RoundResult:
    """Carry a shard forward. The only door of the engine that activities use for records in number."""
    try:
        round_ = Round(request, table, context)
    except EnvironmentFault as error:  # the job's code is not there, or has changed
        fault = Fault.of(error)
        return RoundResult(progress=request.beginning, stop=Stop.FAULT, fault=fault)
    except Exception as error:
        log.exception("a round of %s could not begin", request.target.table)
        return RoundResult(progress=request.beginning, stop=Stop.FAILED, fault=_defect(error))
    return round_.run()
