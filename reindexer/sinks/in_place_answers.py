"""What the answer to a write in place means: the stamp on the stored item decides.

An unknown answer stays with its record until a success or a classified refusal clears it; a read alone never
does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from reindexer.answers import Action, CallFailed, Failure
from reindexer.dynamo.reading import read_consistently
from reindexer.dynamo.table import TableClient
from reindexer.dynamo.wire import Stamp
from reindexer.errors import EnvironmentFault, Interrupted, TimeLimit, named_failure
from reindexer.items import Skip, WireItem, Write, key_identity, second_write, to_json_key
from reindexer.models import Fault, Isolated
from reindexer.operations import Operation
from reindexer.round_context import RoundContext
from reindexer.rounds.pending_write import Patience, PendingWrite
from reindexer.rounds.protocols import Again, Refusal, Verdict
from reindexer.sinks.evidence import MARK_IS_GONE, MARK_OVERWRITTEN, Marked, WrongType, evidence
from reindexer.tally import Outcome

#: For a record that may be left alone, yet to which a write was sent whose answer never came: the stamp and
#: nothing else. After it that write can no longer land.
FENCE = Write()

#: Tries that lengthen the wait of a record others keep changing: below a second; they are not outwaited.
_MAX_RACES_WAIT = 4


class InPlaceAnswers:
    """Classifies the answers to writes under one stamp. `doubt`: a lost attempt may have sent writes, too."""

    def __init__(
        self,
        table: TableClient,
        operation: Operation,
        stamp: Stamp,
        context: RoundContext,
        patience: Patience,
        *,
        doubt: bool = False,
    ) -> None:
        self._table, self._operation, self._stamp = table, operation, stamp
        self._context, self._patience, self._doubt = context, patience, doubt
        self._own = (stamp.version_attribute, stamp.run_attribute)
        #: The fields of `Attempts`, by name.
        self.attempts: Counter[str] = Counter()
        #: Of what was read where a refusal did not show the stored item.
        self.read_units = 0.0

    def applied(self, work: PendingWrite) -> Outcome | Write:
        """The outcome; of a delete mark, the deletion that follows."""
        if work.write.mark:
            work.deleting = True
            return second_write(work.write, self._own)
        return Outcome.DELETED if work.write.delete else Outcome.UPDATED

    def isolated(self, work: PendingWrite, *, given_up: bool) -> Isolated:
        """The record as it leaves the loop without an outcome."""
        return Isolated(
            key=to_json_key(work.key),
            error=work.error,
            message=work.message,
            attempts=work.failures + work.races + work.throttles + given_up,
            unknown=work.unknown or work.deleting or self._doubt,
            given_up=given_up,
            deleting=work.deleting,
            marked=work.deleting or work.error == MARK_OVERWRITTEN or (work.write.mark and work.unknown),
        )

    def refused(self, refusals: Sequence[Refusal]) -> Iterator[tuple[PendingWrite, Verdict]]:
        """What each has come to, by the stored item. Where the answer has none, it is read."""
        bare = [work.key for work, failure in refusals if failure.item is None]
        stored: dict[tuple[object, ...], WireItem] = {}
        unread: Failure | None = None
        if bare:
            try:
                stored, units = read_consistently(self._table, bare, self._operation.reads, self._context)
                self.read_units += units
            except CallFailed as failed:
                # It is the read that failed: no write became unknown by it, and no record is to blame.
                unread = replace(failed.failure, applied=False)
                if unread.action in (Action.GIVE_UP, Action.SPLIT):
                    unread = replace(unread, action=Action.GIVE_UP if len(bare) == 1 else Action.SPLIT)
        if unread:
            yield from ((work, unread) for work, failure in refusals if failure.item is None)
            refusals = [entry for entry in refusals if entry[1].item is not None]
        for work, failure in refusals:
            yield work, self._by_item(work, failure.item or stored.get(key_identity(work.key)))

    def _by_item(self, work: PendingWrite, item: WireItem | None) -> Verdict:
        found = evidence(self._stamp, item)
        if isinstance(found, WrongType):
            work.error, work.message = "VersionType", found.message
            return self.isolated(work, given_up=True)
        if isinstance(found, Marked):
            assert item is not None
            return self._marked(work, item)
        if found is Outcome.VANISHED and work.write.delete:
            # Marked by us, then gone: by an attempt of ours that was never answered, or by someone's own.
            self.attempts["ambiguous"] += work.unknown
            return Outcome.DELETED
        if found is Outcome.CURRENT and (work.write.delete or (work.write.mark and work.unknown)):
            # It was marked, or may have been, and another stamp has taken the mark's place: the record that was
            # to be deleted is still there, so it is not at the target before this run.
            work.error, work.message, work.deleting = MARK_OVERWRITTEN, MARK_IS_GONE, False
            return self.isolated(work, given_up=True)
        if found is not None:
            if found is Outcome.UPDATED and work.unknown:
                self.attempts["ambiguous"] += 1  # an error came back, yet the write had been applied
            return found
        assert item is not None  # a missing item is VANISHED
        return self._raced(work, item)

    def _marked(self, work: PendingWrite, item: WireItem) -> Verdict:
        """Marked by this run and still there: the mark was behind an error, or the item was changed since."""
        work.deleting = True
        if work.write.mark:
            self.attempts["ambiguous"] += work.unknown
        else:
            self.attempts["conflicts"] += 1
        decision = self._decided(work, item, self._operation.redecide)
        if isinstance(decision, Skip):
            return Outcome.UPDATED  # it carries the stamp, and is not to be deleted any more
        if not isinstance(decision, Write):
            return decision
        work.write, work.unknown = decision, False  # whatever was sent before finds another item now
        return Again(min(work.races, _MAX_RACES_WAIT) if work.races > 1 else 0)

    def _raced(self, work: PendingWrite, item: WireItem) -> Verdict:
        """Refused, yet below the target: another writer came between. Decide again from the fresh item."""
        self.attempts["conflicts"] += 1
        work.unknown = work.unknown and not work.write.delete  # a deletion lands on a marked item only
        work.deleting = False
        decision = self._decided(work, item, self._operation.decide)
        if isinstance(decision, Skip) and not work.unknown:
            return Outcome.FILTERED
        if not isinstance(decision, Write | Skip):
            return decision
        work.write = FENCE if isinstance(decision, Skip) else decision
        return Again(min(work.races, _MAX_RACES_WAIT))

    def _decided(
        self, work: PendingWrite, item: WireItem, decide: Callable[[WireItem], Write | Skip]
    ) -> Write | Skip | Isolated | Again | Fault:
        """The decision about the fresh item; else what the record has come to without one."""
        work.races += 1
        work.error, work.message = "Conflict", f"refused {work.races} times by changes of other writers"
        if work.races > self._patience.races:
            return self.isolated(work, given_up=False)
        try:
            return decide(item)
        except Interrupted:
            return Again(1)
        except EnvironmentFault as error:
            return Fault.of(error)
        except Exception as error:  # the job's own function: whatever it raises is this record's failure
            work.error, work.message = named_failure(error)
            return self.isolated(work, given_up=gives_up(error, self._patience))


def gives_up(error: Exception, patience: Patience) -> bool:
    """Whether what its function raised is the end of a record; else it is tried once more, alone."""
    return patience.alone or not isinstance(error, TimeLimit)
