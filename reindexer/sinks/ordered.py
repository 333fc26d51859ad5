"""Destinations that keep the order of each write: what is stored there says what became of a record.

A write lands only above the order that is stored. So it may be sent again, in any number, by whoever comes
after a lost attempt: it lands once, and a refusal tells by the stored order whether it had landed before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Protocol, TypeAlias

from reindexer.answers import Action, CallFailed, Failure
from reindexer.dynamo.reading import read_consistently
from reindexer.dynamo.table import TableClient
from reindexer.errors import EnvironmentFault, Interrupted, named_failure
from reindexer.items import Put, Skip, WireItem, WireKey, from_json_key, key_identity, to_json_key
from reindexer.models import Fault, Isolated, KeyList, OlderSegment, RoundInput, Source, Unconfirmed
from reindexer.page import Page
from reindexer.round_context import RoundContext
from reindexer.rounds.pending_write import Patience, PendingWrite
from reindexer.rounds.protocols import Again, Refusal, Sink, Verdict
from reindexer.search.client import Stored
from reindexer.sinks.in_place_answers import gives_up
from reindexer.streams.changes import Change, ChangeKind
from reindexer.streams.order import SETTLED, Standing, floor_of, order_of, standing
from reindexer.tally import Outcome

#: Asks for an epoch; None: there is none. Raises `CallFailed`, `EnvironmentFault`.
Epoch: TypeAlias = Callable[[], int | None]


class OrderedSink(Sink[Put], Protocol):
    """A sink that can be asked for what it holds."""

    def stored(self, keys: Sequence[WireKey]) -> list[Stored | None]:
        """What is under each key; None: nothing. Raises `CallFailed`."""
        ...

    def order_shown(self, failure: Failure) -> int | None:
        """The order that a refusal tells of; None: it tells of none."""
        ...


class NewestEpoch:
    """The lowest order of the newest epoch that is known: what lies far above is another program's.

    A redrive or a refresh may meet the orders of an epoch that was taken after it was planned.
    """

    def __init__(self, floor: int, last: Epoch | None) -> None:
        """`floor`: of the epoch of the job itself. `last`: asks for the last that the destination has had."""
        self.order, self._last = floor, last

    def learn(self, met: Iterable[tuple[int, int | None]]) -> None:
        """Ask where one of these would be another program's: (own order, stored order).

        Raises `CallFailed`, `EnvironmentFault`.
        """
        found = (standing(own, stored, self.order) for own, stored in met if stored is not None)
        if self._last and Standing.FOREIGN in found and (epoch := self._last()):
            self.order = max(self.order, floor_of(epoch))


class Rendering(Protocol):
    """What becomes of a record elsewhere."""

    def prefetch(self, page: Page) -> None:
        """Its rows are going to be asked for, in this order; some may be left out."""
        ...

    def decide(self, item: WireItem) -> bytes | WireItem | Skip:
        """What the destination is to hold. What it raises is the record's own failure."""
        ...


class OrderedAnswers:
    """The `AnswerMeaning`: the stored order decides."""

    def __init__(
        self, sink: OrderedSink, floor: int, *, older: bool = False, epoch: Epoch | None = None
    ) -> None:
        """`floor`: the order of rows of the scan. `older`: as in `Isolated`. `epoch`: as of `Ordered`."""
        self._sink, self._floor, self._older = sink, floor, older
        self._newest = NewestEpoch(floor, epoch)
        self.read_units = 0.0  # of the table: of changes that come without their image
        self.attempts: Counter[str] = Counter()

    def applied(self, work: PendingWrite[Put]) -> Outcome | Put:
        """It is there."""
        return work.write.outcome

    def refused(self, refusals: Sequence[Refusal[Put]]) -> Iterator[tuple[PendingWrite[Put], Verdict]]:
        """Something of that order, or of a higher one, is stored."""
        try:
            orders = orders_met(self._sink, refusals)
            self._newest.learn(
                (work.write.order, order) for (work, _), order in zip(refusals, orders, strict=True)
            )
        except CallFailed as failed:
            yield from ((work, failed.failure) for work, _ in refusals)
            return
        for (work, failure), stored in zip(refusals, orders, strict=True):
            yield work, self._meaning(work, failure, stored)

    def _meaning(self, work: PendingWrite[Put], failure: Failure, stored: int | None) -> Verdict:
        order = work.write.order
        found = Standing.OLDER if stored is None else standing(order, stored, self._newest.order)
        unexpected = stored is not None or bool(work.write.old)  # it was to be created, or changed
        if found is Standing.OLDER and unexpected and not work.write.replaces:
            work.write = replace(work.write, replaces=True)
            return Again(0)
        if found is Standing.OLDER:  # removed meanwhile, though no one else writes here
            return Failure(failure.code, failure.message, Action.RETRY, False, "conflicts")
        if found is Standing.OURS:
            self.attempts["ambiguous"] += work.unknown
            # What was sent first under this order is what is there.
            return Outcome.UPDATED if work.write.outcome is Outcome.VANISHED else work.write.outcome
        if found is Standing.FOREIGN:
            return Fault(
                code="NotTheOnlyWriter",
                message=f"a record has order {stored} there, far above {order}, which this job was going to "
                "write: another program writes to its destination",
            )
        return Outcome.SUPERSEDED

    def isolated(self, work: PendingWrite[Put], *, given_up: bool) -> Isolated:
        """The record as it leaves the loop without an outcome."""
        return Isolated(
            key=to_json_key(work.key),
            error=work.error,
            message=work.message,
            attempts=max(1, work.failures),
            unknown=work.unknown,
            given_up=given_up,
            order=own_order(work.write.order, self._floor),
            older=self._older,
        )


class Recognised:
    """What a `Destination` need not remember, since the stored order tells what became of a write."""

    may_look_ahead = True
    unconfirmed_bytes = 0  # nothing is unconfirmed

    def settled(self, key: WireKey, result: Outcome | Isolated) -> None:
        """The record has its outcome, or has left the round."""

    def unconfirmed(
        self,
        works: Iterable[PendingWrite[Put]],  # noqa: ARG002
        isolated: Iterable[tuple[WireKey, Isolated]],  # noqa: ARG002
        deleted: Iterable[WireKey],  # noqa: ARG002
        partition: str | None,  # noqa: ARG002
    ) -> list[Unconfirmed]:
        """None: whoever sends it again learns from the destination what became of it."""
        return []

    def take_deleted(self) -> tuple[list[str | None], float]:
        """None: a source hands out what is there, whatever the destination holds."""
        return [], 0.0


class Ordered(Recognised):
    """The `Destination` of rounds that write whole values at their order. Rows of a scan are at the floor."""

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
        self._epoch = request.target.version
        self._floor = floor_of(self._epoch)
        #: Of rows that come from no stream.
        self._order = (
            order_of(self._epoch, SETTLED) if isinstance(request.source, OlderSegment) else self._floor
        )
        #: Records that a replica held before the scan.
        self._older = isinstance(request.source, OlderSegment) or (
            isinstance(request.source, KeyList) and request.source.older
        )
        self.meaning = OrderedAnswers(sink, self._floor, older=self._older, epoch=epoch)
        self.max_batch = sink.max_changes
        self._each = request.isolation == "record"
        #: Records that are written at an order of their own, read again as they are now.
        self._orders = _orders_of(request.source)
        search = request.target.search
        refilled = request.target.other is not None or bool(search and search.refilled)
        #: What an earlier epoch has written of it may be there, and is to go.
        self._settles_older = self._older or (refilled and isinstance(request.source, KeyList))
        #: What becomes of a record that is not there.
        self._gone = Outcome.REMOVED if self._older else Outcome.VANISHED
        self._table = table
        self._context = context
        self._changes: Sequence[Change] = ()
        self._read: dict[tuple[object, ...], WireItem] = {}

    def turn_to(self, page: Page) -> Page:
        """The next page is in hand. Changes without their new image are read. Raises `CallFailed`."""
        self._operation.prefetch(page)
        self._changes = page.changes
        unseen = [c.key for c in page.changes if c.new is None and c.kind is not ChangeKind.REMOVE]
        self._read, units = read_consistently(self._table, unseen, None, self._context)
        self.meaning.read_units += units
        return page

    def begin(
        self, position: int, key: WireKey, item: WireItem | None
    ) -> PendingWrite[Put] | Outcome | Isolated:
        """The document of a row or of a change, or nothing. Raises `EnvironmentFault`, `Interrupted`."""
        order, gone, old, paged = self._order, self._gone, None, False
        if self._changes:
            change = self._changes[position]
            order = order_of(self._epoch, change.ordinal)
            old = () if change.kind is ChangeKind.INSERT else change.old
            item = change.new or self._read.get(key_identity(key))
            paged = change.new is not None
            gone = Outcome.DELETED if change.kind is ChangeKind.REMOVE else gone
        elif self._orders:
            order = self._orders[key_identity(key)]
        if item is None:
            # An earlier write of its document may have landed, or may land yet: the tombstone tells, and stays.
            return PendingWrite(position, key, Put(order, None, gone, old=old))
        try:
            body = self._operation.decide(item)
        except (EnvironmentFault, Interrupted):
            raise
        except Exception as error:  # the job's own function: whatever it raises is this record's failure
            given_up = gives_up(error, self._patience)
            return self._isolated(key, order, *named_failure(error), given_up=given_up)
        if isinstance(body, Skip):
            if order == self._floor and not self._settles_older:
                return Outcome.FILTERED  # nothing of it was ever written by this epoch
            return PendingWrite(position, key, Put(order, None, Outcome.FILTERED, old=old))
        if self._each and not self._changes:
            return self._isolated(key, order, "", "isolation: record", given_up=False)
        return PendingWrite(position, key, Put(order, body, Outcome.UPDATED, old=old, paged=paged))

    def _isolated(self, key: WireKey, order: int, error: str, message: str, *, given_up: bool) -> Isolated:
        return Isolated(
            key=to_json_key(key),
            error=error,
            message=message,
            attempts=int(given_up),
            given_up=given_up,
            order=own_order(order, self._floor),
            older=self._older,
        )


def orders_in(sink: OrderedSink, keys: Sequence[WireKey]) -> list[int | None]:
    """The order that is stored under each key; None: nothing is. Raises `CallFailed`."""
    return [found.order if found else None for found in sink.stored(keys)]


def orders_met(sink: OrderedSink, refusals: Sequence[Refusal[Put]]) -> list[int | None]:
    """As the refusals name them; those that do not are looked up. Raises `CallFailed`."""
    shown = [sink.order_shown(failure) for _, failure in refusals]
    unshown = [work.key for (work, _), order in zip(refusals, shown, strict=True) if order is None]
    looked_up = iter(orders_in(sink, unshown) if unshown else [])
    return [next(looked_up) if order is None else order for order in shown]


def own_order(order: int, floor: int) -> int | None:
    """As an isolated record carries it: None for one of the scan."""
    return None if order == floor else order


def _orders_of(source: Source) -> dict[tuple[object, ...], int]:
    if not isinstance(source, KeyList) or not source.orders:
        return {}
    keys = (key_identity(from_json_key(key)) for key in source.keys)
    return dict(zip(keys, source.orders, strict=True))
