"""The one retry loop: changes in, outcomes out.

Every attempt is one call of the sink. What comes back is settled record by record: applied, refused by its
condition (then the stored item decides), throttled, unknown, or impossible. An unknown answer stays with its
record until a success or a classified refusal clears it; a read alone never does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from reindexer.answers import Action, Answers, CallFailed, Failure, Scope
from reindexer.dynamo.reading import read_consistently
from reindexer.dynamo.table import TableClient
from reindexer.dynamo.wire import Stamp
from reindexer.errors import EnvironmentFault, Interrupted, named_failure
from reindexer.items import Skip, WireItem, Write, key_identity, second_write
from reindexer.models import Fault, Isolated, Stop
from reindexer.operations import Operation
from reindexer.round_context import RoundContext
from reindexer.rounds.batch_queue import BatchQueue
from reindexer.rounds.pending_write import FENCE, Patience, PendingWrite
from reindexer.sinks.evidence import MARK_IS_GONE, MARK_OVERWRITTEN, Marked, WrongType, evidence
from reindexer.sinks.table import Sink
from reindexer.tally import Outcome
from reindexer.throttle import Budget, backoff

__all__ = ["FENCE", "Delivery", "Patience", "PendingWrite"]

#: Calls in a row that settle nothing before all wait together. Each record waits for a moment of its own, which
#: spreads a hundred of them over a hundred calls: no storm where one fails, one where everything does.
_UNLUCKY = 2

#: Tries that lengthen the wait of a record others keep changing: below a second; they are not outwaited.
_MAX_RACES_WAIT = 4

#: Called for each record that leaves the loop: with its outcome, or as an isolated record.
Settled = Callable[[PendingWrite, Outcome | Isolated], None]


class Delivery:
    """Carries the changes of one round to the sink. Counts attempts, consumed units and records settled."""

    def __init__(
        self,
        *,
        table: TableClient,
        sink: Sink,
        operation: Operation,
        stamp: Stamp,
        budget: Budget,
        context: RoundContext,
        deadline: float,
        patience: Patience = Patience(),  # noqa: B008 – frozen
        max_batch: int = 25,  # records per call; DynamoDB takes no more
        may_look_ahead: bool = True,  # whether a record may be decided about before it can be sent
        room: Callable[[], bool] = lambda: True,  # whether one more may be under way
    ) -> None:
        self._table, self._sink, self._operation, self._stamp = table, sink, operation, stamp
        self._budget, self._context, self._deadline, self._patience = budget, context, deadline, patience
        self._own = (stamp.version_attribute, stamp.run_attribute)
        self._queue = BatchQueue(
            most=min(sink.most, max_batch),
            in_trouble=patience.in_trouble,
            may_look_ahead=may_look_ahead,
            room=room,
            budget=budget,
            context=context,
        )
        self.attempts: Counter[str] = Counter()
        self.write_units = 0.0
        self.read_units = 0.0
        self.fault: Fault | None = None
        self.throttle: Scope | None = None
        self._settled: Settled = lambda _work, _result: None
        self._tried = False  # whether a batch was sent at all
        self._deleted = False  # since the last heartbeat: no row tells a successor of it
        self._done = 0  # records that left the loop so far
        self._through = 0  # those of them that got an outcome: isolating one proves nothing for another
        self._in_hand: list[PendingWrite] = []  # being sent, or being settled by the answer
        self._streak = 0  # calls in a row that settled nothing
        self._moved_at = context.now()  # when a record was last settled
        self._stall: tuple[Stop, Fault | None] = Stop.UNAVAILABLE, None

    @property
    def unknown(self) -> list[PendingWrite]:
        """Records whose last answer never came and which are not settled."""
        return [work for work in self._under_way() if work.unknown]

    @property
    def sent(self) -> list[PendingWrite]:
        """Records that are not settled, and to which a write was sent that may have been applied."""
        in_hand = {id(work) for work in self._in_hand}
        return [work for work in self._under_way() if work.unknown or id(work) in in_hand]

    def _under_way(self) -> list[PendingWrite]:
        waiting = {id(work) for work in self._queue.retries}
        in_hand = [work for work in self._in_hand if not work.settled and id(work) not in waiting]
        return [*self._queue.retries, *in_hand]

    def deliver(
        self, pending: Iterable[PendingWrite], settled: Settled, any_left: Callable[[], bool] = lambda: True
    ) -> Stop | None:
        """Work until all are settled or isolated (None), or there is a reason to stop.

        `works` is drawn from as batches are sent, so that what makes it is never far ahead of what is written;
        it is not asked again once `any_left` says that nothing is left.
        """
        self._settled = settled
        self._queue.begin(pending, any_left)
        self._moved_at = self._context.now()
        while self._queue.any:
            stop = self._reason_to_stop()
            if stop:
                return stop
            batch = self._queue.next_batch()
            if not batch:
                continue
            if self._context.stale():
                self._queue.retries += batch
                return Stop.STALE
            self._in_hand = batch
            try:
                self._attempt(batch)
            except Exception:  # a defect; what was sent may have landed
                for work in self.sent:
                    work.unknown = True
                raise
            self._in_hand = []
            if self.fault:
                return Stop.FAULT
        return None

    def _reason_to_stop(self) -> Stop | None:
        self._context.heartbeat(immediate=self._deleted)
        self._deleted = False
        if self._context.stopping():
            return Stop.TOLD
        now = self._context.now()
        if now >= self._deadline and self._tried:
            # At least one batch a round: a budget so small that its first unit takes a slice must get it too.
            return Stop.SLICE
        # More than one call: a single read time-out takes as long by itself, and proves little.
        if self._streak > 1 and now - self._moved_at > self._patience.stalled_seconds:
            stop, self.fault = self._stall
            return stop
        return None

    def _attempt(self, batch: list[PendingWrite]) -> None:
        before = self._done
        self._tried = True
        try:
            answers = self._sink.attempt([(work.key, work.write) for work in batch])
        except CallFailed as failed:
            answers = Answers([failed.failure] * len(batch), 0.0)
        tried = len(answers.failures)
        self._queue.retries += batch[tried:]
        self.write_units += self._budget.wrote(answers.costly, answers.consumed)
        refused: list[tuple[PendingWrite, Failure]] = []
        for work, failure in zip(batch, answers.failures, strict=False):
            if failure is None:
                self._applied(work)
            elif failure.action is Action.SETTLE:
                refused.append((work, failure))
            else:
                self._failed(work, failure, len(batch))
        if refused:
            self._classify(refused)
        if self._done > before:
            self._streak, self._moved_at, self.throttle = 0, self._context.now(), None
        else:
            self._streak += 1
            if self._streak > _UNLUCKY:
                self._queue.keep_quiet(backoff(self._streak - _UNLUCKY))

    def _applied(self, work: PendingWrite) -> None:
        """The write is there. A mark is followed by the deletion; anything else settles its record."""
        if work.write.mark:
            self._done += 1  # a step, though not the last
            work.deleting = True
            work.write, work.unknown, work.not_before = second_write(work.write, self._own), False, 0.0
            self._queue.retries.append(work)
        else:
            self._settle(work, Outcome.DELETED if work.write.delete else Outcome.UPDATED)

    def _settle(self, work: PendingWrite, result: Outcome | Isolated) -> None:
        self._done += 1
        work.settled = True
        self._deleted = self._deleted or result is Outcome.DELETED
        self._through += not isinstance(result, Isolated)
        self._settled(work, result)

    def _failed(self, work: PendingWrite, failure: Failure, company: int) -> None:
        """One attempt at one record failed: decide what is next."""
        work.error, work.message = failure.code, failure.message
        work.unknown = work.unknown or failure.applied is None
        if failure.counter:
            self.attempts[failure.counter] += 1
        if failure.action in (Action.PARK, Action.LEAVE):
            self.fault = Fault.of(failure)
            self._queue.retries.append(work)
        elif failure.action is Action.GIVE_UP:
            self._settle(work, work.isolated(given_up=True))
        elif failure.action is Action.WAIT:
            self._stall, self.throttle = (Stop.THROTTLED, None), failure.scope or self.throttle
            work.throttles += 1
            # A call that brought nothing at all slows the whole round: its streak counts too.
            self._again(work, max(work.throttles, self._streak), throttled=True)
        elif failure.action is Action.SPLIT:
            if work.alone:  # refused alone as well: it is the record's own
                self._settle(work, work.isolated(given_up=False))
            else:
                work.alone = True
                self._queue.retries.append(work)
        else:
            self._troubled(work, failure, company)

    def _troubled(self, work: PendingWrite, failure: Failure, company: int) -> None:
        """An error that may be the record's, its company's, or the service's own."""
        self._stall = (Stop.UNAVAILABLE, None) if failure.known else (Stop.FAILED, Fault.of(failure))
        if not failure.reached:
            self._again(work, self._streak)
            return
        if work.mark < 0:
            work.mark = self._through
        work.failures += 1
        work.alone = work.alone or (company > 1 and work.failures >= self._patience.split_after)
        if failure.known and work.failures >= self._patience.isolate_after and self._others_go_through(work):
            self._settle(work, work.isolated(given_up=False))
        else:
            self._again(work, max(work.failures, self._streak))

    def _others_go_through(self, work: PendingWrite) -> bool:
        """Whether the trouble is this record's: another got its outcome since, or a probe goes through."""
        if self._through > work.mark:
            return True
        self._context.heartbeat()  # the attempt may have taken a read time-out, and the probe may take another
        return self._sink.healthy()

    def _again(self, work: PendingWrite, tries: int, *, throttled: bool = False) -> None:
        work.not_before = self._context.now() + backoff(tries, throttled=throttled)
        self._queue.retries.append(work)

    def _classify(self, refused: Sequence[tuple[PendingWrite, Failure]]) -> None:
        """Refused by their conditions: the stored item decides. Where the answer has none, read it."""
        bare = [work.key for work, failure in refused if failure.item is None]
        stored: dict[tuple[object, ...], WireItem] = {}
        if bare:
            try:
                stored, units = read_consistently(self._table, bare, self._operation.reads, self._context)
                self.read_units += units
            except CallFailed as failed:
                # It is the read that failed: no write became unknown by it, and no record is to blame.
                failure = replace(failed.failure, applied=False)
                if failure.action in (Action.GIVE_UP, Action.SPLIT):
                    failure = replace(failure, action=Action.GIVE_UP if len(bare) == 1 else Action.SPLIT)
                for work, refusal in refused:
                    if refusal.item is None:
                        self._failed(work, failure, len(bare))
                refused = [entry for entry in refused if entry[1].item is not None]
        for work, failure in refused:
            self._by_item(work, failure.item or stored.get(key_identity(work.key)))

    def _by_item(self, work: PendingWrite, item: WireItem | None) -> None:
        found = evidence(self._stamp, item)
        if isinstance(found, WrongType):
            work.error, work.message = "VersionType", found.message
            self._settle(work, work.isolated(given_up=True))
        elif isinstance(found, Marked):
            assert item is not None
            self._marked(work, item)
        elif found is Outcome.VANISHED and work.write.delete:
            # Marked by us, then gone: by an attempt of ours that was never answered, or by someone's own.
            self.attempts["ambiguous"] += work.unknown
            self._settle(work, Outcome.DELETED)
        elif found is Outcome.CURRENT and (work.write.delete or (work.write.mark and work.unknown)):
            # It was marked, or may have been, and another stamp has taken the mark's place: the record that was
            # to be deleted is still there, so it is not at the target before this run.
            work.error, work.message, work.deleting = MARK_OVERWRITTEN, MARK_IS_GONE, False
            self._settle(work, work.isolated(given_up=True))
        elif found is not None:
            if found is Outcome.UPDATED and work.unknown:
                self.attempts["ambiguous"] += 1  # an error came back, yet the write had been applied
            self._settle(work, found)
        else:
            assert item is not None  # a missing item stands as VANISHED
            self._raced(work, item)

    def _marked(self, work: PendingWrite, item: WireItem) -> None:
        """Marked by this run and still there: the mark was behind an error, or the item was changed since."""
        work.deleting = True
        if work.write.mark:
            self.attempts["ambiguous"] += work.unknown
        else:
            self.attempts["conflicts"] += 1
        decision = self._anew(work, item, self._operation.redecide)
        if isinstance(decision, Skip):
            self._settle(work, Outcome.UPDATED)  # it carries the stamp, and is not to be deleted any more
        elif decision is not None:
            work.write, work.unknown = decision, False  # whatever was sent before finds another item now
            self._again(work, min(work.races, _MAX_RACES_WAIT) if work.races > 1 else 0)

    def _raced(self, work: PendingWrite, item: WireItem) -> None:
        """Refused, yet below the target: another writer came between. Decide again from the fresh item."""
        self.attempts["conflicts"] += 1
        work.unknown = work.unknown and not work.write.delete  # a deletion lands on a marked item only
        work.deleting = False
        decision = self._anew(work, item, self._operation.decide)
        if decision is None:
            return
        if isinstance(decision, Skip) and not work.unknown:
            self._settle(work, Outcome.FILTERED)
        else:
            work.write = FENCE if isinstance(decision, Skip) else decision
            self._again(work, min(work.races, _MAX_RACES_WAIT))

    def _anew(
        self, work: PendingWrite, item: WireItem, decide: Callable[[WireItem], Write | Skip]
    ) -> Write | Skip | None:
        """The decision about the fresh item; None: there is none, and the work has been dealt with."""
        work.races += 1
        work.error, work.message = "Conflict", f"refused {work.races} times by changes of other writers"
        self._moved_at = self._context.now()  # the service answers: this is no stall
        if work.races > self._patience.races:
            self._settle(work, work.isolated(given_up=False))
            return None
        try:
            return decide(item)
        except Interrupted:
            self._again(work, 1)
        except EnvironmentFault as error:
            self.fault = Fault.of(error)
            self._queue.retries.append(work)
        except Exception as error:  # the job's own function: whatever it raises is this record's failure
            work.error, work.message = named_failure(error)
            self._settle(work, work.isolated(given_up=self._patience.gives_up(error)))
        return None
