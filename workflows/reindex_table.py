"""ReindexTable: the job. Plan, fan out, verify, report."""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

from workflows.controls import run_shielded
from workflows.job.arrival import require_follow
from workflows.job.closing import close, note_progress, note_start
from workflows.job.cycle import HandingOver, too_large
from workflows.job.dry_run import dry_run
from workflows.job.failure_budget import exhausted, note_given_up
from workflows.job.following import FollowingPhases
from workflows.job.incomplete import reasons
from workflows.job.index import prepare_index
from workflows.job.lock import give_back, lock_of, take_lock
from workflows.job.looking import Looking
from workflows.job.partition_totals import as_result
from workflows.job.pausing import pause, resume_later
from workflows.job.payloads import code_in, limits_of, reason_in, rescan_in, wrong_with_resume
from workflows.job.phases import Phases
from workflows.job.planning import make_plan, plainly
from workflows.job.progress import ProgressView
from workflows.job.replica import prepare_replica
from workflows.job.report import JobReport
from workflows.job.rescan import begin_again, why_no_rescan
from workflows.job.run_input import carried_over, validated
from workflows.job.running_job import RunningJob
from workflows.job.shard import Shard
from workflows.job.shards import Shards

with workflow.unsafe.imports_passed_through():
    from pydantic import ValidationError

    from reindexer.explain import explain
    from reindexer.models import (
        FollowInput,
        JobInput,
        JobProgress,
        Limits,
        Looked,
        Report,
        ShardReport,
    )


@workflow.defn(name="ReindexTable")
class ReindexTable:
    """One job over one table, in a chain of runs. Handlers set the desired state; `_drive` does the work."""

    input_type: ClassVar[type[JobInput]] = JobInput

    @workflow.init
    def __init__(self, *args: Any) -> None:
        self._asked: JobInput | ApplicationError
        try:
            self._asked = validated(args, self.input_type)
            carried = carried_over(args)
        except ApplicationError as error:  # raised by `run`: here it would fail the workflow task for ever
            self._asked, carried = error, None
        limits = self._asked.limits if isinstance(self._asked, JobInput) else Limits()
        self._job = RunningJob(limits, carried)
        self._job.input = self._asked if isinstance(self._asked, JobInput) else None
        self._shards = Shards(self._job)
        if carried:
            for before in carried.shards:
                source = before.source or carried.plan.sources[before.index]
                self._shards.all.append(Shard.carried(before, source))
            self._shards.newest = list(carried.newest)
        self._job.when_changed = self._shards.want_all
        self._looking = Looking(self._job, self._shards)
        self._over = HandingOver(self._job, self._shards)
        self._view = ProgressView(
            self._job, self._shards, self._looking, carried.worked_seconds if carried else 0.0
        )

    # ── Control from outside ───────────────────────────────────────────────────────────────────────────────

    @workflow.signal
    def pause(self, *args: Any) -> None:
        """Always pauses, whatever comes with it. `for_seconds`: it resumes by itself then."""
        self._job.signals += 1
        pause(self._job, self._shards, args)

    @workflow.signal
    def resume(self, *args: Any) -> None:
        """Go on; noted and ignored while a budget is exhausted, or where what comes with it cannot be read."""
        self._job.signals += 1
        wrong = wrong_with_resume(args) or (why_no_rescan(self._job) if rescan_in(args) else "")
        if wrong:
            self._job.refuse_resume(wrong)
            return
        if why := exhausted(self._job, self._shards):
            self._job.note("resume refused", why)
            self._job.parked = why
            return
        self._job.resume(reason_in(args), code_in(args))
        if rescan_in(args):
            self._job.rescan(reason_in(args))

    @workflow.update
    def set_limits(self, *args: Any) -> dict[str, Any]:
        """Change any field of `limits`, within seconds and idempotently. Returns the limits in force."""
        self._job.updates += 1
        self._job.limit(*limits_of(args))
        self._shards.reopen()
        self._job.changed()
        return self._job.limits.model_dump()

    @set_limits.validator
    def _check_limits(self, *args: Any) -> None:
        try:
            change, _ = limits_of(args)
            self._job.with_limits(change)
        except ValidationError as error:
            raise ValueError(explain(error)) from None

    @workflow.update
    def rescan(self, *args: Any) -> dict[str, Any]:
        """Of a follow: scan the table again, into the same place. Returns whether it begins before a resume."""
        self._job.updates += 1
        self._job.rescan(reason_in(args))
        return {"begins": self._job.gate.open}

    @rescan.validator
    def _check_rescan(self, *args: Any) -> None:  # noqa: ARG002 – anything may come with an update
        if why := why_no_rescan(self._job):
            raise ValueError(why)

    @workflow.query
    def progress(self, *args: Any) -> JobProgress:
        """Where the job is. With what someone has just seen of its shards (`Looked`): as of then."""
        looked = None
        if args and isinstance(args[0], dict):
            try:
                looked = Looked.model_validate(args[0])
            except ValidationError:
                looked = None  # anything may come with a query
        return self._view.progress(looked)

    @workflow.query
    def failures(self, *args: Any) -> dict[str, Any]:
        """Quarantined records: counts by error class, and one page of the newest; the ledger has all."""
        asked = args[0] if args and isinstance(args[0], dict) else {}
        return self._view.failures(asked)

    @workflow.signal
    def shard_report(self, *args: Any) -> None:
        """A shard says what cannot wait until it is looked at."""
        self._job.signals += 1
        try:
            report = ShardReport.model_validate(args[0] if args else None)
        except ValidationError as error:
            workflow.logger.warning("ignored a shard report: %s", error)
            return
        self._shards.take(report)
        if report.situation.state == "parked" and not self._job.parked:
            self._job.park(report.situation.reason)
        self._job.noticed()

    # ── What follows from what came in ─────────────────────────────────────────────────────────────────────

    async def _look(self) -> None:
        """After each activation that changed something: the budget of quarantined records, what people see."""
        while True:
            await self._job.unseen()
            note_given_up(self._job, self._shards)
            why = exhausted(self._job, self._shards)
            if why and not self._job.parked and not self._job.gate.stopping:
                self._job.park(why)
            self._view.refresh()

    async def _stop(self) -> None:
        """Once the job is cancelled, have every shard hand back for good."""
        await workflow.wait_condition(lambda: self._job.gate.stopping)
        self._job.note("cancel", workflow.cancellation_reason())
        self._job.changed()

    # ── Driving ────────────────────────────────────────────────────────────────────────────────────────────

    @workflow.run
    async def run(self, *args: Any) -> dict[str, Any]:
        """As `run_job`."""
        return await self.run_job(args)

    async def run_job(self, args: tuple[Any, ...]) -> dict[str, Any]:
        """The report, if every record in scope is at the target; else `Incomplete`, with the report.

        A second argument comes from the run before, and from no one else.
        """
        if isinstance(self._asked, ApplicationError):
            raise self._asked
        job, asked = self._job, self._asked
        report = await run_shielded(self._drive(asked), job.gate)
        if report is None and workflow.cancellation_reason() is None:
            carried = self._over.carried(self._view.worked_seconds)
            # Given whole: what was upserted is lost with the run. Lists show the job's start by it.
            memo = {"started_at": job.started_at.isoformat()}
            workflow.continue_as_new(args=[args[0], carried], memo=memo)
        if report is None:  # cancelled at the last moment: every shard has handed back
            job.gate.stopping = True
            job.note("cancel", workflow.cancellation_reason())
            report = await run_shielded(self._close(asked), job.gate)
        if job.gate.stopping:
            raise asyncio.CancelledError
        if report.state != "complete":
            why = [*(report.not_found if asked.expect_found else []), *reasons(report, job.known_plan.verb)]
            raise ApplicationError("; ".join(why) or "not complete", as_result(report), type="Incomplete")
        return as_result(report)

    async def _drive(self, asked: JobInput) -> Report | None:
        """To the end of the job; None: to the end of this run."""
        job = self._job
        beside = [asyncio.ensure_future(task) for task in (self._look(), self._stop(), resume_later(job))]
        try:
            if job.plan is None:
                await self._begin(asked)
            beside += [
                asyncio.ensure_future(task)
                for task in (self._shards.reconcile(), self._looking.run(), self._over.watch())
            ]
            await self._work(asked)
            while job.cycling and not job.ending and not job.gate.stopping:
                if job.followed.rescan:
                    await begin_again(job, self._shards, asked)
                if await self._may_hand_over():
                    return None
                await self._work(asked)
            return await self._close(asked)
        except (Exception, asyncio.CancelledError):
            if job.plan is not None and (lock := lock_of(job)):
                await give_back(lock)
            raise
        finally:
            for task in beside:
                task.cancel()

    async def _begin(self, asked: JobInput) -> None:
        """Plan and lock; nothing is written before."""
        job = self._job
        plan = await make_plan(job, asked)
        if job.gate.stopping:
            raise asyncio.CancelledError
        job.planned(plan)
        await require_follow(job)
        lock = lock_of(job, take=asked.force_lock)
        if lock:
            await take_lock(job, lock)
            try:
                await note_start(job, JobReport(job, self._shards))
            except ActivityError as error:  # nothing was changed yet: the start fails, and says why
                raise plainly(error) from error
            await prepare_index(job)
            await prepare_replica(job)
        self._phases(asked).begin()
        self._view.announce()

    async def _work(self, asked: JobInput) -> None:
        """Every record, then what an independent read finds; or a dry run in place of both."""
        job = self._job
        if asked.dry_run and not job.known_plan.verb.compares:
            if await job.gate.wait_open():
                job.tried = await dry_run(job, job.known_plan, asked.scope)
            return
        await self._phases(asked).run()

    def _phases(self, asked: JobInput) -> Phases | FollowingPhases:
        phases = FollowingPhases if isinstance(asked, FollowInput) else Phases
        return phases(self._job, self._shards, asked)

    async def _may_hand_over(self) -> bool:
        """Every shard has handed back. Once more, whether all of it can travel, and no one has cancelled."""
        job = self._job
        await note_progress(job, JobReport(job, self._shards))
        await self._over.make_room()
        await workflow.wait_condition(workflow.all_handlers_finished)
        excess = too_large(self._over.carried(0.0))
        if excess:  # by the bounds of what is left it never is
            job.cycling = False
            job.park(f"this run cannot hand over: the next one's input would be {excess:,} bytes too large")
        return not excess and not job.gate.stopping

    async def _close(self, asked: JobInput) -> Report:
        """The report in the ledger, the lock given back."""
        job = self._job
        if job.gate.stopping:
            await self._shards.settle()
        job.phase = "closing"
        report = await close(job, self._shards, JobReport(job, self._shards), asked.scope)
        if lock := lock_of(job):
            await give_back(lock)
        job.phase = "done"
        self._view.close(report)
        return report
