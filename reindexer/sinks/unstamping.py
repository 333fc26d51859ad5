"""Removing stamps: what a row needs by the stamp that it carries, and by those that this run has read before.

`operations.unstamp` says what is counted as what, and why that is exact.
"""

from __future__ import annotations

from collections.abc import Collection

from reindexer.dynamo.table import TableClient
from reindexer.items import Skip, WireItem, WireKey
from reindexer.models import Isolated, RoundInput
from reindexer.page import Page
from reindexer.round_context import RoundContext
from reindexer.rounds.pending_write import Patience, PendingWrite
from reindexer.rounds.protocols import Verdict
from reindexer.sinks.evidence import carries
from reindexer.sinks.in_place import InPlace
from reindexer.sinks.in_place_answers import InPlaceAnswers
from reindexer.sinks.seen_stamps import DRIFT_ROWS, Seen, digest
from reindexer.tally import Outcome


class UnstampAnswers(InPlaceAnswers):
    """A refused write names a stamp that the record does not carry any more."""

    def _by_item(self, work: PendingWrite, item: WireItem | None) -> Verdict:
        if item is None:
            return Outcome.VANISHED
        if not carries(self._stamp, item):
            self.attempts["ambiguous"] += work.unknown  # an error came back, yet the write had been applied
            return Outcome.UPDATED
        work.unknown = False  # whatever was sent before names another stamp than the one that is there now
        return self._raced(work, item)


class Unstamping(InPlace):
    """The `Destination` of a round that removes stamps. Raises `EnvironmentFault` when made.

    `seen` None: of a record on its own, which left its round because it carries a stamp.
    """

    def __init__(
        self,
        request: RoundInput,
        table: TableClient,
        context: RoundContext,
        patience: Patience,
        seen: Seen | None,
    ) -> None:
        super().__init__(request, table, context, patience)
        assert seen is not None or patience.alone, "a crash would lose what was read with a stamp"
        self._seen = seen
        self.meaning = UnstampAnswers(table, self.operation, self._stamp, context, patience, doubt=self._doubt)
        self._end = request.rows_read  # rows of the shard up to the end of the page in hand
        self._known: Collection[bytes] = ()  # what earlier rounds kept of the page in hand, and of later ones

    @property
    def must_see_own_writes(self) -> bool:
        """Always: what a row was read without is settled by the read alone."""
        return True

    def turn_to(self, page: Page) -> Page:
        """The next page is in hand: what it shows with a stamp is kept. Raises `CallFailed`.

        And `EnvironmentFault`. What a lost attempt has kept is looked for after the page was read: so all is
        found of an attempt that was only thought lost, and removed a stamp just before.
        """
        page = super().turn_to(page)
        if self._seen is None:
            return page
        here = [row for place, row in enumerate(page.rows) if place not in page.gone]
        stamped = [row for row in here if carries(self._stamp, row)]
        start, end = self._end, self._end + len(page.rows)
        # Rows that others have inserted since push those that were settled beyond the cursor to later pages.
        ahead = self._request.ahead and self._request.rows_read + self._request.ahead + DRIFT_ROWS
        after_others = self._request.doubt or start < ahead
        self._known = self._seen.since(start) if after_others and len(stamped) < len(here) else ()
        if stamped and self._request.isolation == "batch":  # else no round writes to them
            self._seen.keep(end, [digest(self._key(row)) for row in stamped])
        self._end = end
        return page

    def begin(self, position: int, key: WireKey, item: WireItem | None) -> PendingWrite | Outcome | Isolated:
        """What a row needs: a write, or nothing more. Raises `EnvironmentFault`, `Interrupted`."""
        unknown = key in self._unconfirmed
        if item is None:
            return Outcome.VANISHED
        if not carries(self._stamp, item):
            self.meaning.attempts["ambiguous"] += unknown
            before = unknown or self._seen is None or (bool(self._known) and digest(key) in self._known)
            return Outcome.UPDATED if before else Outcome.CURRENT
        decision = self.operation.decide(item)
        if isinstance(decision, Skip):
            return Outcome.FILTERED
        if self._request.isolation == "record":
            return self._isolate(key, "", "isolation: record", unknown, given_up=False)
        return PendingWrite(position, key, decision, unknown=unknown)

    def _key(self, row: WireItem) -> WireKey:
        return {name: row[name] for name in self._key_names}
