"""The rounds of a shard, one after another: each begun where the last one ended, and folded as it ends."""

from __future__ import annotations

import asyncio
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError, CancelledError
from temporalio.exceptions import TimeoutError as ActivityTimeout

from workflows.controls import handed_back
from workflows.faults import in_plain_words
from workflows.options import (
    FIRST_WAIT,
    LONGEST_WAIT,
    LONGEST_WAIT_AFTER_LOST,
    MAX_LOST_ROUNDS,
    first_round_seconds,
    round_options,
)
from workflows.shard.records import Records
from workflows.shard.running_shard import RUNNING, RunningShard
from workflows.shard.steps import End, Step

with workflow.unsafe.imports_passed_through():
    from pydantic import ValidationError

    from reindexer.models import CLOCK_WRONG, Fault, Situation, Stop
    from reindexer.models.folding import at_the_end

#: After these a round that came back normally is followed by a wait.
_WAITING = (Stop.THROTTLED, Stop.UNAVAILABLE)
#: Whose capacity and answers go without a name.
_DYNAMODB = "DynamoDB"

#: Time slices that a round takes where the stream has nothing new: each costs some five events.
_IDLE_SLICES = 8


class Rounds:
    """Carries its shard's state forward by `step`s; `records` share the budget with it."""

    def __init__(self, shard: RunningShard, records: Records, step: Step[Any]) -> None:
        self._shard, self._records, self._step = shard, records, step
        self._lost_in_a_row = 0
        self._refused_in_a_row = 0  # rounds in which a stream shard was refused, by an error of unknown meaning
        self._wait = 0.0  # seconds before the next one

    def skip_wait(self) -> None:
        """The next one waits for nothing: it was asked to go on."""
        self._wait = 0.0

    async def one(self) -> None:
        """The next round from start to end; none if it is interrupted while it waits."""
        shard = self._shard
        turn = shard.turn
        if self._wait:
            summary = f"{shard.situation.reason or 'waiting'} {self._wait:.0f} s"
            await shard.gate.sleep(self._wait, summary, until=lambda: shard.turn != turn)
            if not shard.may_work:
                return
        try:
            result = await handed_back(self._start(), lambda: shard.turn != turn)
        except (ActivityError, asyncio.CancelledError) as error:
            self._without_result(error)
        else:
            self._fold(result)
            self._ended(self._step.end(result))

    def _start(self) -> workflow.ActivityHandle[Any]:
        """In the shard's time slice; the first one is shorter."""
        self._shard.take_adopted()
        request, state = self._shard.request, self._shard.state
        seconds = request.round_seconds
        if not state.rounds:
            seconds = first_round_seconds(request.index, seconds)
        if state.followed and not state.followed.lag_ms:
            seconds *= _IDLE_SLICES
        call = self._step.call(self._shard, self._records.share_of_round(self._shard.share), seconds)
        return workflow.start_activity_method(
            call.activity,
            call.request,
            task_queue=request.rounds_queue,
            summary=call.summary,
            **round_options(seconds + call.beyond, request.heartbeat_timeout),
        )

    def _fold(self, result: Any) -> None:
        self._shard.state = self._step.fold(self._shard.state, result)

    def _ended(self, end: End) -> None:
        """What a round that came back says about the next one."""
        shard = self._shard
        if end.stop is Stop.FAILED or (end.fault and end.fault.code == CLOCK_WRONG):
            return self._lost(end.moved, _named(end.fault) if end.fault else "a defect")
        self._lost_in_a_row = 0
        if end.stop is Stop.DONE:
            shard.state = at_the_end(shard.state)
        if end.stop in _WAITING:
            self._wait = FIRST_WAIT if end.moved else min(LONGEST_WAIT, max(FIRST_WAIT, 2 * self._wait))
            shard.situation = Situation(state="throttled", reason=_why_it_waits(end), scope=end.throttle)
        elif end.stop is Stop.FAULT and end.fault:
            shard.park(in_plain_words(end.fault))
        elif end.stop is not Stop.ASKED:
            self._wait = 0.0
            shard.situation = RUNNING
            self._look_at_stream()
        return None

    def _look_at_stream(self) -> None:
        """A stream shard that refuses shows although others go on; one that never stops, as a lost round."""
        shard, followed = self._shard, self._shard.state.followed
        failing = followed and followed.failing
        self._refused_in_a_row = self._refused_in_a_row + 1 if failing and not failing.known else 0
        if not failing:
            return
        shard.situation = Situation(state="throttled", reason=failing.sentence)
        if self._refused_in_a_row >= MAX_LOST_ROUNDS and shard.may_work:
            self._refused_in_a_row = 0
            shard.park(f"{failing.sentence}; {MAX_LOST_ROUNDS} rounds in a row: repair that, then resume")

    def _without_result(self, error: ActivityError | asyncio.CancelledError) -> None:
        """Fold what the last heartbeat says, if it says anything; whatever else it did is in doubt."""
        cause = error.cause if isinstance(error, ActivityError) else None
        if cause is None or isinstance(cause, CancelledError):
            return  # cancelled before a worker took it: with a single attempt there is nothing else to lose
        moved = False
        if isinstance(cause, ActivityTimeout) and cause.last_heartbeat_details:
            try:
                reached = self._step.heartbeat(cause.last_heartbeat_details[0])
            except ValidationError as invalid:
                workflow.logger.warning("a heartbeat could not be read: %s", invalid)
            else:
                self._fold(reached)
                moved = self._step.end(reached).moved
        self._shard.state = self._shard.state.model_copy(update={"timed_out": True})
        self._lost(moved, str(cause))

    def _lost(self, moved: bool, why: str) -> None:
        """A round that did not end as it should: another one, a little later; or none, after too many."""
        shard = self._shard
        self._lost_in_a_row = 0 if moved else self._lost_in_a_row + 1
        self._wait = min(LONGEST_WAIT_AFTER_LOST, 2.0**self._lost_in_a_row / 2)
        if self._lost_in_a_row >= MAX_LOST_ROUNDS and shard.may_work:
            self._lost_in_a_row = 0
            number = shard.request.index
            shard.park(f"shard {number}: {MAX_LOST_ROUNDS} rounds in a row were lost: {why[:300]}")


def _why_it_waits(end: End) -> str:
    """Whose capacity or answer is waited for."""
    service = end.service or _DYNAMODB
    if end.stop is Stop.UNAVAILABLE:
        return f"{service} does not answer, waiting" + (f" ({end.said})" if end.said else "")
    if service != _DYNAMODB:
        return f"throttled by {service}, waiting ({end.said})"
    return "throttled, waiting" + (f" ({end.throttle})" if end.throttle else "")


def _named(fault: Fault) -> str:
    return f"{fault.message[:250].rstrip('. ')} ({fault.code})"
