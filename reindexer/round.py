"""A round: carry one shard forward from its cursor until it is done or there is a reason to stop.

(cursor, tally, isolated) is one value: it covers exactly the rows up to the cursor, the end of the longest
prefix whose rows are all settled or isolated. A row settled beyond it is not in the tally yet, so that a crash
neither loses nor doubles it: its stamp tells the successor what happened.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from reindexer.by_partition import PartitionTallies
from reindexer.delivery import FENCE, Delivery, Patience, Work
from reindexer.doubts import Doubts
from reindexer.dynamo.table import CallFailed, Page, TableClient
from reindexer.dynamo.taxonomy import Action
from reindexer.errors import EnvironmentFault, Interrupted, named_failure
from reindexer.items import Skip, WireItem, WireKey, Write, from_json_key, key_identity, to_json_key
from reindexer.models import Fault, Isolated, KeyList, Progress, RoundInput, RoundResult, Stop
from reindexer.operations import Operation, make_operation
from reindexer.pulse import Pulse
from reindexer.settle import Marked, WrongType, stamp_of, standing
from reindexer.sinks.table import make_sink
from reindexer.sources import make_source
from reindexer.tally import Attempts, Outcome, Tally
from reindexer.throttle import Budget, backoff
from reindexer.work import PageRow

#: Isolated records a round hands over before it returns: their activities are worth more than new ones, and a
#: heartbeat carries all of them.
MOST_ISOLATED = 50
#: Rows begun between two looks at the clock while none of them needs a write: as many as a batch has.
_ROWS_PER_LOOK = 25


class Round:
    """One attempt at carrying a shard forward. `resume` takes what an earlier attempt of it had reached."""

    def __init__(
        self,
        request: RoundInput,
        table: TableClient,
        pulse: Pulse,
        resume: Progress | None = None,
        patience: Patience = Patience(),  # noqa: B008 – frozen
    ) -> None:
        self._request, self._table, self._pulse = request, table, pulse
        target = request.target
        self._stamp = stamp_of(target)
        self._operation: Operation = make_operation(target, self._stamp, pulse)
        reads, leave_out = self._operation.reads, self._operation.filter
        self._source = make_source(request.source, target, table, reads, leave_out, pulse)
        self._key_names = tuple(attribute.name for attribute in target.key)
        self._budget = Budget(request.share, pulse)
        self._started = pulse.now()
        self._deadline = self._started + request.seconds
        self._delivery = Delivery(
            table=table,
            sink=make_sink(table, target, self._stamp),
            operation=self._operation,
            stamp=self._stamp,
            budget=self._budget,
            pulse=pulse,
            deadline=self._deadline,
            # A slice shorter than that patience would always be over first, and a throttle never be told.
            patience=replace(patience, stalled_seconds=min(patience.stalled_seconds, request.seconds / 2)),
            at_once=self._operation.at_once,
            may_look_ahead=self._operation.pure,
        )
        # Where it stands: what an earlier attempt of this round reached, or the round's own beginning.
        self._from = resume or request.beginning
        self._cursor = self._from.cursor
        self._scanned = 0  # rows up to the cursor, numbered as the source handed them out
        self._outcomes: Counter[Outcome] = Counter()
        self._isolated: list[Isolated] = list(self._from.isolated)
        self._new_isolated = 0
        self._partitions = PartitionTallies(self._from.partitions)
        # After a crash nobody knows which rows beyond the cursor were sent a write that may yet land. Where
        # every record is its own activity, no round has sent one.
        self._doubt = (request.doubt or resume is not None) and request.isolation == "batch"
        self._doubts = Doubts(self._from)
        self._read_units = 0.0
        self._deletes = False  # whether any record was deleted
        # Whether a record that is gone may be handed out again: by its key, or by an index that lags behind.
        self._named = isinstance(request.source, KeyList) or bool(target.within and target.within.index)
        self._page: list[PageRow] = []
        self._prefix = 0  # rows of the page that are settled or isolated, without a gap

    def run(self) -> RoundResult:
        """Work until done or stopped. Faults of the environment are returned, not raised."""
        self._pulse.beat(self.progress)
        fault: Fault | None = None
        try:
            stop = self._pages()
            fault = self._delivery.fault
        except _Parked as parked:
            stop, fault = Stop.FAULT, parked.fault
        except EnvironmentFault as error:  # of the job's code: it hangs, or hangs too often
            stop, fault = Stop.FAULT, Fault(code=error.code, message=error.message)
        scope = self._delivery.throttle
        return RoundResult(
            progress=self.progress(),
            stop=stop,
            fault=fault,
            throttle=scope.value if scope else None,
            seconds=self._pulse.now() - self._started,
        )

    def progress(self) -> Progress:
        """Where the round stands now."""
        self._advance()
        base = self._from
        attempts = {name: self._delivery.attempts[name] for name in Attempts.model_fields}
        counted = self._counted()
        return Progress(
            cursor=self._cursor,
            tally=base.tally + counted,
            attempts=base.attempts + Attempts(**attempts),
            isolated=list(self._isolated),
            read_units=base.read_units + self._read_units + self._delivery.read_units,
            write_units=base.write_units + self._delivery.write_units,
            partitions=self._partitions.upto(counted),
            **self._unanswered(),
        )

    def _counted(self) -> Tally:
        """Of this attempt alone."""
        return Tally(scanned=self._scanned, **{o.value: self._outcomes[o] for o in Outcome})

    def _unanswered(self) -> dict[str, Any]:
        """Keys whose last write was not answered; those of them for which that was the deletion, and where."""
        here = self._partitions.in_hand
        new = {key_identity(work.key): (work.key, work.write.delete, here) for work in self._delivery.unknown}
        # Isolated beyond the cursor: not handed over yet, so a successor meets it as a row again.
        for row in self._page[self._prefix :]:
            if isinstance(row.result, Isolated) and row.result.unknown:
                new[key_identity(row.key)] = row.key, row.result.deleting, here
        return self._doubts.with_new(new)

    def _pages(self) -> Stop:
        """Page after page; a page that could not be read is asked for again, from the cursor."""
        tries = 0
        failing_since = self._pulse.now()
        while True:
            try:
                if not self._named:
                    self._count_gone()
                handed_out = self._request.handed_out + self._from.tally.scanned + self._scanned
                cursor = from_json_key(self._cursor) if self._cursor else None
                for page in self._source.pages(cursor, handed_out, self._budget):
                    tries = 0
                    stop = self._handle(page)
                    if stop:
                        return stop
                if self._pulse.stopping():
                    return Stop.TOLD
                if not isinstance(self._request.source, KeyList):
                    self._count_gone()  # a late deletion may have landed before its row was handed out
                return Stop.DONE
            except CallFailed as failed:
                failure = failed.failure
                if failure.action not in (Action.WAIT, Action.RETRY):
                    raise _Parked(Fault(code=failure.code, message=failure.message)) from failed
                failing_since = failing_since if tries else self._pulse.now()
                if failure.counter:
                    self._delivery.attempts[failure.counter] += 1
                tries += 1
                self._pulse.wait(backoff(tries))
                if self._pulse.stopping():
                    return Stop.TOLD
                if self._pulse.now() - failing_since > 5.0:  # seconds, as for writes: the workflow waits longer
                    self._delivery.throttle = failure.scope
                    return Stop.THROTTLED if failure.action is Action.WAIT else Stop.UNAVAILABLE

    def _handle(self, page: Page) -> Stop | None:
        """Settle one page, as far as it goes."""
        self._read_units += page.consumed
        self._page, self._prefix = [], 0
        self._partitions.turn_to(page.partition, self._counted)
        self._operation.foresee(page)
        stop = self._delivery.deliver(
            self._works(page), self._settled, lambda: len(self._page) < len(page.rows)
        )
        self._advance()
        handled = self._prefix == len(page.rows)
        if handled and page.last_key is not None:  # behind the last row, where a filter left rows out
            self._cursor = to_json_key(page.last_key)
        over = self._pulse.now() >= self._deadline or self._partitions.many
        if stop is None and over and not (handled and page.last_key is None):
            stop = Stop.SLICE  # but for the last page: where one takes a slice, the end would never be seen
        if stop is None and len(self._isolated) >= MOST_ISOLATED:
            stop = Stop.ISOLATED
        if stop is None and self._pulse.stopping():
            stop = Stop.TOLD
        self._pulse.beat()
        return stop

    def _works(self, page: Page) -> Iterator[Work]:
        """The rows of a page that need a write, begun as the delivery asks for them.

        It ends early when enough records are isolated, on a stop and at the end of the slice.
        """
        for position, item in enumerate(page.rows):
            if len(self._from.isolated) + self._new_isolated >= MOST_ISOLATED:
                return
            if position and position % _ROWS_PER_LOOK == 0:
                self._pulse.beat()
                if self._pulse.stopping() or self._pulse.now() >= self._deadline:
                    return
            key = {name: item[name] for name in self._key_names}
            self._page.append(PageRow(key, page.cursors[position] if page.cursors else key))
            try:
                work = self._begin(position, None if position in page.gone else item)
            except Interrupted:
                self._page.pop()  # not begun
                return
            if work is not None:
                yield work

    def _begin(self, position: int, item: WireItem | None) -> Work | None:
        """What a row needs: nothing more (then it is settled here), or a write."""
        row = self._page[position]
        unknown = row.key in self._doubts
        stands = standing(self._stamp, item)
        if isinstance(stands, WrongType):
            row.result = self._isolate(row.key, "VersionType", stands.message, unknown, given_up=True)
        elif isinstance(stands, Marked):
            assert item is not None
            return self._decide(position, row, item, unknown=unknown, marked=True)
        elif item is None and self._doubts.deletion_sent(row.key):
            self._delivery.attempts["ambiguous"] += 1
            row.result = Outcome.DELETED
        elif stands is not None and not (stands is Outcome.VANISHED and (unknown or self._doubt)):
            if unknown and stands is Outcome.UPDATED:
                self._delivery.attempts["ambiguous"] += 1
            row.result = stands
        elif item is None:
            # Unknown, and gone by a read alone: only a refused write settles that. This one is always refused:
            # no item carries our stamp below the target. If the record is back by then, it is decided anew.
            probe = Write(guards={self._stamp.run_attribute: self._stamp.run_value})
            return Work(position, row.key, probe, unknown=True)
        else:
            return self._decide(position, row, item, unknown)
        self._doubts.clear(row.key)
        return None

    def _decide(
        self, position: int, row: PageRow, item: WireItem, unknown: bool, *, marked: bool = False
    ) -> Work | None:
        each = self._request.isolation == "record"
        if each and not self._operation.pure:  # what it does is done by the record's own activity
            row.result = self._isolate(row.key, "", "isolation: record", unknown, given_up=False)
            self._doubts.clear(row.key)
            return None
        try:
            decision = self._operation.again(item) if marked else self._operation.decide(item)
        except (EnvironmentFault, Interrupted):
            raise
        except Exception as error:  # the job's own function: whatever it raises is this record's failure
            row.result = self._isolate(row.key, *named_failure(error), unknown, given_up=True)
            self._doubts.clear(row.key)
            return None
        if isinstance(decision, Skip) and (marked or not unknown):
            row.result = Outcome.UPDATED if marked else Outcome.FILTERED
        elif each:
            row.result = self._isolate(row.key, "", "isolation: record", unknown, given_up=False)
        else:
            return Work(position, row.key, FENCE if isinstance(decision, Skip) else decision, unknown=unknown)
        self._doubts.clear(row.key)
        return None

    def _isolate(self, key: WireKey, error: str, message: str, unknown: bool, *, given_up: bool) -> Isolated:
        self._new_isolated += 1
        return Isolated(
            key=to_json_key(key),
            error=error,
            message=message,
            attempts=int(given_up),
            unknown=unknown or self._doubt,
            given_up=given_up,
            deleting=self._doubts.deletion_sent(key),
        )

    def _settled(self, work: Work, result: Outcome | Isolated) -> None:
        if isinstance(result, Isolated):
            self._new_isolated += 1
            if self._doubt:
                result = result.model_copy(update={"unknown": True})
        self._page[work.position].result = result
        self._deletes = self._deletes or result is Outcome.DELETED
        self._doubts.clear(work.key)

    def _advance(self) -> None:
        """Move the cursor to the end of the settled prefix, and count what it passes."""
        page, prefix = self._page, self._prefix
        first = prefix
        while prefix < len(page) and (result := page[prefix].result) is not None:
            if isinstance(result, Isolated):
                self._isolated.append(self._partitions.marked(result))
            elif not page[prefix].counted:
                self._outcomes[result] += 1
            prefix += 1
        if prefix > first:
            self._prefix = prefix
            self._scanned += prefix - first
            self._cursor = to_json_key(page[prefix - 1].cursor)
        if self._deletes and not self._named:
            self._count_deleted(first)

    def _count_gone(self) -> None:
        """Rows to which an earlier round sent a deletion are not handed out again where it landed."""
        gone, units = self._doubts.take_gone(self._table, self._pulse)
        self._read_units += units
        self._budget.reads.spend(units, self._pulse.now())
        self._delivery.attempts["ambiguous"] += len(gone)
        for partition in gone:
            self._partitions.turn_to(partition, self._counted)
            self._outcomes[Outcome.DELETED] += 1
            self._scanned += 1

    def _count_deleted(self, first: int) -> None:
        """What is deleted is never handed out again, so that it is counted now, wherever the cursor stands."""
        page = self._page
        self._scanned -= sum(row.counted for row in page[first : self._prefix])
        for row in page[self._prefix :]:
            if row.result is Outcome.DELETED and not row.counted:
                row.counted = True
                self._outcomes[Outcome.DELETED] += 1
                self._scanned += 1


class _Parked(Exception):
    def __init__(self, fault: Fault) -> None:
        self.fault = fault


def run_round(
    request: RoundInput, pulse: Pulse, table: TableClient, resume: Progress | None = None
) -> RoundResult:
    """Carry a shard forward. The only door of the engine that activities use for records in number."""
    try:
        round_ = Round(request, table, pulse, resume)
    except EnvironmentFault as error:  # the job's code is not there, or has changed
        fault = Fault(code=error.code, message=error.message)
        return RoundResult(progress=resume or request.beginning, stop=Stop.FAULT, fault=fault)
    return round_.run()
