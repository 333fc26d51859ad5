"""ReindexShard: one shard, carried forward in rounds until every record of it has its outcome."""

from __future__ import annotations

import asyncio
from typing import Any, Literal

from temporalio import workflow

from workflows.controls import run_shielded
from workflows.options import MAX_PENDING_RECORDS
from workflows.shard.handing_back import keep, load, look_ahead
from workflows.shard.records import Records
from workflows.shard.reporting import MEMO, Telling
from workflows.shard.rounds import Rounds
from workflows.shard.running_shard import RUNNING, RunningShard
from workflows.shard.steps import step_of

with workflow.unsafe.imports_passed_through():
    from pydantic import ValidationError

    from reindexer.models import Control, HandBack, ShardInput, ShardState, ShardSummary, Situation
    from reindexer.models.streams import Adopt


@workflow.defn(name="ReindexShard")
class ReindexShard:
    """Rounds one after another, isolated records beside them; the root is signalled only what cannot wait."""

    @workflow.init
    def __init__(self, request: ShardInput) -> None:
        self._shard = RunningShard(request)
        self._records = Records(self._shard)
        self._rounds = Rounds(self._shard, self._records, step_of(request))
        self._telling = Telling(self._shard)

    # ── What comes in ──────────────────────────────────────────────────────────────────────────────────────

    @workflow.signal
    def control(self, *args: Any) -> None:
        """The root's desired state, whole. An older one, or one that cannot be read, is ignored."""
        try:
            self._shard.take(Control.model_validate(args[0] if args else None))
        except ValidationError as error:
            workflow.logger.warning("ignored a control signal: %s", error)

    @workflow.signal
    def adopt(self, *args: Any) -> None:
        """Stream shards that are to be read besides. Those that are read already are no news."""
        try:
            self._shard.adopt(Adopt.model_validate(args[0] if args else None).shards)
        except ValidationError as error:
            workflow.logger.warning("ignored stream shards to adopt: %s", error)

    @workflow.query(name="state")
    def where_it_is(self, *args: Any) -> ShardState:  # noqa: ARG002 – anything may come with a query
        """All that is folded so far; asked when someone has ended it, from its history."""
        return self._shard.state

    # ── Driving ────────────────────────────────────────────────────────────────────────────────────────────

    @workflow.run
    async def run(self, request: ShardInput) -> HandBack:
        """The state of the shard at its end, partial where it was asked to hand back; never raises."""
        shard = self._shard
        end = await run_shielded(self._whole(), shard.gate)
        if isinstance(end, HandBack):
            return end
        await workflow.wait_condition(workflow.all_handlers_finished)
        control = shard.control.model_copy(update={"stop": shard.gate.stopping})
        request = end.model_copy(update={"control": control})
        return workflow.continue_as_new(request, memo={MEMO: self._telling.situation})

    async def _whole(self) -> HandBack | ShardInput:
        """What it hands back, or what its next run begins with."""
        shard = self._shard
        telling = asyncio.ensure_future(self._telling.run())
        await load(shard, self._telling)
        if not shard.loaded:
            telling.cancel()
            return self._as_it_came()
        self._telling.note()
        how = await self._drive()
        shard.take_adopted()
        # One that someone cancelled by itself is started again: its rounds meet what is beyond the cursor.
        settled = how == "cancelled" and shard.control.stop
        if settled and not await look_ahead(shard):
            shard.state = shard.state.model_copy(update={"timed_out": True})
        left = shard.state
        if shard.finished or settled:  # its counts are in the report, and it is not started again
            left = ShardState(partitions=left.partitions)
        state, kept = await keep(shard, self._telling, left)
        telling.cancel()
        number = shard.request.hand_backs + (kept is not None)
        if how == "again":
            known = ShardSummary() if kept is None else shard.state.summary
            update = {"state": state or ShardState(), "kept": kept, "summary": known, "hand_backs": number}
            return shard.request.model_copy(update=update)
        summary = shard.state.summary
        return HandBack(how=how, summary=summary, state=state, kept=kept, hand_backs=number, settled=settled)

    def _as_it_came(self) -> HandBack:
        """A state that could not be loaded stays in the ledger, and counts as its root knows it."""
        request, stopping = self._shard.request, self._shard.gate.stopping
        summary = request.summary.model_copy(update={"doubt": request.summary.doubt or stopping})
        how: Literal["cancelled", "yielded"] = "cancelled" if stopping else "yielded"
        return HandBack(how=how, summary=summary, kept=request.kept, hand_backs=request.hand_backs)

    async def _drive(self) -> Literal["done", "yielded", "cancelled", "again"]:
        """Until there is nothing left to do, or it is to hand back."""
        shard = self._shard
        again = False
        while not (shard.leaving or shard.finished or again):
            if not shard.may_work:
                await self._wait_to_go_on()
                continue
            self._records.start()
            again = self._history_is_long()
            if not again and (shard.state.done or len(shard.state.isolated) >= MAX_PENDING_RECORDS):
                await self._records.wait_for_one()
            elif not again:
                await self._rounds.one()
            self._telling.note()
        await self._records.finish_open()
        if shard.finished:
            return "done"
        if shard.leaving:
            return "cancelled" if shard.gate.stopping else "yielded"
        return "again"

    def _history_is_long(self) -> bool:
        info = workflow.info()
        most = self._shard.request.continue_after
        return info.is_continue_as_new_suggested() or bool(most and info.get_current_history_length() > most)

    async def _wait_to_go_on(self) -> None:
        """Paused or parked: no attempt runs, the root knows it, and a newer control state ends it."""
        shard = self._shard
        await self._records.finish_open()
        seq = shard.control.seq
        if not shard.parked:
            shard.situation = Situation(state="paused")
        self._telling.still()
        await workflow.wait_condition(lambda: shard.leaving or shard.control.seq != seq or shard.may_work)
        if shard.may_work:
            shard.situation = RUNNING
            self._rounds.skip_wait()
