"""The closing look of a repair: what a cancelled shard did beyond its cursor, by what both tables hold.

A row that is equal now, and that this run may have written, counts as written by it. It writes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from reindexer.answers import Action, CallFailed
from reindexer.compare.repair import REPAIRED
from reindexer.errors import EnvironmentFault
from reindexer.items import WireKey, from_json_key, key_identity
from reindexer.models import ClosingInput, ClosingResult, Fault, Isolated
from reindexer.page import Page
from reindexer.round_context import RoundContext
from reindexer.rounds.protocols import Source
from reindexer.sinks.pair import Pair
from reindexer.sinks.unconfirmed_writes import sent
from reindexer.tally import Attempts, Outcome, Tally
from reindexer.throttle import Budget, backoff

_KEYS_PER_CALL = 100  # DynamoDB's limit
#: Rows that still differ after which nothing of ours is expected any more, where an attempt was lost: two of
#: its pages, and what it has under way at a time is less than one.
_QUIET_ROWS = 200

T = TypeVar("T")


def count_repaired(
    request: ClosingInput, pair: Pair, source: Source | None, context: RoundContext
) -> ClosingResult:
    """Count what this run has written to the other table among unanswered writes and the rows ahead.

    `source` None: its records are named, and whatever is not settled is isolated or unconfirmed. Faults of the
    environment are returned, with what was counted before. A busy service is waited for.
    """
    look = _Look(request, pair, context)
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
    def __init__(self, request: ClosingInput, pair: Pair, context: RoundContext) -> None:
        self._request, self._pair, self._context = request, pair, context
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
            read_units=self._pair.units,
            complete=self.complete,
            fault=self._fault,
        )

    def by_key(self) -> None:
        """Isolated records, which are counted as scanned, and those with a write that was not answered."""
        unknown = [record for record in self._request.isolated if record.unknown]
        for some in _chunks(unknown):
            for record, equal in zip(some, self._equal([from_json_key(r.key) for r in some]), strict=True):
                if equal:
                    self._tally = self._tally.plus(sent(deletion=record.deleting, creation=record.creating))
                    self._ambiguous += 1
                    self._left.remove(record)
        self._known |= {key_identity(from_json_key(record.key)) for record in self._request.isolated}
        writes = {key_identity(from_json_key(write.key)): write for write in self._request.unconfirmed}
        left = [write for known, write in writes.items() if known not in self._known]
        for part in _chunks(left):
            for write, equal in zip(part, self._equal([from_json_key(w.key) for w in part]), strict=True):
                if equal:
                    self._count(sent(deletion=write.deletion, creation=write.creation))
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
        found = [REPAIRED[kind] for kind in page.differences] or [Outcome.CREATED] * len(keys)
        ours = False
        for start in range(0, len(keys), _KEYS_PER_CALL):
            some = keys[start : start + _KEYS_PER_CALL]
            for place, equal in enumerate(self._equal(some), start):
                ours = ours or equal
                if equal and key_identity(keys[place]) not in self._known:
                    self._count(found[place])
        return ours

    def _count(self, outcome: Outcome) -> None:
        self._tally = self._tally + Tally(scanned=1).plus(outcome)

    def _equal(self, keys: Sequence[WireKey]) -> list[bool]:
        return self._patiently(lambda: [both.write is None for both in self._pair.read(keys)])

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
    return (entries[start : start + _KEYS_PER_CALL] for start in range(0, len(entries), _KEYS_PER_CALL))
