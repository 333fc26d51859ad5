"""The closing look where something else is written: what a cancelled shard did beyond its cursor.

Of another table both are read: a row that is equal now, and that this run may have written, counts as written
by it. Elsewhere the stored order tells. It writes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeVar

from reindexer.answers import Action, CallFailed
from reindexer.dynamo.table import KEYS_PER_CALL
from reindexer.errors import EnvironmentFault
from reindexer.items import Key, WireKey, from_json_key, key_identity
from reindexer.models import ClosingInput, ClosingResult, Fault, Isolated, Target
from reindexer.page import Page
from reindexer.round_context import RoundContext
from reindexer.rounds.protocols import Source
from reindexer.sinks.ordered import OrderedSink
from reindexer.sinks.pair import Pair
from reindexer.sinks.repairing import REPAIRED
from reindexer.sinks.unconfirmed_writes import sent
from reindexer.streams.order import floor_of
from reindexer.tally import Attempts, Outcome, Tally
from reindexer.throttle import Budget, backoff

#: Rows that still differ after which nothing of ours is expected any more, where an attempt was lost: two of
#: its pages, and what it has under way at a time is less than one.
_QUIET_ROWS = 200

T = TypeVar("T")


class Landed(Protocol):
    """Tells which writes of this run are there."""

    @property
    def units(self) -> float:
        """Read units of the table itself that it took."""
        ...

    def of(self, keys: Sequence[WireKey], sent: Sequence[Outcome]) -> list[Outcome | None]:
        """What each record has come to, if what was sent for it would make it `sent`; None: nothing landed.

        Raises `CallFailed`.
        """
        ...


class InCopy:
    """Writes to another table, by what both hold."""

    def __init__(self, pair: Pair) -> None:
        self._pair = pair

    @property
    def units(self) -> float:
        """As of the pair."""
        return self._pair.units

    def of(self, keys: Sequence[WireKey], sent: Sequence[Outcome]) -> list[Outcome | None]:
        """Equal rows. Raises `CallFailed`."""
        pairs = zip(self._pair.read(keys), sent, strict=True)
        return [outcome if both.write is None else None for both, outcome in pairs]


class InOrder:
    """What an index or a replica holds, by its order."""

    units = 0.0  # of the table

    def __init__(
        self,
        sink: OrderedSink,
        target: Target,
        order: int | None = None,
        gone: Outcome = Outcome.VANISHED,
    ) -> None:
        """`order`: of the record that is asked for; None: that of the scan. `gone`: what a tombstone means."""
        self._sink, self._order = sink, floor_of(target.version) if order is None else order
        self._gone = gone

    def of(self, keys: Sequence[WireKey], sent: Sequence[Outcome]) -> list[Outcome | None]:  # noqa: ARG002
        """Records and tombstones at the floor. Raises `CallFailed`."""
        return [
            None
            if found is None or found.order != self._order
            else self._gone
            if found.gone
            else Outcome.UPDATED
            for found in self._sink.stored(keys)
        ]


def count_landed(
    request: ClosingInput, landed: Landed, source: Source | None, context: RoundContext
) -> ClosingResult:
    """Count what this run has written elsewhere among unanswered writes and the rows ahead.

    `source` None: its records are named, and whatever is not settled is isolated or unconfirmed. Faults of the
    environment are returned, with what was counted before. A busy service is waited for.
    """
    look = _Look(request, landed, context)
    context.heartbeat(look.result)
    try:
        look.by_key()
        if source is not None and (request.ahead or request.doubt):
            look.beyond_the_cursor(source)
    except _Over:
        look.complete = False
    except CallFailed as failed:
        look.fail(Fault.of(failed.failure))
    except EnvironmentFault as error:  # the ledger lacks what the comparison found
        look.fail(Fault.of(error))
    return look.result()


class _Over(Exception):
    """The time is over, or it was asked to stop."""


class _Look:
    def __init__(self, request: ClosingInput, landed: Landed, context: RoundContext) -> None:
        self._request, self._landed, self._context = request, landed, context
        self._until = context.now() + request.seconds
        self._tally, self._ambiguous = Tally(), 0
        self._left: list[Isolated] = list(request.isolated)
        self._known: set[tuple[object, ...]] = set()  # looked at by their keys
        self.complete = True
        self._fault: Fault | None = None

    def fail(self, fault: Fault) -> None:
        self.complete, self._fault = False, fault

    def result(self) -> ClosingResult:
        """What was found so far."""
        return ClosingResult(
            tally=self._tally,
            attempts=Attempts(ambiguous=self._ambiguous),
            isolated=self._left,
            read_units=self._landed.units,
            complete=self.complete,
            fault=self._fault,
        )

    def by_key(self) -> None:
        """Isolated records, which are counted as scanned, and those with a write that was not answered."""
        unknown = [record for record in self._request.isolated if record.unknown]
        for some in _chunks(unknown):
            outcomes = [sent(deletion=record.deleting, creation=record.creating) for record in some]
            for record, found in zip(some, self._of([r.key for r in some], outcomes), strict=True):
                if found:
                    self._tally = self._tally.plus(found)
                    self._ambiguous += 1
                    self._left.remove(record)
        self._known |= {key_identity(from_json_key(record.key)) for record in self._request.isolated}
        writes = {key_identity(from_json_key(write.key)): write for write in self._request.unconfirmed}
        left = [write for known, write in writes.items() if known not in self._known]
        for part in _chunks(left):
            outcomes = [sent(deletion=write.deletion, creation=write.creation) for write in part]
            for found in self._of([write.key for write in part], outcomes):
                if found:
                    self._count(found)
                    self._ambiguous += 1
        self._known |= set(writes)

    def beyond_the_cursor(self, source: Source) -> None:
        """Page after page, as a round would read them, until no more of ours is to be expected."""
        request, cursor, tries = self._request, self._request.cursor, 0
        budget = Budget(request.share, self._context)
        seen = quiet = 0
        while True:
            try:
                for page in source.pages(cursor, request.rows_read + seen, budget):
                    ours = self._count_page(page)
                    tries, cursor, seen = 0, page.next_cursor, seen + len(page.rows)
                    quiet = 0 if ours else quiet + len(page.rows)
                    enough = quiet >= _QUIET_ROWS or not request.doubt
                    if cursor is None or (seen >= request.ahead and enough):
                        return
                    self._check_time()
                return
            except CallFailed as failed:
                tries += 1
                self._wait_after(failed, tries)

    def _count_page(self, page: Page) -> bool:
        """Whether this run may have written any of its rows."""
        names = [attribute.name for attribute in self._request.target.key]
        keys = [{name: row[name] for name in names} for row in page.rows]
        sent_to = [REPAIRED[kind] for kind in page.differences] or [Outcome.CREATED] * len(keys)
        ours = False
        for start in range(0, len(keys), KEYS_PER_CALL):
            some, outcomes = keys[start : start + KEYS_PER_CALL], sent_to[start : start + KEYS_PER_CALL]
            for key, found in zip(some, self._found(some, outcomes), strict=True):
                ours = ours or found is not None
                if found and key_identity(key) not in self._known:
                    self._count(found)
        return ours

    def _count(self, outcome: Outcome) -> None:
        self._tally = self._tally + Tally(scanned=1).plus(outcome)

    def _of(self, keys: Sequence[Key], sent: Sequence[Outcome]) -> list[Outcome | None]:
        return self._found([from_json_key(key) for key in keys], sent)

    def _found(self, keys: Sequence[WireKey], sent: Sequence[Outcome]) -> list[Outcome | None]:
        return self._patiently(lambda: self._landed.of(keys, sent))

    def _patiently(self, call: Callable[[], T]) -> T:
        tries = 0
        while True:
            self._check_time()
            try:
                return call()
            except CallFailed as failed:
                tries += 1
                self._wait_after(failed, tries)

    def _wait_after(self, failed: CallFailed, tries: int) -> None:
        """Before a call is made again. Raises it where that would not help, and `_Over`."""
        self._check_time()
        if failed.failure.action not in (Action.WAIT, Action.RETRY):
            raise failed
        self._context.wait(backoff(tries, throttled=failed.failure.action is Action.WAIT))

    def _check_time(self) -> None:
        self._context.heartbeat()
        if self._context.stopping() or self._context.now() >= self._until:
            raise _Over


def _chunks(entries: Sequence[T]) -> Iterator[Sequence[T]]:
    return (entries[start : start + KEYS_PER_CALL] for start in range(0, len(entries), KEYS_PER_CALL))
