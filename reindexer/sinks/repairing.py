"""Repairing another table: what each of its rows needs, by what both tables hold.

Nothing that is written says who wrote it. A row that is equal when it is looked at counts as repaired where a
write of this run to it was not answered, or where a lost attempt may have sent one; else it was equal already.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from reindexer.answers import Action, CallFailed
from reindexer.dynamo.table import TableClient
from reindexer.items import WireItem, WireKey, Write, key_identity, to_json_key
from reindexer.models import Difference, Isolated, RoundInput, Segment, Unconfirmed
from reindexer.operations import verb_of
from reindexer.page import Page
from reindexer.round_context import RoundContext
from reindexer.rounds.pending_write import Patience, PendingWrite
from reindexer.rounds.protocols import Again, Refusal, Verdict
from reindexer.sinks.other_table import OtherTableSink
from reindexer.sinks.pair import Both, Pair
from reindexer.sinks.unconfirmed_writes import UnconfirmedWrites
from reindexer.tally import Outcome

#: Tries that lengthen the wait of a record others keep changing: below a second, as in place.
_MAX_RACES_WAIT = 4
#: What a difference becomes once it is repaired. A key that moved was in both tables, as far as is known.
REPAIRED: Mapping[str, Outcome] = {
    Difference.MISSING: Outcome.CREATED,
    Difference.DIFFERENT: Outcome.REPLACED,
    Difference.EXTRANEOUS: Outcome.REMOVED,
    Difference.MOVING: Outcome.REPLACED,
}


class RepairAnswers:
    """The `AnswerMeaning`: what refused a write is found out by reading both tables again."""

    def __init__(self, pair: Pair, patience: Patience, *, creates_only: bool) -> None:
        self._pair, self._patience, self._creates_only = pair, patience, creates_only
        self.attempts: Counter[str] = Counter()

    @property
    def read_units(self) -> float:
        """Of the table itself."""
        return self._pair.units

    def applied(self, work: PendingWrite) -> Outcome | Write:
        """It is there, or the next part of it follows."""
        return work.write.rest or outcome_of(work.write)

    def refused(self, refusals: Sequence[Refusal]) -> Iterator[tuple[PendingWrite, Verdict]]:
        """Equal by now, or to be written again, from what both tables hold now."""
        try:
            found = self._pair.read([work.key for work, _ in refusals])
        except CallFailed as failed:
            # It is the read that failed: no write became unknown by it.
            unread = replace(failed.failure, applied=False)
            if unread.action in (Action.GIVE_UP, Action.SPLIT):
                unread = replace(unread, action=Action.GIVE_UP if len(refusals) == 1 else Action.SPLIT)
            yield from ((work, unread) for work, _ in refusals)
            return
        for (work, _), both in zip(refusals, found, strict=True):
            yield work, self._again(work, both)

    def _again(self, work: PendingWrite, both: Both) -> Verdict:
        if both.write is None:
            if work.unknown:  # an error came back, yet the write had been applied
                self.attempts["ambiguous"] += 1
                return outcome_of(work.write)
            return equal_already(both)
        if self._creates_only and not both.write.create:
            return Outcome.SUPERSEDED
        self.attempts["conflicts"] += 1
        work.races += 1
        work.error, work.message = "Conflict", f"refused {work.races} times by changes of other writers"
        if work.races > self._patience.races:
            return self.isolated(work, given_up=False)
        work.write, work.unknown = both.write, False  # what was sent before asks for what is there no more
        return Again(min(work.races, _MAX_RACES_WAIT))

    def isolated(self, work: PendingWrite, *, given_up: bool) -> Isolated:
        """The record as it leaves the loop without an outcome."""
        return Isolated(
            key=to_json_key(work.key),
            error=work.error,
            message=work.message,
            attempts=max(1, work.failures),
            unknown=work.unknown,
            given_up=given_up,
            deleting=work.unknown and work.write.delete,
            creating=work.unknown and outcome_of(work.write) is Outcome.CREATED,
        )


class Repairing:
    """The `Destination` of a round that makes rows of another table equal to the table's own."""

    def __init__(
        self,
        request: RoundInput,
        tables: tuple[TableClient, TableClient],
        context: RoundContext,
        patience: Patience,
    ) -> None:
        self._pair = Pair(request.target, tables, request.share, context)
        self.sink = OtherTableSink(tables[1], request.target)
        self._scans = isinstance(request.source, Segment)  # a backfill: its rows are at hand
        self._creates_only = Outcome.REPLACED not in verb_of(request.target.operation).outcomes
        self.meaning = RepairAnswers(self._pair, patience, creates_only=self._creates_only)
        self.max_batch, self.may_look_ahead = self.sink.max_changes, True
        self._unconfirmed = UnconfirmedWrites(request.unconfirmed)
        self._key_names = tuple(attribute.name for attribute in request.target.key)
        self._each = request.isolation == "record"
        self._doubt = request.doubt and not self._each
        self._ahead = request.ahead  # rows beyond the cursor to which an earlier round may have written
        self._page: list[Both] = []
        self._found: list[Outcome] = []  # what each row of the page is once it is repaired

    @property
    def unconfirmed_bytes(self) -> int:
        """Bytes of JSON that unconfirmed writes of earlier rounds take in a heartbeat."""
        return self._unconfirmed.size

    def turn_to(self, page: Page) -> Page:
        """The next page is in hand: its keys are read in both tables. Raises `CallFailed`."""
        if self._scans:
            self._page = [self._pair.missing(row) for row in page.rows]
        else:
            self._page = self._pair.read([self._key(row) for row in page.rows])
        self._found = [REPAIRED[difference] for difference in page.differences]
        return page

    def begin(self, position: int, key: WireKey, item: WireItem | None) -> PendingWrite | Outcome | Isolated:  # noqa: ARG002
        """A write, or nothing more."""
        both, unknown = self._page[position], key in self._unconfirmed
        doubt, self._ahead = self._doubt or self._ahead > 0, max(0, self._ahead - 1)
        if both.write is None and self._scans:
            return Outcome.FILTERED
        if both.write is None:
            self.meaning.attempts["ambiguous"] += unknown
            return self._as_sent(position, key, both) if unknown or doubt else equal_already(both)
        if self._creates_only and not both.write.create:
            return Outcome.SUPERSEDED
        if self._each:
            return self._isolated(key, unknown=unknown)
        # What an earlier round or a lost attempt has sent may land before this write, and refuse it. Of a
        # backfill nothing is known of the other table: there it may have landed already.
        unknown = unknown or self._doubt or (self._scans and doubt)
        return PendingWrite(position, key, both.write, unknown=unknown)

    def _isolated(self, key: WireKey, *, unknown: bool) -> Isolated:
        """A record for an activity of its own, with what is known of the write that was sent to it."""
        sent = self._unconfirmed.outcome(key) if unknown else None
        return Isolated(
            key=to_json_key(key),
            message="isolation: record",
            unknown=unknown,
            deleting=sent is Outcome.REMOVED,
            creating=sent is Outcome.CREATED,
        )

    def _as_sent(self, position: int, key: WireKey, both: Both) -> Outcome:
        """The outcome of what was sent to a row that is equal now."""
        if key in self._unconfirmed:
            return self._unconfirmed.outcome(key)
        return self._found[position] if self._found else equal_already(both)

    def settled(self, key: WireKey, result: Outcome | Isolated) -> None:  # noqa: ARG002
        """The record has its outcome, or has left the round."""
        self._unconfirmed.clear(key)

    def unconfirmed(
        self,
        works: Iterable[PendingWrite],
        isolated: Iterable[tuple[WireKey, Isolated]],
        deleted: Iterable[WireKey],  # noqa: ARG002 – these are in the other table
        partition: str | None,
    ) -> list[Unconfirmed]:
        """Writes that were not answered."""
        sent = [
            *((work.key, work.write.delete, outcome_of(work.write) is Outcome.CREATED) for work in works),
            *((key, record.deleting, record.creating) for key, record in isolated if record.unknown),
        ]
        return self._unconfirmed.with_new(
            {
                key_identity(key): Unconfirmed(
                    key=to_json_key(key), deletion=deletion, creation=creation, partition=partition
                )
                for key, deletion, creation in sent
            }
        )

    def take_deleted(self) -> tuple[list[str | None], float]:
        """None: what is removed is named by the ledger, and handed out again."""
        return [], 0.0

    def _key(self, row: WireItem) -> WireKey:
        return {name: row[name] for name in self._key_names}


def equal_already(both: Both) -> Outcome:
    """The outcome of a key that needs nothing."""
    return Outcome.VANISHED if both.first is None and both.other is None else Outcome.CURRENT


def outcome_of(write: Write) -> Outcome:
    """The outcome of a repair that was applied."""
    if write.create or write.revives:  # for a comparison it was missing
        return Outcome.CREATED
    return Outcome.REMOVED if write.delete else Outcome.REPLACED
