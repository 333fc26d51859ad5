"""ReindexShard: one shard, carried forward in rounds until every record of it has its outcome."""

from __future__ import annotations

from typing import Any

from temporalio import workflow

from workflows.controls import run_shielded
from workflows.options import MOST_PENDING_RECORDS
from workflows.records import Records
from workflows.rounds import Rounds
from workflows.running_shard import RUNNING, RunningShard, Situation

with workflow.unsafe.imports_passed_through():
    from pydantic import ValidationError

    from reindexer.models import Control, ShardInput, ShardReport, ShardState


@workflow.defn(name="ReindexShard")
class ReindexShard:
    """Rounds one after another, isolated records beside them, reports to the root."""

    @workflow.init
    def __init__(self, request: ShardInput) -> None:
        self._shard = RunningShard(request)
        self._records = Records(self._shard)
        self._rounds = Rounds(self._shard, self._records)
        for interrupt in (self._rounds.interrupt, self._records.interrupt):  # in this order in old histories
            self._shard.when_interrupted(interrupt)
        self._seq = request.seq  # of the last report
        self._told = ("", "", -1)  # (state, reason, control seq) of it
        self._told_at = workflow.now().timestamp()

    # ── What comes in ──────────────────────────────────────────────────────────────────────────────────────

    @workflow.signal
    def control(self, *args: Any) -> None:
        """The root's desired state, whole. An older one, or one that cannot be read, is ignored."""
        try:
            self._shard.take(Control.model_validate(args[0] if args else None))
        except ValidationError as error:
            workflow.logger.warning("ignored a control signal: %s", error)

    @workflow.query(name="state")
    def where_it_stands(self, *args: Any) -> ShardState:  # noqa: ARG002 – anything may come with a query
        """All that is folded so far; asked when somebody has ended it, from its history."""
        return self._shard.state

    # ── Driving ────────────────────────────────────────────────────────────────────────────────────────────

    @workflow.run
    async def run(self, request: ShardInput) -> ShardState:  # noqa: ARG002 – taken by __init__
        """Returns the shard's state, partial if it was cancelled; failures of records never raise."""
        shard = self._shard
        again = await run_shielded(self._drive(), shard.gate)
        if again:
            await workflow.wait_condition(workflow.all_handlers_finished)
            workflow.continue_as_new(
                shard.request.model_copy(
                    update={"state": shard.state, "control": shard.control, "seq": self._seq}
                )
            )
        return shard.state

    async def _drive(self) -> bool:
        """True: continue as new."""
        shard = self._shard
        while not shard.gate.stopping and not shard.finished:
            if not shard.may_work:
                await self._stand_still()
                continue
            self._records.start()
            if self._history_is_long():
                await self._records.finish_open()
                return not shard.finished and not shard.gate.stopping
            if shard.state.done or len(shard.state.isolated) >= MOST_PENDING_RECORDS:
                await self._records.wait_for_one()
            else:
                await self._rounds.one()
            await self._report()
        await self._records.finish_open()
        return False

    def _history_is_long(self) -> bool:
        info = workflow.info()
        most = self._shard.request.continue_after
        return info.is_continue_as_new_suggested() or bool(most and info.get_current_history_length() > most)

    async def _stand_still(self) -> None:
        """Paused or parked: no attempt runs, the root knows it, and a newer control state ends it."""
        shard = self._shard
        await self._records.finish_open()
        seq = shard.control.seq
        shard.situation = Situation("parked", shard.situation.reason) if shard.parked else Situation("paused")
        await self._report()
        await workflow.wait_condition(lambda: shard.gate.stopping or shard.control.seq != seq or shard.may_work)
        if not shard.gate.paused and not shard.parked:
            shard.situation = RUNNING
            self._rounds.at_once()

    # ── What goes up ───────────────────────────────────────────────────────────────────────────────────────

    async def _report(self) -> None:
        """Tell the root, on a change of state or when its interval is over; the end is told by the result."""
        shard = self._shard
        state, reason, scope = shard.situation
        now = workflow.now().timestamp()
        told = (state, reason, shard.control.seq)
        parent = workflow.info().parent
        if shard.finished or parent is None:
            return
        if told == self._told and now - self._told_at < shard.control.report_every:
            return
        self._seq += 1
        self._told, self._told_at = told, now
        report = ShardReport(
            index=shard.request.index,
            seq=self._seq,
            state=state,
            reason=reason,
            scope=scope,
            acknowledged=shard.control.seq,
            # Thousands of partitions every two seconds would fill the root's history; the result carries them.
            progress=shard.state.model_copy(update={"partitions": {}}),
        )
        root = workflow.get_external_workflow_handle(parent.workflow_id)
        try:
            await root.signal("shard_report", report)
        except Exception as error:
            # A root that is gone is being closed, and its children with it.
            workflow.logger.info("the root did not take a report: %s", error)
