"""A round: carry one shard forward from its cursor until it is done or there is a reason to stop."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from concurrent.futures import Executor
from dataclasses import replace
from typing import Generic

from reindexer.answers import Action, CallFailed
from reindexer.errors import EnvironmentFault, Interrupted, cut, one_line
from reindexer.items import Change, WireKey
from reindexer.models import Fault, Isolated, KeyList, Lineages, Progress, RoundInput, RoundResult, Stop
from reindexer.page import Page
from reindexer.round_context import RoundContext
from reindexer.rounds.checkpoint import MAX_UNSETTLED_BYTES, Checkpoint
from reindexer.rounds.coalescing import Coalescing
from reindexer.rounds.delivery import Delivery
from reindexer.rounds.pending_write import Patience, PendingWrite
from reindexer.rounds.protocols import Destination, Source
from reindexer.tally import Attempts, Outcome
from reindexer.throttle import Budget, backoff

log = logging.getLogger(__name__)

#: Rows begun between two looks at the clock while none of them needs a write: as many as a batch has.
_ROWS_PER_LOOK = 25
#: Rows begun before what comes after the page is read ahead: four batches, which then need not wait for it. Of
#: a page that has no more, all but the last one.
_ROWS_BEFORE_NEXT = 100
#: Seconds for which a round that follows keeps isolated records: at rest it takes minutes, and each round costs
#: five events.
_KEPT_SECONDS = 2.0


class Round(Generic[Change]):
    """One attempt at carrying a shard forward."""

    def __init__(
        self,
        request: RoundInput,
        source: Source,
        destination: Destination[Change],
        context: RoundContext,
        patience: Patience = Patience(),  # noqa: B008 – frozen
        ahead: Executor | None = None,
    ) -> None:
        """`ahead`: as of `Delivery`."""
        self._request, self._context = request, context
        self._source, self._destination = source, destination
        target = request.target
        self._key_names = tuple(attribute.name for attribute in target.key)
        self._budget = Budget(request.share, context, request.levels)
        self._started = context.now()
        self._deadline = self._started + request.seconds
        self._delivery = Delivery[Change](
            sink=destination.sink,
            meaning=destination.meaning,
            budget=self._budget,
            context=context,
            deadline=self._deadline,
            # A slice shorter than that patience would always be over first, and a throttle never be reported.
            patience=replace(patience, stalled_seconds=min(patience.stalled_seconds, request.seconds / 2)),
            max_batch=destination.max_batch,
            may_look_ahead=destination.may_look_ahead,
            room=self._room,
            ahead=ahead,
        )
        # A record that is gone may be handed out again where it is asked for by its key, or by a lagging index.
        named = isinstance(request.source, KeyList | Lineages) or bool(target.within and target.within.index)
        self._checkpoint = Checkpoint(request.cursor, named=named)
        self._coalescing = Coalescing[Change](destination.max_batch, self._room)
        self._page: Page | None = None  # in hand
        self._isolated_at: float | None = None  # when the first record was
        self._read_units = 0.0  # of pages, and of looking for late deletions
        self._last = request.beginning  # what was reported last

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
            stop, fault, progress = Stop.FAILED, defect(error), self._where_it_stood()
        scope = self._delivery.throttle
        trouble = self._delivery.trouble if stop in (Stop.THROTTLED, Stop.UNAVAILABLE) else None
        return RoundResult(
            progress=progress.model_copy(update={"ahead": 0}) if stop is Stop.DONE else progress,
            stop=stop,
            fault=fault,
            throttle=scope.value if scope else None,
            service=trouble.service if trouble else "",
            said=cut(f"{trouble.code}: {trouble.message}") if trouble else "",
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
            read_units=self._read_units + self._destination.meaning.read_units,
            write_units=delivery.write_units,
            ahead=self._checkpoint.ahead(self._request.ahead, [work.position for work in delivery.sent]),
            unconfirmed=self._destination.unconfirmed(
                delivery.unknown,
                self._checkpoint.isolated_beyond(),
                self._checkpoint.deleted_beyond(),
                self._checkpoint.partitions.in_hand,
            ),
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
        most = MAX_UNSETTLED_BYTES - self._destination.unconfirmed_bytes
        if self._checkpoint.unsettled >= most:
            self._checkpoint.catch_up()
        return self._checkpoint.unsettled < most

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
                    return Stop.ASKED
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
                    return Stop.ASKED
                if (
                    self._context.now() - failing_since > 5.0
                ):  # seconds, as for writes: the workflow waits longer
                    if not failure.known:
                        self._delivery.fault = Fault.of(failure)
                        return Stop.FAILED
                    self._delivery.throttle, self._delivery.trouble = failure.scope, failure
                    return Stop.THROTTLED if failure.action is Action.WAIT else Stop.UNAVAILABLE

    def _handle(self, page: Page) -> Stop | None:
        """Settle one page, as far as it goes."""
        self._read_units += page.consumed
        page = self._destination.turn_to(page)
        self._checkpoint.turn_to(page)
        self._coalescing.turn_to(page)
        self._page = page
        stop = self._delivery.deliver(
            self._works(page), self._settled, lambda: self._checkpoint.begun < len(page.rows)
        )
        while stop is None and (released := self._coalescing.released()):
            stop = self._delivery.deliver(released, self._settled)
        handled = self._checkpoint.advance(page)
        over = self._context.now() >= self._deadline or self._checkpoint.partitions.many
        if stop is None and over and not (handled and page.next_cursor is None):
            stop = Stop.SLICE  # but for the last page: where one takes a slice, the end would never be seen
        if stop is None and (self._checkpoint.full or self._keeps_isolated):
            stop = Stop.ISOLATED
        if stop is None and self._context.stopping():
            stop = Stop.ASKED
        self._context.heartbeat()
        return stop

    @property
    def _keeps_isolated(self) -> bool:
        """Whether isolated records wait for the end of a round that follows, to be listed or tried again."""
        if self._isolated_at is None or not isinstance(self._request.source, Lineages):
            return False
        return self._context.now() - self._isolated_at >= _KEPT_SECONDS

    def _works(self, page: Page) -> Iterator[PendingWrite[Change]]:
        """The rows of a page that need a write, begun as the delivery asks for them.

        It ends early when enough records are isolated, on a stop and at the end of the slice.
        """
        reads_ahead_at = min(_ROWS_BEFORE_NEXT, len(page.rows) - 1)
        for position, item in enumerate(page.rows):
            if self._checkpoint.full:
                return
            if position and position % _ROWS_PER_LOOK == 0:
                self._context.heartbeat()
                if self._context.stopping() or self._context.now() >= self._deadline:
                    return
            if position == reads_ahead_at and page.read_ahead:
                page.read_ahead()
            key = {name: item[name] for name in self._key_names}
            self._checkpoint.begin(key)
            try:
                begun = self._destination.begin(position, key, None if position in page.gone else item)
            except Interrupted:
                self._checkpoint.drop()
                return
            if not isinstance(begun, PendingWrite):
                self._settle(position, key, begun)
            elif not self._coalescing.holds(begun):
                yield begun

    def _settled(self, work: PendingWrite[Change], result: Outcome | Isolated) -> None:
        self._settle(work.position, work.key, result)

    def _settle(self, position: int, key: WireKey, result: Outcome | Isolated) -> None:
        if isinstance(result, Isolated):
            result = self._isolated(position, result)
        self._checkpoint.settle(position, result)
        self._destination.settled(key, result)
        for earlier in self._coalescing.settled(position, result):
            self._checkpoint.settle(earlier.position, Outcome.SUPERSEDED)

    def _isolated(self, position: int, record: Isolated) -> Isolated:
        """With the time of the change that it is about: until it is settled, not all up to then is."""
        if self._isolated_at is None:
            self._isolated_at = self._context.now()
        if self._page is None or not self._page.changes:
            return record
        changed_at = self._page.changes[position].changed_at
        return record.model_copy(update={"changed_ms": int(changed_at.timestamp() * 1000)})

    def _count_gone(self) -> None:
        """Rows to which an earlier round sent a deletion are not handed out again where it landed."""
        gone, units = self._destination.take_deleted()
        self._read_units += units
        self._budget.reads.spend(units, self._context.now())
        self._checkpoint.count_gone(gone)


class _Parked(Exception):
    def __init__(self, fault: Fault) -> None:
        self.fault = fault


def defect(error: Exception) -> Fault:
    """The fault of a round that met what it should not have."""
    return Fault(code=type(error).__name__, message=one_line(error))
