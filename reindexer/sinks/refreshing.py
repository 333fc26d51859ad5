"""Records that are written again, beside whoever gives them their order: a follow, or a job that fills.

What is written carries the order that was stored before its row was read, and lands only while nothing above
that is stored. So it never hides a newer change. Refused, both are read again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

from reindexer.answers import CallFailed
from reindexer.dynamo.reading import read_consistently
from reindexer.dynamo.table import TableClient
from reindexer.errors import EnvironmentFault, Interrupted, named_failure
from reindexer.items import Put, Skip, WireItem, WireKey, key_identity, to_json_key
from reindexer.models import Fault, Isolated, RoundInput
from reindexer.page import Page
from reindexer.round_context import RoundContext
from reindexer.rounds.pending_write import Patience, PendingWrite
from reindexer.rounds.protocols import Again, Refusal, Verdict
from reindexer.sinks.in_place_answers import gives_up
from reindexer.sinks.ordered import Epoch, NewestEpoch, OrderedSink, Recognised, Rendering, orders_met
from reindexer.streams.order import Standing, floor_of, standing
from reindexer.tally import Outcome

#: Tries that lengthen the wait of a record others keep changing: below a second, as in place.
_MAX_RACES_WAIT = 4


class Rewriting:
    """What is to be written of a row, at the order that was stored before it was read."""

    def __init__(self, operation: Rendering, floor: int, epoch: Epoch | None) -> None:
        """`floor`: the lowest order of the destination's epoch, for what it does not hold. `epoch`: as of
        `Refreshing`."""
        self._operation, self._floor, self._newest = operation, floor, NewestEpoch(floor, epoch)

    def learn(self, orders: Sequence[int | None]) -> None:
        """These are stored. Raises `CallFailed`, `EnvironmentFault`."""
        self._newest.learn((self._floor, order) for order in orders)

    def of(self, item: WireItem | None, order: int | None) -> Put | Outcome:
        """Raises what the job's function raises, `EnvironmentFault`, `Interrupted`; `EnvironmentFault` also for
        an order that none of ours can have written."""
        if order is not None and standing(self._floor, order, self._newest.order) is Standing.FOREIGN:
            raise EnvironmentFault(
                "NotTheOnlyWriter",
                f"a record has order {order} there, far above {self._floor}, the lowest of its epoch: "
                "another program writes to its destination",
            )
        # Order 0: an item of another program is in its place, which every write may replace.
        there, again = order is not None, bool(order)
        at = order or self._floor
        if item is None:
            # Also where nothing is stored: a request of before, that was not answered, may land yet.
            return Put(at, None, Outcome.VANISHED, replaces=there, again=again)
        body = self._operation.decide(item)
        if not isinstance(body, Skip):
            return Put(at, body, Outcome.UPDATED, replaces=there, again=again)
        return Put(at, None, Outcome.FILTERED, replaces=there, again=again) if there else Outcome.FILTERED


class RefreshAnswers:
    """The `AnswerMeaning`: what was refused is made again, from what is stored and what the row is now."""

    def __init__(
        self,
        sink: OrderedSink,
        rewriting: Rewriting,
        patience: Patience,
        table: TableClient,
        context: RoundContext,
    ) -> None:
        self._sink, self._rewriting, self._patience = sink, rewriting, patience
        self._table, self._context = table, context
        self.read_units = 0.0  # of the table
        self.attempts: Counter[str] = Counter()

    def applied(self, work: PendingWrite[Put]) -> Outcome | Put:
        """It is there."""
        return work.write.outcome

    def refused(self, refusals: Sequence[Refusal[Put]]) -> Iterator[tuple[PendingWrite[Put], Verdict]]:
        """A newer order is stored: to be written at that one, from the row as it is after it was seen."""
        try:
            orders = orders_met(self._sink, refusals)
            keys = [work.key for work, _ in refusals]
            rows, units = read_consistently(self._table, keys, None, self._context)
            self._rewriting.learn(orders)
        except CallFailed as failed:
            # It is the read that failed: no write became unknown by it.
            unread = replace(failed.failure, applied=False)
            yield from ((work, unread) for work, _ in refusals)
            return
        self.read_units += units
        for (work, _), order in zip(refusals, orders, strict=True):
            yield work, self._again(work, rows.get(key_identity(work.key)), order)

    def _again(self, work: PendingWrite[Put], item: WireItem | None, order: int | None) -> Verdict:
        self.attempts["conflicts"] += 1
        work.races += 1
        work.error, work.message = "Conflict", f"refused {work.races} times by newer changes"
        if work.races > self._patience.races:
            return self.isolated(work, given_up=False)
        try:
            made = self._rewriting.of(item, order)
        except Interrupted:
            return Again(1)
        except EnvironmentFault as error:
            return Fault.of(error)
        except Exception as error:  # the job's own function: whatever it raises is this record's failure
            work.error, work.message = named_failure(error)
            return self.isolated(work, given_up=gives_up(error, self._patience))
        if isinstance(made, Outcome):
            return made
        work.write, work.unknown = made, False  # what was sent before is below what is stored
        return Again(min(work.races, _MAX_RACES_WAIT))

    def isolated(self, work: PendingWrite[Put], *, given_up: bool) -> Isolated:
        """The record as it leaves the loop without an outcome."""
        return Isolated(
            key=to_json_key(work.key),
            error=work.error,
            message=work.message,
            attempts=max(1, work.failures),
            unknown=work.unknown,
            given_up=given_up,
        )


class Refreshing(Recognised):
    """The `Destination` of rounds that write records again."""

    def __init__(
        self,
        request: RoundInput,
        sink: OrderedSink,
        operation: Rendering,
        patience: Patience,
        table: TableClient,
        context: RoundContext,
        epoch: Epoch | None = None,
    ) -> None:
        """`epoch`: asks for the last one that the destination has had."""
        self.sink, self._operation, self._patience = sink, operation, patience
        self._rewriting = Rewriting(operation, floor_of(request.target.version), epoch)
        self.meaning = RefreshAnswers(sink, self._rewriting, patience, table, context)
        self.max_batch = sink.max_changes
        self._each = request.isolation == "record"
        self._orders: Sequence[int | None] = ()

    def turn_to(self, page: Page) -> Page:
        """The next page is in hand. Raises `CallFailed`, `EnvironmentFault`."""
        self._operation.prefetch(page)
        self._rewriting.learn(page.orders)
        self._orders = page.orders
        return page

    def begin(
        self, position: int, key: WireKey, item: WireItem | None
    ) -> PendingWrite[Put] | Outcome | Isolated:
        """What is to be written of a row, or nothing. Raises `EnvironmentFault`, `Interrupted`."""
        if self._each:
            return _isolated(key, "", "isolation: record", given_up=False)
        try:
            made = self._rewriting.of(item, self._orders[position])
        except (EnvironmentFault, Interrupted):
            raise
        except Exception as error:  # the job's own function: whatever it raises is this record's failure
            return _isolated(key, *named_failure(error), given_up=gives_up(error, self._patience))
        return made if isinstance(made, Outcome) else PendingWrite(position, key, made)


def _isolated(key: WireKey, error: str, message: str, *, given_up: bool) -> Isolated:
    return Isolated(
        key=to_json_key(key), error=error, message=message, attempts=int(given_up), given_up=given_up
    )
