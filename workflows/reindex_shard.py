"""ReindexShard: one shard, carried forward in rounds until every record of it has its outcome."""

from __future__ import annotations

from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError, CancelledError
from temporalio.exceptions import TimeoutError as ActivityTimeout

from workflows.controls import Gate, run_shielded
from workflows.faults import in_plain_words
from workflows.options import (
    FIRST_WAIT,
    LONGEST_WAIT,
    MOST_LOST_ROUNDS,
    MOST_PENDING_RECORDS,
    first_round_seconds,
    round_options,
)
from workflows.records import Records

with workflow.unsafe.imports_passed_through():
    from pydantic import ValidationError

    from reindexer.models import (
        Control,
        Progress,
        RoundInput,
        RoundResult,
        ShardInput,
        ShardReport,
        ShardState,
        Share,
        Stop,
        Target,
    )
    from reindexer.tally import plus_each

#: Why a round that came back normally is followed by a wait.
_WAITING = {Stop.THROTTLED: "throttled, waiting", Stop.UNAVAILABLE: "DynamoDB does not answer, waiting"}


@workflow.defn(name="ReindexShard")
class ReindexShard:
    """Rounds one after another, isolated records beside them, reports to the root."""

    @workflow.init
    def __init__(self, request: ShardInput) -> None:
        self.request = request
        self.state = request.state
        self._control = request.control
        self.gate = Gate()
        self.gate.paused = request.control.paused
        self._seq = request.seq
        self._round: workflow.ActivityHandle[RoundResult] | None = None
        self._lost_rounds = 0
        self._wait = 0.0
        #: (state, reason, scope of a throttle)
        self._situation: tuple[str, str, str | None] = ("running", "", None)
        self._told = ("", "", -1)  # (state, reason, control seq) of the last report
        self._told_at = workflow.now().timestamp()
        self._parked_at = -1  # the control seq in force when it parked itself
        self.gate.when_stopped(self._interrupt)
        self._records = Records(self)

    # ── What comes in ──────────────────────────────────────────────────────────────────────────────────────

    @workflow.signal
    def control(self, *args: Any) -> None:
        """The root's desired state, whole. An older one, or one that cannot be read, is ignored."""
        try:
            control = Control.model_validate(args[0] if args else None)
        except ValidationError as error:
            workflow.logger.warning("ignored a control signal: %s", error)
            return
        if control.seq <= self._control.seq:
            return
        changed = control.paused != self._control.paused or control.share != self._control.share
        self._control = control
        self.gate.paused = control.paused
        if changed:
            self._interrupt()

    @workflow.query(name="state")
    def where_it_stands(self, *args: Any) -> ShardState:  # noqa: ARG002 – anything may come with a query
        """All that is folded so far; asked when somebody has ended it, from its history."""
        return self.state

    def _interrupt(self) -> None:
        """Ask everything in flight to hand back where it stands."""
        if self._round is not None:
            self._round.cancel()
        self._records.interrupt()

    # ── Driving ────────────────────────────────────────────────────────────────────────────────────────────

    @workflow.run
    async def run(self, request: ShardInput) -> ShardState:  # noqa: ARG002 – taken by __init__
        """Returns the shard's state, partial if it was cancelled; failures of records never raise."""
        again = await run_shielded(self._drive(), self.gate)
        if again:
            await workflow.wait_condition(workflow.all_handlers_finished)
            workflow.continue_as_new(
                self.request.model_copy(
                    update={"state": self.state, "control": self._control, "seq": self._seq}
                )
            )
        return self.state

    async def _drive(self) -> bool:
        """True: continue as new."""
        while not self.gate.stopping and not self._finished():
            if self.gate.paused or self._parked():
                await self._stand_still()
                continue
            self._records.start()
            if self._history_is_long():
                await self._records.finish_open()
                return not self._finished() and not self.gate.stopping
            if self.state.done or len(self.state.isolated) >= MOST_PENDING_RECORDS:
                await self._records.wait_for_one()
            else:
                await self._one_round()
            await self._report()
        await self._records.finish_open()
        return False

    def _finished(self) -> bool:
        return self.state.done and not self.state.isolated

    def _history_is_long(self) -> bool:
        info = workflow.info()
        most = self.request.continue_after
        return info.is_continue_as_new_suggested() or bool(most and info.get_current_history_length() > most)

    async def _stand_still(self) -> None:
        """Paused or parked: no attempt runs, the root knows it, and a newer control state ends it."""
        await self._records.finish_open()
        seq = self._control.seq
        if self._parked():
            self._situation = ("parked", self._situation[1], None)
        else:
            self._situation = ("paused", "", None)
        await self._report()
        await workflow.wait_condition(
            lambda: self.gate.stopping or self._control.seq != seq or not (self.gate.paused or self._parked())
        )
        if not self.gate.paused and not self._parked():
            self._situation = ("running", "", None)
            self._wait = 0.0

    def park(self, reason: str) -> None:
        """Stop by itself, with the reason, until the root sends a newer control state."""
        self._parked_at = self._control.seq
        self._situation = ("parked", reason, None)
        self._interrupt()

    def may_work(self) -> bool:
        """Whether an attempt may be started now."""
        return self.gate.open and not self._parked()

    @property
    def control_seq(self) -> int:
        """Of the control state in force."""
        return self._control.seq

    @property
    def target(self) -> Target:
        """With the code of the job that is in force."""
        return self.request.target.running(self._control.code)

    @property
    def share(self) -> Share:
        """What this shard may use per second, rounds and isolated records together."""
        return self._control.share

    def _parked(self) -> bool:
        return self._parked_at == self._control.seq

    async def _one_round(self) -> None:
        if self._wait:
            summary = f"{self._situation[1]} {self._wait:.0f} s"
            await self.gate.sleep(self._wait, summary)
            if not self.gate.open:
                return
        request = self.request
        state = self.state
        seconds = request.round_seconds
        if not state.rounds:
            seconds = first_round_seconds(request.index, seconds)
        work = RoundInput(
            target=self.target,
            source=request.source,
            cursor=state.cursor,
            handed_out=state.tally.scanned,
            unknown=state.unknown,
            deleting=state.deleting,
            deleting_in=state.deleting_in,
            doubt=state.timed_out,
            share=self._records.share_of_round(self.share),
            isolation=request.isolation,
            seconds=seconds,
            heartbeat_timeout=request.heartbeat_timeout,
        )
        self._round = workflow.start_activity(
            "reindex_round",
            work,
            task_queue=request.rounds_queue,
            result_type=RoundResult,
            summary=f"round {state.rounds + 1} after {state.tally.scanned:,} records",
            **round_options(seconds, request.heartbeat_timeout),
        )
        try:
            result = await self._round
        except ActivityError as error:
            self._round = None
            self._lost(error)
        else:
            self._round = None
            self._fold(result.progress)
            self._ended(result)

    # ── The end of a round ─────────────────────────────────────────────────────────────────────────────────

    def _ended(self, result: RoundResult) -> None:
        """What a round that came back says about the next one."""
        self._lost_rounds = 0
        moved = result.progress.tally.scanned > 0
        if result.stop is Stop.DONE:
            self.state = self.state.model_copy(
                update={"done": True, "unknown": [], "deleting": [], "deleting_in": []}
            )
        if result.stop in _WAITING:
            self._wait = FIRST_WAIT if moved else min(LONGEST_WAIT, max(FIRST_WAIT, 2 * self._wait))
            reason = _WAITING[result.stop] + (f" ({result.throttle})" if result.throttle else "")
            self._situation = ("throttled", reason, result.throttle)
        elif result.stop is Stop.FAULT and result.fault:
            self.park(in_plain_words(result.fault))
        elif result.stop is not Stop.TOLD:
            self._wait = 0.0
            self._situation = ("running", "", None)

    def _lost(self, error: ActivityError) -> None:
        """A round without a result: fold what its last heartbeat told, if it told anything."""
        cause = error.cause
        if isinstance(cause, ActivityTimeout):
            self.state = self.state.model_copy(update={"timed_out": True})
            if cause.last_heartbeat_details:
                try:
                    self._fold(Progress.model_validate(cause.last_heartbeat_details[0]))
                except ValidationError as invalid:
                    workflow.logger.warning("a heartbeat could not be read: %s", invalid)
        if self.gate.open and not isinstance(cause, CancelledError):
            self._lost_rounds += 1
            if self._lost_rounds >= MOST_LOST_ROUNDS:
                self._lost_rounds = 0
                self.park(f"{self.request.index}: {MOST_LOST_ROUNDS} rounds in a row were lost: {cause}")

    def _fold(self, progress: Progress) -> None:
        """Add one round to the shard: counts add up, the cursor and the unknown keys are replaced."""
        state = self.state
        self.state = state.model_copy(
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

    # ── What goes up ───────────────────────────────────────────────────────────────────────────────────────

    async def _report(self) -> None:
        """Tell the root, on a change of state or when its interval is over; the end is told by the result."""
        state, reason, scope = self._situation
        now = workflow.now().timestamp()
        told = (state, reason, self._control.seq)
        parent = workflow.info().parent
        if self._finished() or parent is None:
            return
        if told == self._told and now - self._told_at < self._control.report_every:
            return
        self._seq += 1
        self._told, self._told_at = told, now
        report = ShardReport(
            index=self.request.index,
            seq=self._seq,
            state=state,
            reason=reason,
            scope=scope,
            acknowledged=self._control.seq,
            # Thousands of partitions every two seconds would fill the root's history; the result carries them.
            progress=self.state.model_copy(update={"partitions": {}}),
        )
        root = workflow.get_external_workflow_handle(parent.workflow_id)
        try:
            await root.signal("shard_report", report)
        except Exception as error:
            # A root that is gone is being closed, and its children with it.
            workflow.logger.info("the root did not take a report: %s", error)
