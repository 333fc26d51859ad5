"""The rounds of a shard, one after another: each begun where the last one ended, and folded as it ends."""

from __future__ import annotations

from temporalio import workflow
from temporalio.exceptions import ActivityError, CancelledError
from temporalio.exceptions import TimeoutError as ActivityTimeout

from workflows.faults import in_plain_words
from workflows.options import (
    FIRST_WAIT,
    LONGEST_WAIT,
    MOST_LOST_ROUNDS,
    first_round_seconds,
    round_options,
)
from workflows.records import Records
from workflows.running_shard import RUNNING, RunningShard, Situation

with workflow.unsafe.imports_passed_through():
    from pydantic import ValidationError

    from reindexer.models import Progress, RoundInput, RoundResult, Stop
    from reindexer.tally import plus_each

#: Why a round that came back normally is followed by a wait.
_WAITING = {Stop.THROTTLED: "throttled, waiting", Stop.UNAVAILABLE: "DynamoDB does not answer, waiting"}


class Rounds:
    """Carries its shard's state forward; `records` share the budget with it."""

    def __init__(self, shard: RunningShard, records: Records) -> None:
        self._shard, self._records = shard, records
        self._open: workflow.ActivityHandle[RoundResult] | None = None
        self._lost_in_a_row = 0
        self._wait = 0.0  # seconds before the next one

    def interrupt(self) -> None:
        """Ask the open one to hand back where it stands."""
        if self._open is not None:
            self._open.cancel()

    def at_once(self) -> None:
        """The next one waits for nothing: it was told to go on."""
        self._wait = 0.0

    async def one(self) -> None:
        """The next round from start to end; none if it is interrupted while it waits."""
        shard = self._shard
        if self._wait:
            await shard.gate.sleep(self._wait, f"{shard.situation.reason} {self._wait:.0f} s")
            if not shard.gate.open:
                return
        self._open = self._start()
        try:
            result = await self._open
        except ActivityError as error:
            self._open = None
            self._lost(error)
        else:
            self._open = None
            self._fold(result.progress)
            self._ended(result)

    def _start(self) -> workflow.ActivityHandle[RoundResult]:
        shard, request, state = self._shard, self._shard.request, self._shard.state
        seconds = request.round_seconds
        if not state.rounds:
            seconds = first_round_seconds(request.index, seconds)
        work = RoundInput(
            target=shard.target,
            source=request.source,
            cursor=state.cursor,
            handed_out=state.tally.scanned,
            unknown=state.unknown,
            deleting=state.deleting,
            deleting_in=state.deleting_in,
            doubt=state.timed_out,
            share=self._records.share_of_round(shard.share),
            isolation=request.isolation,
            seconds=seconds,
            heartbeat_timeout=request.heartbeat_timeout,
        )
        return workflow.start_activity(
            "reindex_round",
            work,
            task_queue=request.rounds_queue,
            result_type=RoundResult,
            summary=f"round {state.rounds + 1} after {state.tally.scanned:,} records",
            **round_options(seconds, request.heartbeat_timeout),
        )

    def _ended(self, result: RoundResult) -> None:
        """What a round that came back says about the next one."""
        self._lost_in_a_row = 0
        moved = result.progress.tally.scanned > 0
        if result.stop is Stop.DONE:
            self._shard.state = self._shard.state.model_copy(
                update={"done": True, "unknown": [], "deleting": [], "deleting_in": []}
            )
        if result.stop in _WAITING:
            self._wait = FIRST_WAIT if moved else min(LONGEST_WAIT, max(FIRST_WAIT, 2 * self._wait))
            reason = _WAITING[result.stop] + (f" ({result.throttle})" if result.throttle else "")
            self._shard.situation = Situation("throttled", reason, result.throttle)
        elif result.stop is Stop.FAULT and result.fault:
            self._shard.park(in_plain_words(result.fault))
        elif result.stop is not Stop.TOLD:
            self._wait = 0.0
            self._shard.situation = RUNNING

    def _lost(self, error: ActivityError) -> None:
        """A round without a result: fold what its last heartbeat told, if it told anything."""
        cause = error.cause
        if isinstance(cause, ActivityTimeout):
            self._shard.state = self._shard.state.model_copy(update={"timed_out": True})
            if cause.last_heartbeat_details:
                try:
                    self._fold(Progress.model_validate(cause.last_heartbeat_details[0]))
                except ValidationError as invalid:
                    workflow.logger.warning("a heartbeat could not be read: %s", invalid)
        if self._shard.gate.open and not isinstance(cause, CancelledError):
            self._lost_in_a_row += 1
            if self._lost_in_a_row >= MOST_LOST_ROUNDS:
                self._lost_in_a_row = 0
                self._shard.park(
                    f"shard {self._shard.request.index}: {MOST_LOST_ROUNDS} rounds in a row were lost: {cause}"
                )

    def _fold(self, progress: Progress) -> None:
        """Add one round to the shard: counts add up, the cursor and the unknown keys are replaced."""
        state = self._shard.state
        self._shard.state = state.model_copy(
            update={
                "cursor": progress.cursor or state.cursor,
                "tally": state.tally + progress.tally,
                "attempts": state.attempts + progress.attempts,
                "isolated": state.isolated + progress.isolated,
                "unknown": progress.unknown,
                "deleting": progress.deleting,
                "deleting_in": progress.deleting_in,
                "read_units": state.read_units + progress.read_units,
                "write_units": state.write_units + progress.write_units,
                "rounds": state.rounds + 1,
                "partitions": plus_each(state.partitions, progress.partitions),
            }
        )
