"""The closing look: what a shard of a cancelled job did beyond its cursor, by the stamps in the table.

A round settles rows out of order, and counts only those up to its cursor. The next round meets the others and
counts them by their stamps; where there is none, this look does it. It writes nothing. Of a job that removes
stamps it counts the rows that carry none, and that the job is known to have read with one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from reindexer.answers import Action, CallFailed
from reindexer.dynamo.reading import read_consistently
from reindexer.dynamo.table import KEYS_PER_CALL, TableClient
from reindexer.errors import EnvironmentFault
from reindexer.items import WireItem, WireKey, from_json_key, key_identity
from reindexer.models import ClosingInput, ClosingResult, Fault
from reindexer.operations import make_operation, verb_of
from reindexer.page import Page
from reindexer.round_context import RoundContext
from reindexer.sinks.evidence import shows_change, stamp_of
from reindexer.sinks.seen_stamps import Seen, digest
from reindexer.sources import make_source
from reindexer.tally import Attempts, Outcome, Tally
from reindexer.throttle import Budget, backoff

#: Rows without our stamp after which nothing of ours is expected any more, where an attempt was lost: more than
#: it can have passed without writing between its last heartbeat and its end.
_QUIET_ROWS = 10_000


def count_ahead(
    request: ClosingInput, table: TableClient, context: RoundContext, seen: Seen | None = None
) -> ClosingResult:
    """Count what this run has changed among the isolated records, the unconfirmed ones and the rows ahead.

    `seen`: of a job that removes stamps. Faults of the environment are returned, with what was counted before.
    A busy service is waited for.
    """
    look = _Look(request, table, context, seen)
    context.heartbeat(look.result)
    try:
        look.by_key()
        if request.ahead or request.doubt:
            look.beyond_the_cursor()
    except _Over:
        look.complete = False
    except CallFailed as failed:
        look.fail(failed.failure.code, failed.failure.message)
    except EnvironmentFault as error:  # the job's code is not there, or has changed
        look.fail(error.code, error.message)
    return look.result()


class _Over(Exception):
    """The time is over, or it was asked to stop."""


class _Look:
    def __init__(
        self, request: ClosingInput, table: TableClient, context: RoundContext, seen: Seen | None
    ) -> None:
        self._request, self._table, self._context, self._seen = request, table, context, seen
        self._stamp = stamp_of(request.target)
        self._stamps = verb_of(request.target.operation).stamps
        assert self._stamps or seen is not None, "a row without a stamp shows nothing by itself"
        self._budget = Budget(request.share, context)
        self._until = context.now() + request.seconds
        self._tally: dict[str | None, Tally] = defaultdict(Tally)  # by partition; None: not counted by them
        self._ambiguous = 0
        self._units = 0.0
        self._left = list(request.isolated)
        self._known: set[tuple[Any, ...]] = set()  # records that were looked at by their keys, or counted
        self.complete = True
        self._fault: Fault | None = None

    def fail(self, code: str, message: str) -> None:
        self.complete, self._fault = False, Fault(code=code, message=message)

    def result(self) -> ClosingResult:
        """What was found so far."""
        partitions = {name: tally for name, tally in self._tally.items() if name is not None}
        return ClosingResult(
            tally=sum(self._tally.values(), Tally()),
            attempts=Attempts(ambiguous=self._ambiguous),
            isolated=self._left,
            read_units=self._units,
            partitions=partitions,
            complete=self.complete,
            fault=self._fault,
        )

    # ── Records whose keys are known ───────────────────────────────────────────────────────────────────────

    def by_key(self) -> None:
        """Isolated records, which are counted as scanned, and those with a write that was not answered."""
        for some in _chunks(self._request.isolated):
            keys = [from_json_key(record.key) for record in some]
            found = self._read(keys)
            for record, key in zip(some, keys, strict=True):
                self._known.add(key_identity(key))
                outcome = self._outcome(found.get(key_identity(key)), deleting=record.deleting)
                if outcome:
                    self._count(record.partition, Tally().plus(outcome))
                    self._ambiguous += record.unknown
                    self._left.remove(record)
        writes = {key_identity(from_json_key(write.key)): write for write in self._request.unconfirmed}
        for some in _chunks([write for known, write in writes.items() if known not in self._known]):
            found = self._read([from_json_key(write.key) for write in some])
            for write in some:
                identity = key_identity(from_json_key(write.key))
                self._known.add(identity)
                outcome = self._outcome(found.get(identity), deleting=write.deletion)
                if outcome:
                    self._count(write.partition, Tally(scanned=1).plus(outcome))
                    self._ambiguous += 1

    def _outcome(self, item: WireItem | None, *, deleting: bool) -> Outcome | None:
        """What this run did to a record; None: nothing that shows."""
        if item is None:
            return Outcome.DELETED if deleting else None
        return Outcome.UPDATED if shows_change(self._request.target, item) else None

    def _read(self, keys: list[WireKey]) -> dict[tuple[Any, ...], WireItem]:
        tries = 0
        while keys:
            if self._over() or not self._budget.wait_to_read():
                raise _Over
            try:
                found, units = read_consistently(self._table, keys, self._reads(), self._context)
            except CallFailed as failed:
                tries += 1
                self._wait_after(failed, tries)
                continue
            self._units += units
            self._budget.read(units, len(keys))
            return found
        return {}

    # ── Rows beyond the cursor ─────────────────────────────────────────────────────────────────────────────

    def beyond_the_cursor(self) -> None:
        """Page after page, as a round would read them, until no more of ours is to be expected."""
        request, target = self._request, self._request.target
        operation = make_operation(target, self._stamp)
        source = make_source(
            request.source, target, self._table, self._reads(), operation.filter, self._context, consistent=True
        )
        cursor = request.cursor
        enough = _QUIET_ROWS if request.doubt else 1
        seen = quiet = tries = 0
        while True:
            try:
                for page in source.pages(cursor, request.rows_read + seen, self._budget):
                    ours = self._count_page(page, request.rows_read + seen)
                    tries, cursor = 0, page.next_cursor
                    seen += len(page.rows)
                    quiet = 0 if ours else quiet + len(page.rows)
                    if cursor is None or (seen >= request.ahead and quiet >= enough):
                        return
                    if self._over():
                        raise _Over
                if self._over():
                    raise _Over
                return
            except CallFailed as failed:
                tries += 1
                self._wait_after(failed, tries)

    def _count_page(self, page: Page, start: int) -> bool:
        """Whether any of its rows was changed by this run. `start`: rows of the shard before it."""
        read_before = self._seen.since(start) if self._seen is not None and not self._stamps else ()
        self._units += page.consumed
        names = [attribute.name for attribute in self._request.target.key]
        ours = False
        for position, row in enumerate(page.rows):
            if position in page.gone or not shows_change(self._request.target, row):
                continue
            key = {name: row[name] for name in names}
            if not self._stamps and digest(key) not in read_before:
                continue
            ours = True
            identity = key_identity(key)
            if identity not in self._known:
                self._known.add(identity)  # an index may name it again
                self._count(page.partition, Tally(scanned=1, updated=1))
        return ours

    def _count(self, partition: str | None, tally: Tally) -> None:
        self._tally[partition] += tally

    def _wait_after(self, failed: CallFailed, tries: int) -> None:
        """Before a call is made again. Raises it where that would not help, and `_Over`."""
        if self._over():
            raise _Over from failed
        if failed.failure.action not in (Action.WAIT, Action.RETRY):
            raise failed
        self._context.wait(backoff(tries, throttled=failed.failure.action is Action.WAIT))

    def _over(self) -> bool:
        self._context.heartbeat()
        return self._context.stopping() or self._context.now() >= self._until

    def _reads(self) -> tuple[str, ...]:
        target = self._request.target
        names = [attribute.name for attribute in target.key]
        within = [target.within.partition.name] if target.within else []
        return tuple(dict.fromkeys((*names, target.attributes.version, target.attributes.run, *within)))


def _chunks(entries: Sequence[Any]) -> Iterable[Any]:
    return (entries[start : start + KEYS_PER_CALL] for start in range(0, len(entries), KEYS_PER_CALL))
