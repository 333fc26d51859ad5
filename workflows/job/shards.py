"""The shards of a job as the root sees them: starting, steering, folding what they hand back."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from temporalio import workflow
from temporalio.exceptions import ActivityError, ChildWorkflowError, TemporalError, WorkflowAlreadyStartedError
from temporalio.workflow import ChildWorkflowCancellationType, ParentClosePolicy

from workflows.job.lock import lock_of
from workflows.job.running_job import RunningJob
from workflows.job.shares import Grant, limited, opening, redistribute
from workflows.job.slot import STILL, Shard
from workflows.options import ASKING
from workflows.reindex_shard import ReindexShard

with workflow.unsafe.imports_passed_through():
    from reindexer.models import (
        Control,
        EndedShard,
        HandBack,
        Isolated,
        Kept,
        Looked,
        ShardInput,
        ShardReport,
        ShardState,
        ShardSummary,
        Share,
    )
    from reindexer.tally import Attempts, Tally

#: Bytes of inputs started in one workflow task: with 4 MB the server terminates the root, a quarter is safe.
_BYTES_PER_TASK = 1_000_000
#: Seconds between tries to start a shard whose id is taken, half a minute in all: a shard hands back in two.
_UNTIL_ALONE = (1, 2, 4, 8, 16)
#: Newest quarantined records kept for the `failures` query, and their bytes; the ledger has all.
_MAX_NEWEST, _NEWEST_BYTES = 50, 65_536


class _Gone(Exception):
    """A child that is closed, and whose end the root does not receive."""


class Shards:
    """All shards of a job. The driving task is `run`; what comes in changes only fields."""

    def __init__(self, job: RunningJob) -> None:
        self._job = job
        self.all: list[Shard] = []
        self.newest: list[Isolated] = []
        self._waiting = 0  # shards still to begin

    # ── Totals ─────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def changing(self) -> list[Shard]:
        """Those that change records; the others verify."""
        return [shard for shard in self.all if not shard.reads_only]

    @property
    def tally(self) -> Tally:
        return Tally.total(shard.counts.tally for shard in self.changing)

    @property
    def attempts(self) -> Attempts:
        return Attempts.total(shard.counts.attempts for shard in self.changing)

    @property
    def quarantined(self) -> int:
        """Records given up, as far as shards have said."""
        return sum(sum(shard.summary.failures.values()) for shard in self.all)

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
        """Whether every open shard has acknowledged the pause in force and runs no attempt."""
        since = self._job.paused_since
        return all(s.acknowledged >= since and s.situation in STILL for s in self.open)

    # ── Driving ────────────────────────────────────────────────────────────────────────────────────────────

    async def run(self, mine: list[Shard]) -> None:
        """Carry these to their end, a bounded number at a time; returns early when leaving, all handed back."""
        job = self._job
        waiting = [shard for shard in mine if not shard.done]
        tasks: dict[asyncio.Task[None], Shard] = {}
        while (waiting and not job.leaving) or tasks:
            batch = self._next(waiting, tasks)
            self._waiting = len(waiting)
            for shard in batch:
                shard.active = True
                tasks[asyncio.ensure_future(self._one(shard))] = shard
            before = job.leaving, job.gate.open, job.limits.shards_in_flight
            starting = [shard for shard in tasks.values() if not shard.open]
            await workflow.wait_condition(
                lambda starting=starting, before=before: (  # type: ignore[misc]
                    any(task.done() for task in tasks)
                    or any(shard.open for shard in starting)
                    or before != (job.leaving, job.gate.open, job.limits.shards_in_flight)
                )
            )
            for task in [task for task in tasks if task.done()]:
                shard = tasks.pop(task)
                task.result()
                if not shard.done:
                    waiting.append(shard)
        self._waiting = 0

    def _next(self, waiting: list[Shard], tasks: dict[asyncio.Task[None], Shard]) -> list[Shard]:
        """Shards to start in this workflow task, taken off `waiting`; those started before must have begun."""
        job = self._job
        if job.leaving or not job.gate.open or any(not shard.open for shard in tasks.values()):
            return []
        return self._batch(waiting, job.limits.shards_in_flight - len(tasks))

    def _batch(self, waiting: list[Shard], room: int) -> list[Shard]:
        """As many off `waiting` as one workflow task may start."""
        left, batch = _BYTES_PER_TASK, list[Shard]()
        while waiting and len(batch) < room:
            left -= len(self._input(waiting[0]).model_dump_json().encode())
            if left < 0 and batch:
                break
            batch.append(waiting.pop(0))
        return batch

    async def settle(self) -> None:
        """The last look of shards that do not run as the job is cancelled: handed back for a new run of the
        root, or ended by someone. Asked to stop, each takes that look and nothing else."""
        waiting = [shard for shard in self.all if shard.unsettled]
        while waiting:
            batch = self._batch(waiting, self._job.limits.shards_in_flight)
            await asyncio.gather(*(self._one(shard) for shard in batch))

    async def _one(self, shard: Shard) -> None:
        """One child from start to end. A child that was ended by someone parks the job."""
        try:
            shard.handle = await self._start_alone(shard)
            shard.open = True
            end = await self._end_of(shard)
        except WorkflowAlreadyStartedError as error:
            self._ended_badly(shard, f"its workflow id is taken: {error}")
        except (ChildWorkflowError, _Gone) as error:
            await self._recall(shard)
            self._ended_badly(shard, str(error.__cause__ or error))
        else:
            self._keep_newest(shard.close(end))
            if end.how == "cancelled" and not self._job.gate.stopping:
                self._ended_badly(shard, "cancelled by somebody")
        finally:
            shard.open = shard.active = False
            self._job.noticed()

    async def _end_of(self, shard: Shard) -> HandBack:
        """What its child hands back. Raises `_Gone` where the child is closed and its end never comes in.

        A reset drops the ends of children that closed together with the run that was reset, as those of a
        terminated job do.
        """
        handle = shard.handle
        assert handle is not None, "it has begun"
        await workflow.wait_condition(lambda: handle.done() or shard.gone)
        if not handle.done():
            raise _Gone("it was closed before this workflow was reset")
        return await handle

    async def _recall(self, shard: Shard) -> None:
        """Take over what a shard had come to that someone ended.

        Its last attempt may write on for a heartbeat timeout, and what that does shows only by the stamps:
        until the shard has gone on, its counts are lower bounds.
        """
        assert shard.handle is not None, "it has run"
        number = shard.hand_backs + 1
        place = Kept(job=self._job.job_id, run=self._job.known_plan.run, index=shard.index, number=number)
        asked = EndedShard(workflow_id=shard.handle.id, kept=place)
        try:
            end = await workflow.execute_activity("last_state", asked, result_type=HandBack, **ASKING)
        except ActivityError as error:
            workflow.logger.warning("shard %d cannot be asked: %s", shard.index, error.cause or error)
            self._doubt(shard)
        else:
            self._keep_newest(shard.close(end))
        shard.lost = True

    async def _start_alone(self, shard: Shard) -> workflow.ChildWorkflowHandle[ReindexShard, HandBack]:
        """As `_start`. A child of that id may run still: its root was reset, and it does not know this run.

        It is cancelled, and hands back to no one: what it changed is found by the stamps, not what it deleted.
        """
        for seconds in _UNTIL_ALONE:
            try:
                return await self._start(shard)
            except WorkflowAlreadyStartedError:
                if self._job.leaving or not workflow.patched("cancel-orphaned-shards"):
                    raise
                self._doubt(shard)
                with suppress(TemporalError):  # it has just ended
                    await workflow.get_external_workflow_handle(self._id(shard)).cancel()
                await workflow.sleep(seconds)
        return await self._start(shard)

    def _id(self, shard: Shard) -> str:
        return f"{self._job.job_id}/{self._job.known_plan.run}/{shard.name()}"

    def _doubt(self, shard: Shard) -> None:
        """It has done what is in no account of it."""
        shard.summary = shard.summary.model_copy(update={"doubt": True})
        shard.state = (shard.state or ShardState()).model_copy(update={"timed_out": True})

    async def _start(self, shard: Shard) -> workflow.ChildWorkflowHandle[ReindexShard, HandBack]:
        """Its child, from the state of the shard, with the control state in force."""
        shard.seen_at, shard.seen_closed, shard.gone = workflow.now().timestamp(), 0.0, False
        shard.situation, shard.reason, shard.acknowledged = "running", "", -1
        held = [other.grant.share for other in self.all if other.active and other is not shard]
        shard.grant = Grant(opening(self._job.limits, self._slots, held))
        shard.sent = shard.wanted = self._job.control_seq
        # An id is used once for every start after the first that someone ended; a cycle keeps it.
        return await workflow.start_child_workflow(
            ReindexShard.run,
            self._input(shard),
            id=self._id(shard),
            # The root waits for each child's own account of its state, also on cancel.
            cancellation_type=ChildWorkflowCancellationType.WAIT_CANCELLATION_COMPLETED,
            parent_close_policy=ParentClosePolicy.TERMINATE,
            static_summary=shard.static_summary(len(self.all)),
        )

    def _input(self, shard: Shard) -> ShardInput:
        plan = self._job.known_plan
        return ShardInput(
            job=self._job.job_id,
            run=plan.run,
            index=shard.index,
            target=plan.target,
            source=shard.source,
            verifying=shard.reads_only,
            lock=None if shard.reads_only else lock_of(self._job),
            keep_behind=shard.phase == "verifying" and self._job.sweeps,
            isolation=plan.isolation,
            heartbeat_timeout=plan.heartbeat_timeout,
            control=self._control(shard),
            cycle=self._job.cycle,
            state=shard.state or ShardState(),
            kept=shard.kept,
            summary=ShardSummary() if shard.kept is None else shard.summary,
            hand_backs=shard.hand_backs,
            rounds_queue=plan.rounds_queue,
            records_queue=plan.records_queue,
            round_seconds=plan.round_seconds,
            continue_after=plan.continue_after,
        )

    def _ended_badly(self, shard: Shard, why: str) -> None:
        shard.ended_by_somebody(why)
        if not self._job.gate.stopping:
            self._job.park(f"shard {shard.index} ended: {why[:300]}; resume starts it again")

    # ── Steering and listening ─────────────────────────────────────────────────────────────────────────────

    def _control(self, shard: Shard) -> Control:
        """The whole desired state, for one shard."""
        job = self._job
        return Control(
            seq=job.control_seq,
            paused=job.gate.paused,
            paused_since=job.paused_since,
            stop=job.gate.stopping,
            cycle=job.cycle + job.cycling,
            share=shard.grant.share,
            code=job.code,
            # A quarter over the limit at most, however many shards give records up at the same time.
            quarantine_step=max(1, job.limits.quarantined // (4 * job.limits.shards_in_flight)),
        )

    async def reconcile(self) -> None:
        """Send the whole desired state to every open shard that must have it and does not yet, for ever."""
        while True:
            await workflow.wait_condition(lambda: any(s.sent < s.wanted for s in self.open))
            await asyncio.gather(*(self._send(s) for s in self.open if s.sent < s.wanted))

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

    def want_all(self) -> None:
        """The desired state has changed for every shard."""
        for shard in self.all:
            if shard.active:
                shard.wanted = self._job.control_seq
                if not self._job.gate.paused and shard.situation in STILL:
                    shard.situation, shard.reason, shard.acknowledged = "running", "", -1

    def take(self, report: ShardReport) -> None:
        """A shard signalled."""
        if report.index < len(self.all) and self.all[report.index].open:
            self._keep_newest(self.all[report.index].tell(report))

    def see(self, looked: Looked) -> None:
        """All open shards were looked at."""
        now = workflow.now().timestamp()
        for index, seen in looked.shards.items():
            if index < len(self.all) and self.all[index].open:
                self.all[index].see(seen, now, measured=limited(self._job.limits))
        for index in looked.ended:
            if index < len(self.all) and self.all[index].open:
                self.all[index].see_closed(now)

    def _keep_newest(self, records: list[Isolated]) -> None:
        kept = (self.newest + records)[-_MAX_NEWEST:]
        while kept and sum(len(record.model_dump_json()) for record in kept) > _NEWEST_BYTES:
            kept.pop(0)
        self.newest = kept

    def reopen(self) -> None:
        """Equal shares of changed limits for all open shards; what they use decides from there."""
        held: list[Share] = []
        for shard in self.open:
            shard.grant = Grant(opening(self._job.limits, self._slots, held))
            held.append(shard.grant.share)

    def share_out(self) -> None:
        """Share the budgets among the open shards. Only those whose share changes much are sent anything."""
        if not limited(self._job.limits) or self._job.leaving:
            return
        shards = {shard.index: shard for shard in self.open}
        grants = {index: shard.grant for index, shard in shards.items()}
        changed = redistribute(self._job.limits, grants, self._slots)
        if changed:
            self._job.control_seq += 1
        for index, share in changed.items():
            shards[index].grant, shards[index].wanted = Grant(share), self._job.control_seq
