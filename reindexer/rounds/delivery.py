"""The one retry loop: changes in, outcomes out.

Every attempt is one call of the sink; where it may, the next one is sent before it is answered. What comes back
is settled record by record: applied, refused by its condition, throttled, unknown, or impossible. What an
applied or a refused change means, the destination says (`AnswerMeaning`); all else is the same for all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Executor
from typing import Generic, TypeAlias

from reindexer.answers import Action, Answers, CallFailed, Failure, Scope
from reindexer.items import Change
from reindexer.models import Fault, Isolated, Stop
from reindexer.round_context import RoundContext
from reindexer.rounds.batch_queue import BatchQueue
from reindexer.rounds.pending_write import Patience, PendingWrite
from reindexer.rounds.protocols import Again, AnswerMeaning, Refusal, Sink, Verdict
from reindexer.rounds.under_way import Sent, UnderWay
from reindexer.tally import Outcome
from reindexer.throttle import Budget, backoff

#: Calls in a row that settle nothing before all wait together. Each record waits for a moment of its own, which
#: spreads a hundred of them over a hundred calls: no storm where one fails, one where everything does.
_UNLUCKY = 2

#: Called for each record that leaves the loop: with its outcome, or as an isolated record.
Settled: TypeAlias = Callable[[PendingWrite[Change], Outcome | Isolated], None]


class Delivery(Generic[Change]):
    """Carries the changes of one round to the sink. Counts attempts, consumed units and records settled."""

    def __init__(
        self,
        *,
        sink: Sink[Change],
        meaning: AnswerMeaning[Change],
        budget: Budget,
        context: RoundContext,
        deadline: float,
        patience: Patience = Patience(),  # noqa: B008 – frozen
        max_batch: int = 25,  # records per call, besides the sink's own limit
        may_look_ahead: bool = True,  # whether a record may be decided about before it can be sent
        room: Callable[[], bool] = lambda: True,  # whether one more may be under way
        ahead: Executor | None = None,  # where calls are made while the next batch is drawn and sent
    ) -> None:
        self._sink, self._meaning = sink, meaning
        self._budget, self._context, self._deadline, self._patience = budget, context, deadline, patience
        self._under_way = UnderWay[Change](sink, ahead)
        self._queue = BatchQueue[Change](
            max_changes=min(sink.max_changes, max_batch),
            max_bytes=sink.max_bytes,
            size_of=sink.size_of,
            in_trouble=patience.in_trouble,
            may_look_ahead=may_look_ahead,
            room=room,
            under_way=self._under_way,
            budget=budget,
            context=context,
        )
        self.attempts = meaning.attempts  # one count for both
        self.write_units = 0.0
        self.fault: Fault | None = None
        self.throttle: Scope | None = None
        self.trouble: Failure | None = None  # why nothing was settled lately
        self._settled: Settled[Change] = lambda _work, _result: None
        self._tried = False  # whether a batch was sent at all
        self._deleted = False  # since the last heartbeat: no row tells a successor of it
        self._done = 0  # records that left the loop so far
        self._through = 0  # those of them that got an outcome: isolating one proves nothing for another
        self._streak = 0  # calls in a row that settled nothing
        self._moved_at = context.now()  # when a record was last settled
        self._stall: tuple[Stop, Fault | None] = Stop.UNAVAILABLE, None

    @property
    def unknown(self) -> list[PendingWrite[Change]]:
        """Records whose last answer never came and which are not settled."""
        return [work for work in self._unsettled() if work.unknown]

    @property
    def sent(self) -> list[PendingWrite[Change]]:
        """Records that are not settled, and to which a write was sent that may have been applied."""
        in_hand = {id(work) for work in self._under_way.works}
        return [work for work in self._unsettled() if work.unknown or id(work) in in_hand]

    def _unsettled(self) -> list[PendingWrite[Change]]:
        waiting = {id(work) for work in self._queue.retries}
        in_hand = [work for work in self._under_way.works if not work.settled and id(work) not in waiting]
        return [*self._queue.retries, *in_hand]

    def deliver(
        self,
        pending: Iterable[PendingWrite[Change]],
        settled: Settled[Change],
        any_left: Callable[[], bool] = lambda: True,
    ) -> Stop | None:
        """Work until all are settled or isolated (None), or there is a reason to stop.

        `pending` is drawn from as batches are sent, so that what makes it is never far ahead of what was sent;
        it is not asked again once `any_left` says that nothing is left.
        """
        self._settled = settled
        self._queue.begin(pending, any_left)
        self._moved_at = self._context.now()
        try:
            return self._deliver()
        finally:  # after an exception, too: no call outlives its round
            self._under_way.wait()

    def _deliver(self) -> Stop | None:
        while self._queue.any or self._under_way:
            stop = self._reason_to_stop()
            if stop is None and self._may_send:
                batch = self._queue.next_batch()
                if batch and self._context.stale():
                    self._queue.retries += batch
                    stop = Stop.STALE
                elif batch:
                    self._tried = True
                    self._under_way.send(batch)
                    if self._may_send:
                        continue
            if stop is None and self._under_way:
                self._queue.free()
                self._answered()
                stop = Stop.FAULT if self.fault else None
            if stop:
                return self._after_answers(stop)
        return None

    @property
    def _may_send(self) -> bool:
        """Whether the next batch need not wait for an answer. It does where something is to be sent again."""
        return not self._under_way or (self._under_way.has_room and self._queue.any_fresh)

    def _answered(self) -> None:
        """Settle the oldest batch, when its answer is there."""
        try:
            self._attempted(self._under_way.oldest)
        except Exception:  # a defect; what was sent may have landed
            for work in self.sent:
                work.unknown = True
            raise
        self._under_way.settled()

    def _after_answers(self, stop: Stop) -> Stop:
        """Nothing is left under way; a fault that an answer brings is more than another reason to stop."""
        before = self.fault
        while self._under_way:
            self._answered()
        return stop if self.fault is before else Stop.FAULT

    def _reason_to_stop(self) -> Stop | None:
        self._context.heartbeat(immediate=self._deleted)
        self._deleted = False
        if self._context.stopping():
            return Stop.ASKED
        now = self._context.now()
        if now >= self._deadline and self._tried:
            # At least one batch a round: a budget so small that its first unit takes a slice must get it too.
            return Stop.SLICE
        # More than one call: a single read time-out takes as long by itself, and proves little.
        if not self._under_way and self._streak > 1 and now - self._moved_at > self._patience.stalled_seconds:
            stop, self.fault = self._stall
            return stop
        return None

    def _attempted(self, sent: Sent[Change]) -> None:
        before, batch = self._done, sent.batch
        try:
            answers = sent.answers(self._context.heartbeat)
        except CallFailed as failed:
            answers = Answers([failed.failure] * len(batch), 0.0)
        tried = len(answers.failures)
        self._queue.retries += batch[tried:]
        self.write_units += self._budget.wrote(answers.costly, answers.consumed)
        refused: list[Refusal[Change]] = []
        for work, failure in zip(batch, answers.failures, strict=False):
            if failure is None:
                result = self._meaning.applied(work)
                if isinstance(result, Outcome):
                    self._settle(work, result)
                else:
                    self._follow_up(work, result)
            elif failure.action is Action.SETTLE:
                refused.append((work, failure))
            else:
                self._failed(work, failure, len(batch))
        if refused:
            # Those that came back without the stored item were read together: they fail in company.
            company = sum(failure.item is None for _, failure in refused)
            for work, verdict in self._meaning.refused(refused):
                self._take(work, verdict, company)
        if self._done > before:
            self._streak, self._moved_at, self.throttle, self.trouble = 0, self._context.now(), None, None
        elif self._under_way.failed(sent):
            self._streak += 1
            if self._streak > _UNLUCKY:
                self._queue.keep_quiet(backoff(self._streak - _UNLUCKY))

    def _follow_up(self, work: PendingWrite[Change], write: Change) -> None:
        """The change was applied, and one more follows it."""
        self._done += 1  # a step, though not the last
        work.write, work.unknown, work.not_before = write, False, 0.0
        self._queue.retries.append(work)

    def _take(self, work: PendingWrite[Change], verdict: Verdict, company: int) -> None:
        """A refused change has its meaning."""
        if isinstance(verdict, Again):
            self._moved_at = self._context.now()  # the service answers: this is no stall
            self._done += not verdict.tries  # to be sent in another form: a step, though not the last
            self._again(work, verdict.tries)
        elif isinstance(verdict, Failure):
            self._failed(work, verdict, company)
        elif isinstance(verdict, Fault):
            self.fault = verdict
            self._queue.retries.append(work)
        else:
            self._settle(work, verdict)

    def _settle(self, work: PendingWrite[Change], result: Outcome | Isolated) -> None:
        self._done += 1
        work.settled = True
        self._deleted = self._deleted or result is Outcome.DELETED
        self._through += not isinstance(result, Isolated)
        self._settled(work, result)

    def _failed(self, work: PendingWrite[Change], failure: Failure, company: int) -> None:
        """One attempt at one record failed: decide what is next."""
        work.error, work.message = failure.code, failure.message
        work.unknown = work.unknown or failure.applied is None
        if failure.counter:
            self.attempts[failure.counter] += 1
        if failure.action in (Action.PARK, Action.LEAVE):
            self.fault = Fault.of(failure)
            self._queue.retries.append(work)
        elif failure.action is Action.GIVE_UP:
            self._settle(work, self._meaning.isolated(work, given_up=True))
        elif failure.action is Action.WAIT:
            self._stall, self.throttle = (Stop.THROTTLED, None), failure.scope or self.throttle
            self.trouble = failure
            work.throttles += 1
            # A call that brought nothing at all slows the whole round: its streak counts too.
            self._again(work, max(work.throttles, self._streak), throttled=True)
        elif failure.action is Action.SPLIT:
            if work.alone:  # refused alone as well: it is the record's own
                self._settle(work, self._meaning.isolated(work, given_up=False))
            else:
                work.alone = True
                self._queue.retries.append(work)
        else:
            self._troubled(work, failure, company)

    def _troubled(self, work: PendingWrite[Change], failure: Failure, company: int) -> None:
        """An error that may be the record's, its company's, or the service's own."""
        self._stall = (Stop.UNAVAILABLE, None) if failure.known else (Stop.FAILED, Fault.of(failure))
        self.trouble = failure
        if not failure.reached:
            self._again(work, self._streak)
            return
        if work.settled_before < 0:
            work.settled_before = self._through
        work.failures += 1
        work.alone = work.alone or (company > 1 and work.failures >= self._patience.split_after)
        if failure.known and work.failures >= self._patience.isolate_after and self._others_go_through(work):
            self._settle(work, self._meaning.isolated(work, given_up=False))
        else:
            self._again(work, max(work.failures, self._streak))

    def _others_go_through(self, work: PendingWrite[Change]) -> bool:
        """Whether the trouble is this record's: another got its outcome since, or a probe goes through."""
        if self._through > work.settled_before:
            return True
        self._context.heartbeat()  # the attempt may have taken a read time-out, and the probe may take another
        return self._sink.healthy()

    def _again(self, work: PendingWrite[Change], tries: int, *, throttled: bool = False) -> None:
        work.not_before = self._context.now() + backoff(tries, throttled=throttled)
        self._queue.retries.append(work)
