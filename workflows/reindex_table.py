"""ReindexTable: the job. Plan, fan out, verify, report."""

from __future__ import annotations

import asyncio
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

from workflows.account import Account
from workflows.by_partition import as_result
from workflows.closing import close_redriven, keep_report
from workflows.controls import run_shielded
from workflows.dry_run import dry_run
from workflows.heard import code_in, limits_of, reason_in, wrong_with_resume
from workflows.lock import give_back, take_lock
from workflows.options import CONTROL
from workflows.planning import make_plan, plainly
from workflows.readers import Readers
from workflows.running_job import RunningJob
from workflows.shards import Shards
from workflows.verification import Verifier
from workflows.view import View

with workflow.unsafe.imports_passed_through():
    from pydantic import ValidationError

    from reindexer.explain import explain
    from reindexer.models import JobInput, Plan, Report, ShardReport


@workflow.defn(name="ReindexTable")
class ReindexTable:
    """One run over one table. Handlers set the desired state; `_drive` does the work."""

    def __init__(self) -> None:
        self._job = RunningJob()
        self._shards = Shards(self._job)
        self._readers = Readers(self._job)
        self._view = View(self._job, self._shards, self._readers)
        self._job.when_told(self._view.refresh)
        self._job.gate.when_stopped(self._stopped)

    # ── Control from outside ───────────────────────────────────────────────────────────────────────────────

    @workflow.signal
    def pause(self, *args: Any) -> None:
        """Always pauses, whatever comes with it."""
        self._job.pause(reason_in(args))

    @workflow.signal
    def resume(self, *args: Any) -> None:
        """Go on; noted and ignored while a budget is exhausted, or where what comes with it cannot be read."""
        wrong = wrong_with_resume(args)
        if wrong and workflow.patched("resume-is-read"):  # jobs that began before may have gone on with it
            self._job.refuse_resume(wrong)
            return
        exhausted = self._exhausted()
        if exhausted:
            self._job.note("resume refused", exhausted)
            self._job.parked = exhausted
            return
        self._job.resume(reason_in(args), code_in(args))

    @workflow.update
    def set_limits(self, *args: Any) -> dict[str, Any]:
        """Change any field of `limits`; takes effect within seconds. Returns the limits in force."""
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

    @workflow.query
    def progress(self, *args: Any) -> dict[str, Any]:  # noqa: ARG002 – anything may come with a query
        """Where the job stands."""
        return self._view.progress()

    @workflow.query
    def failures(self, *args: Any) -> dict[str, Any]:
        """Quarantined records: counts by error class, and one page of the newest; the ledger has all."""
        asked = args[0] if args and isinstance(args[0], dict) else {}
        return self._view.failures(asked)

    @workflow.signal
    def shard_report(self, *args: Any) -> None:
        """A shard tells where it stands."""
        try:
            report = ShardReport.model_validate(args[0] if args else None)
        except ValidationError as error:
            workflow.logger.warning("ignored a shard report: %s", error)
            return
        self._shards.take(report)
        if report.state == "parked" and not self._job.parked:
            self._job.park(report.reason)
        self._job.noticed()

    # ── What follows from what came in ─────────────────────────────────────────────────────────────────────

    async def _look(self) -> None:
        while True:
            await self._job.unseen()
            self._seen()

    def _seen(self) -> None:
        """Look at the budget of quarantined records, and tell."""
        self._job.seen()
        exhausted = self._exhausted()
        if exhausted and not self._job.parked:
            self._job.park(exhausted)
        self._job.tell()

    def _exhausted(self) -> str:
        given_up, most = self._shards.tally.quarantined, self._job.limits.quarantined
        if given_up <= most:
            return ""
        return (
            f"{given_up} records are quarantined, more than limits.quarantined = {most} "
            "allows; look at them with `failures`, then raise limits.quarantined with set_limits and resume"
        )

    def _stopped(self) -> None:
        self._job.note("cancel", workflow.cancellation_reason())
        self._shards.cancel()
        self._job.changed()

    # ── Driving ────────────────────────────────────────────────────────────────────────────────────────────

    @workflow.run
    async def run(self, *args: Any) -> dict[str, Any]:
        """The report, if every record in scope is at the target; else `Incomplete`, with the report."""
        gate = self._job.gate
        report = await run_shielded(self._drive(args), gate)
        if gate.stopping:
            raise asyncio.CancelledError
        if report.state != "complete":
            raise ApplicationError(_incomplete(report), as_result(report), type="Incomplete")
        return as_result(report)

    async def _drive(self, args: tuple[Any, ...]) -> Report:
        job, asked = self._job, _validated(args)
        job.limits = asked.limits
        plan = await make_plan(job, asked)
        job.planned(plan)
        if job.gate.stopping:
            raise asyncio.CancelledError
        lock = await take_lock(plan, take=asked.take_lock) if plan.target.writer != "none" else None
        account = Account(job, self._shards, plan)
        try:
            if lock:
                await _record_version(account)
            job.phase = "running"
            self._view.announce()
            beside = [asyncio.ensure_future(task) for task in (self._shards.reconcile(), self._look())]
            await self._work(plan, asked)
            await close_redriven(job, self._shards, plan, asked.scope)
            report = await keep_report(job, plan, account.report)
            for task in beside:
                task.cancel()
        finally:
            if lock:
                await give_back(lock)
        job.phase = "done"
        self._view.close(report)
        return report

    async def _work(self, plan: Plan, asked: JobInput) -> None:
        """Every record, then what an independent read finds; or a dry run in place of both."""
        job = self._job
        if plan.target.writer != "none":
            await self._shards.run(plan, list(plan.sources))
        if asked.dry_run:
            job.tried = await dry_run(job, plan, asked.scope)
        elif not job.gate.stopping:
            job.phase = "verifying"
            self._seen()
            verifier = Verifier(job, self._shards, self._readers, plan, asked)
            job.verification = await verifier.verify_and_sweep()


async def _record_version(account: Account) -> None:
    """Remember the target version before the first write."""
    try:
        await workflow.execute_activity("record_version", account.opening(), **CONTROL)
    except ActivityError as error:  # nothing was changed yet: the start fails, and says why
        raise plainly(error) from error


def _validated(args: tuple[Any, ...]) -> JobInput:
    if len(args) != 1:
        problem = "no input was given" if not args else f"{len(args)} inputs were given"
        raise ApplicationError(
            f'{problem}; exactly one is expected, for example {{"table": "cities"}}',
            type="BadInput",
            non_retryable=True,
        )
    try:
        return JobInput.model_validate(args[0])
    except ValidationError as error:
        raise ApplicationError(explain(error), type="BadInput", non_retryable=True) from None


def _incomplete(report: Report) -> str:
    """Why a job that ran to its end is not complete, in one sentence."""
    reasons = []
    if not report.balanced:
        reasons.append("outcomes and scanned records differ: a defect, please report it")
    if report.tally.superseded and report.operation["kind"] == "transform":
        reasons.append(f"{report.tally.superseded} records are past the target, and were not transformed")
    if report.tally.quarantined:
        reasons.append(f"{report.tally.quarantined} records are quarantined (see `failures`, then `redrive`)")
    if report.verification and report.verification.behind:
        reasons.append(f"{report.verification.behind} rows are behind the target")
    return "; ".join(reasons) or "not complete"
