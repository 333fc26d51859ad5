"""Changes to the table itself: what a row needs, by the stamp that its item carries."""

from __future__ import annotations

from collections.abc import Iterable

from reindexer.dynamo.table import TableClient
from reindexer.errors import EnvironmentFault, Interrupted, named_failure
from reindexer.items import Skip, WireItem, WireKey, Write, from_json_key, key_identity, to_json_key
from reindexer.models import Isolated, KeyList, RoundInput, Unconfirmed
from reindexer.operations import Operation, make_operation
from reindexer.page import Page
from reindexer.round_context import RoundContext
from reindexer.rounds.pending_write import Patience, PendingWrite
from reindexer.sinks.evidence import MARK_IS_GONE, MARK_OVERWRITTEN, Marked, WrongType, evidence, stamp_of
from reindexer.sinks.in_place_answers import FENCE, InPlaceAnswers, gives_up
from reindexer.sinks.recently_deleted import RecentlyDeleted
from reindexer.sinks.table import make_sink
from reindexer.sinks.unconfirmed_writes import UnconfirmedWrites
from reindexer.tally import Outcome


class InPlace:
    """The `Destination` of a round that changes the records it reads. Raises `EnvironmentFault` when made."""

    def __init__(
        self, request: RoundInput, table: TableClient, context: RoundContext, patience: Patience
    ) -> None:
        self._request, self._table, self._context, self._patience = request, table, context, patience
        target = request.target
        self._stamp = stamp_of(target)
        self._key_names = tuple(attribute.name for attribute in target.key)
        #: What becomes of one record.
        self.operation: Operation = make_operation(target, self._stamp, context)
        self.max_batch, self.may_look_ahead = self.operation.max_batch, self.operation.pure
        # After a crash it is not known which rows beyond the cursor were sent a write that may yet land. Where
        # every record is its own activity, no round has sent one.
        self._doubt = request.doubt and request.isolation == "batch"
        self.sink = make_sink(table, target, self._stamp)
        self.meaning = InPlaceAnswers(table, self.operation, self._stamp, context, patience, doubt=self._doubt)
        by_index = target.within is not None and target.within.index is not None
        self._recent = RecentlyDeleted() if by_index and self.operation.deletes else None
        self._unconfirmed = UnconfirmedWrites(request.unconfirmed)
        marked = request.source.marked if isinstance(request.source, KeyList) else []
        self._marked = {key_identity(from_json_key(key)) for key in marked}

    @property
    def must_see_own_writes(self) -> bool:
        """Whether reads have to show every write of this run, at twice the price.

        A lagging read hands out a row that this run has deleted and counted, and nothing is left that could
        refuse the second count. It also shows a row without the stamp that says that `process` was called for
        it; that matters only where an earlier attempt may have stamped rows beyond the cursor. Every other
        conclusion from a lagging read is checked by the write's condition.
        """
        request, operation = self._request, self.operation
        return operation.deletes or (not operation.pure and bool(request.doubt or request.ahead))

    @property
    def unconfirmed_bytes(self) -> int:
        """Bytes of JSON that unconfirmed writes of earlier rounds take in a heartbeat."""
        return self._unconfirmed.size

    def turn_to(self, page: Page) -> Page:
        """The next page is in hand; returns it without index entries whose records are counted already."""
        if self._recent:
            page = self._recent.left_out(page, self._key_names)
        self.operation.prefetch(page)
        return page

    def begin(self, position: int, key: WireKey, item: WireItem | None) -> PendingWrite | Outcome | Isolated:
        """What a row needs: a write, or nothing more. Raises `EnvironmentFault`, `Interrupted`."""
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
            self.meaning.attempts["ambiguous"] += 1
            return Outcome.DELETED
        if found is not None and not (found is Outcome.VANISHED and (unknown or self._doubt)):
            if unknown and found is Outcome.UPDATED:
                self.meaning.attempts["ambiguous"] += 1
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
        if each and not self.operation.pure:  # what it does is done by the record's own activity
            return self._isolate(key, "", "isolation: record", unknown, given_up=False, deleting=marked)
        try:
            decision = self.operation.redecide(item) if marked else self.operation.decide(item)
        except (EnvironmentFault, Interrupted):
            raise
        except Exception as error:  # the job's own function: whatever it raises is this record's failure
            given_up = gives_up(error, self._patience)
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

    def settled(self, key: WireKey, result: Outcome | Isolated) -> None:
        """The record has its outcome, or has left the round."""
        self._unconfirmed.clear(key)
        if self._recent and result is Outcome.DELETED:
            self._recent.add(key)

    def unconfirmed(
        self,
        works: Iterable[PendingWrite],
        isolated: Iterable[tuple[WireKey, Isolated]],
        deleted: Iterable[WireKey],
        partition: str | None,
    ) -> list[Unconfirmed]:
        """Writes that were not answered, and deletions that are not counted yet."""
        sent = [
            *((work.key, work.write.delete) for work in works),
            *((key, record.deleting) for key, record in isolated if record.unknown),
            *((key, True) for key in deleted),
        ]
        return self._unconfirmed.with_new(
            {
                key_identity(key): Unconfirmed(key=to_json_key(key), deletion=deletion, partition=partition)
                for key, deletion in sent
            }
        )

    def take_deleted(self) -> tuple[list[str | None], float]:
        """Rows to which an earlier round sent a deletion are not handed out again where it landed."""
        gone, units = self._unconfirmed.take_gone(self._table, self._context)
        self.meaning.attempts["ambiguous"] += len(gone)
        return gone, units
