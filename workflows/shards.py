"""The shards of a job as the root sees them: starting, steering, folding what they report."""

from __future__ import annotations

import asyncio

from temporalio import workflow
from temporalio.exceptions import ActivityError, ChildWorkflowError, TemporalError, WorkflowAlreadyStartedError
from temporalio.workflow import ChildWorkflowCancellationType, ParentClosePolicy

from workflows.by_partition import named
from workflows.options import ASKING
from workflows.reindex_shard import ReindexShard
from workflows.running_job import RunningJob
from workflows.shares import Grant, limited, opening, redistribute
from workflows.slot import Shard

with workflow.unsafe.imports_passed_through():
    from reindexer.models import (
        Control,
        EndedShard,
        Plan,
        ShardInput,
        ShardReport,
        ShardState,
        Share,
        Source,
    )
    from reindexer.tally import Attempts, Tally, total

#: Reports a job may receive in all: 4 events each, well below the 10,000 signals and 51,200 events of a run.
_REPORTS = 4000
#: After each so many reports the interval doubles, so that eight times as many carry a job for days.
_REPORTS_PER_INTERVAL = _REPORTS // 8
_FIRST_INTERVAL = 2.0  # seconds; what a person watching bears


class Shards:
    """All shards of a job. The driving task is `run`; reports and control change only fields."""

    def __init__(self, job: RunningJob) -> None:
        self._job = job
        self.all: list[Shard] = []
        self._reports = 0
        self._waiting = 0  # shards still to begin

    # ── Totals ─────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def tally(self) -> Tally:
        return total(Tally, (shard.state.tally for shard in self.all))

    @property
    def attempts(self) -> Attempts:
        return total(Attempts, (shard.state.attempts for shard in self.all))

    @property
    def isolated(self) -> int:
        return sum(len(shard.state.isolated) for shard in self.all)

    @property
    def open(self) -> list[Shard]:
        return [shard for shard in self.all if shard.open]

    @property
    def _slots(self) -> int:
        """Shards that work at the same time, those still to begin included."""
        active = sum(shard.active for shard in self.all)
        return min(self._job.limits.shards_in_flight, active + self._waiting)

    @property
    def quiet(self) -> bool:
        """Whether every open shard has acknowledged the control state in force and runs no attempt."""
        seq = self._job.control_seq
        return all(s.acknowledged >= seq and s.situation in ("paused", "parked") for s in self.open)

    # ── Driving ────────────────────────────────────────────────────────────────────────────────────────────

    async def run(self, plan: Plan, sources: list[Source]) -> None:
        """Carry the sources to their end, a bounded number at a time; returns early when stopping."""
        first = len(self.all)
        mine = [Shard.of(first + number, source) for number, source in enumerate(sources)]
        self.all += mine
        waiting = list(mine)
        tasks: set[asyncio.Task[None]] = set()
        gate = self._job.gate
        while (waiting or tasks) and not (gate.stopping and not tasks):
            room = self._job.limits.shards_in_flight - len(tasks) if gate.open else 0
            starting, waiting = waiting[: max(0, room)], waiting[max(0, room) :]
            self._waiting = len(waiting)
            for shard in starting:
                shard.active = True
            tasks |= {asyncio.ensure_future(self._one(plan, shard)) for shard in starting}
            running = set(tasks)
            before = (gate.open, self._job.limits.shards_in_flight)
            await workflow.wait_condition(
                lambda running=running, before=before: (  # type: ignore[misc]
                    any(task.done() for task in running)
                    or before != (gate.open, self._job.limits.shards_in_flight)
                )
            )
            for task in [task for task in tasks if task.done()]:
                tasks.remove(task)
                task.result()
            waiting += [s for s in mine if s.situation == "lost" and s not in waiting and not s.open]
            self._waiting = len(waiting)
            self.share_out()

    async def _one(self, plan: Plan, shard: Shard) -> None:
        """One child from start to end. A child that was ended by somebody parks the job."""
        try:
            handle = shard.handle = await self._start(plan, shard)
        except WorkflowAlreadyStartedError as error:
            self._ended_badly(shard, f"its workflow id is taken: {error}")
            return
        shard.open = True
        if self._job.gate.stopping:
            handle.cancel()
        try:
            state = await handle
        except ChildWorkflowError as error:
            await _recall(shard)
            # Its last attempt may write on for a heartbeat timeout. Jobs begun before did not reckon with that.
            if workflow.patched("ended-shard-in-doubt"):
                shard.state = shard.state.model_copy(update={"timed_out": True})
            self._ended_badly(shard, str(error.cause or error))
            return
        finally:
            shard.open = shard.active = False
        shard.close(state)
        self._job.noticed()

    async def _start(self, plan: Plan, shard: Shard) -> workflow.ChildWorkflowHandle[ReindexShard, ShardState]:
        """Its child, from where the shard stands, with the control state in force."""
        shard.starts += 1
        shard.began_at = workflow.now().timestamp()
        shard.situation, shard.reason = "running", ""
        held = [other.grant.share for other in self.all if other.active and other is not shard]
        shard.grant = Grant(opening(self._job.limits, self._slots, held))
        control = self._control(shard)
        shard.sent = control.seq
        info = workflow.info()
        request = ShardInput(
            job=info.workflow_id,
            run=plan.run,
            index=shard.index,
            target=plan.target,
            source=shard.source,
            isolation=plan.isolation,
            heartbeat_timeout=plan.heartbeat_timeout,
            control=control,
            state=shard.state,
            seq=shard.seq,
            rounds_queue=plan.rounds_queue,
            records_queue=plan.records_queue,
            round_seconds=plan.round_seconds,
            continue_after=plan.continue_after,
        )
        return await workflow.start_child_workflow(
            ReindexShard.run,
            request,
            id=f"{info.workflow_id}/{plan.run}/{shard.name()}",
            # The root waits for each child's own account of where it stands, also on cancel.
            cancellation_type=ChildWorkflowCancellationType.WAIT_CANCELLATION_COMPLETED,
            parent_close_policy=ParentClosePolicy.TERMINATE,
            static_summary=shard.summary(len(self.all)),
        )

    def _ended_badly(self, shard: Shard, why: str) -> None:
        shard.lost(why)
        if not self._job.gate.stopping:
            self._job.park(f"shard {shard.index} ended: {why}; resume starts it again from its last report")

    def cancel(self) -> None:
        """Ask every open shard to hand back where it stands."""
        for shard in self.open:
            if shard.handle is not None:
                shard.handle.cancel()

    # ── Steering and listening ─────────────────────────────────────────────────────────────────────────────

    def _control(self, shard: Shard) -> Control:
        """The whole desired state, for one shard."""
        return Control(
            seq=self._job.control_seq,
            paused=self._job.gate.paused,
            share=shard.grant.share,
            code=self._job.code,
            report_every=self.report_every,
        )

    async def reconcile(self) -> None:
        """Send the whole desired state to every open shard that does not have it yet, for ever."""
        while True:
            await workflow.wait_condition(lambda: any(s.sent < self._job.control_seq for s in self.open))
            behind = [shard for shard in self.open if shard.sent < self._job.control_seq]
            await asyncio.gather(*(self._send(s) for s in behind))

    async def _send(self, shard: Shard) -> None:
        """Send the control state in force. A shard that has just finished is no error."""
        control = self._control(shard)
        shard.sent = control.seq
        if shard.handle is None:
            return
        try:
            await shard.handle.signal(ReindexShard.control, control)
        except TemporalError as error:
            workflow.logger.info("shard %d did not take a control state: %s", shard.index, error)

    def take(self, report: ShardReport) -> None:
        """Replace what is known of a shard, unless newer is known."""
        if report.index >= len(self.all):
            return
        shard = self.all[report.index]
        if report.seq <= shard.seq or not shard.open:
            return
        self._reports += 1
        shard.take(report, workflow.now().timestamp(), measured=limited(self._job.limits))

    @property
    def report_every(self) -> float:
        """Seconds between two reports of a shard, stretched so that a whole job's fit its bound."""
        return _FIRST_INTERVAL * float(2 ** (self._reports // _REPORTS_PER_INTERVAL))

    def reopen(self) -> None:
        """Equal shares of changed limits for all open shards; what they use decides from there."""
        held: list[Share] = []
        for shard in self.open:
            shard.grant = Grant(opening(self._job.limits, self._slots, held))
            held.append(shard.grant.share)

    def share_out(self) -> None:
        """Share the budgets anew among the open shards, where it is worth telling."""
        if not limited(self._job.limits):
            return
        shards = {shard.index: shard for shard in self.open}
        grants = {index: shard.grant for index, shard in shards.items()}
        changed = redistribute(self._job.limits, grants, self._slots)
        for index, share in changed.items():
            shards[index].grant = Grant(share)
        if changed:
            self._job.changed()


async def _recall(shard: Shard) -> None:
    """Take over what a shard that was ended had come to, where its reports do not say so by partition.

    If it cannot be asked, its last report stands, and the totals of its partitions are not known.
    """
    if not named(shard.source) or shard.handle is None:
        return
    asked = EndedShard(workflow_id=shard.handle.id)
    try:
        shard.state = await workflow.execute_activity("last_state", asked, result_type=ShardState, **ASKING)
    except ActivityError as error:
        workflow.logger.warning("shard %d cannot be asked any more: %s", shard.index, error.cause or error)
