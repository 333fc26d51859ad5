"""ReindexTable: the job. Plan, fan out, verify, report."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

from workflows.account import Account
from workflows.by_partition import as_result
from workflows.closing import close_redriven, keep_report
from workflows.controls import Gate, run_shielded
from workflows.dry_run import dry_run
from workflows.heard import code_in, limits_of, reason_in, wrong_with_resume
from workflows.options import CLOSING, CONTROL, LOCK
from workflows.planning import make_plan, plainly
from workflows.shards import Shards
from workflows.verification import Readers, verify_and_sweep
from workflows.view import View

with workflow.unsafe.imports_passed_through():
    from pydantic import ValidationError

    from reindexer.explain import explain
    from reindexer.models import (
        Control,
        ControlEvent,
        DryRun,
        JobInput,
        Limits,
        LockInput,
        Plan,
        Report,
        ShardReport,
        Verification,
    )


@workflow.defn(name="ReindexTable")
class ReindexTable:
    """One run over one table. Handlers set the desired state; `_drive` does the work."""

    def __init__(self) -> None:
        self.gate = Gate()
        self.plan: Plan | None = None
        self.job: JobInput | None = None
        self.limits = Limits()
        self._limits_changed: dict[str, Any] = {}
        self.phase = "planning"
        self.planned_on = ""  # the task queue of the job's own workers, where they plan it
        self.parked = ""  # why the job paused itself
        self.paused_for = ""  # why somebody paused it
        self.refused = ""  # what was wrong with the last resume
        self.verification: Verification | None = None
        self.tried: DryRun | None = None
        self.code: str | None = None  # of the job file, once other than planned was accepted
        self.controls: list[ControlEvent] = []
        self.control_seq = 0
        self.shards = Shards(self)
        self.readers = Readers()
        self.view = View(self)
        self.gate.when_stopped(self._stopped)
        self.warnings: list[str] = []
        self._unseen = False  # whether counts changed since they were last looked at
        self._in_flight: dict[int, Callable[[], object]] = {}
        self._interrupts = 0

    # ── Control from outside ───────────────────────────────────────────────────────────────────────────────

    @workflow.signal
    def pause(self, *args: Any) -> None:
        """Always pauses, whatever comes with it."""
        reason = reason_in(args)
        self._note("pause", reason)
        self.gate.paused, self.paused_for, self.refused = True, reason or "", ""
        self.changed()

    @workflow.signal
    def resume(self, *args: Any) -> None:
        """Go on; noted and ignored while a budget is exhausted, or where what comes with it cannot be read."""
        wrong = wrong_with_resume(args)
        if wrong and workflow.patched("resume-is-read"):  # jobs that began before may have gone on with it
            self._note("resume refused", wrong)
            self.refused = wrong
            self.view.refresh()
            return
        reason = reason_in(args)
        exhausted = self._exhausted()
        if exhausted:
            self._note("resume refused", exhausted)
            self.parked = exhausted
            return
        self.code = code_in(args) or self.code
        self._note("resume", reason)
        self.gate.paused, self.parked, self.paused_for, self.refused = False, "", "", ""
        self.changed()

    @workflow.update
    def set_limits(self, *args: Any) -> dict[str, Any]:
        """Change any field of `limits`; takes effect within seconds. Returns the limits in force."""
        change, reason = limits_of(args)
        self._limits_changed |= change
        self.limits = Limits.model_validate({**self.limits.model_dump(), **change})
        self.controls.append(ControlEvent(at=workflow.now(), what="set_limits", reason=reason, limits=change))
        self.shards.reopen()
        self.changed()
        return self.limits.model_dump()

    @set_limits.validator
    def _check_limits(self, *args: Any) -> None:
        try:
            change, _ = limits_of(args)
            Limits.model_validate({**self.limits.model_dump(), **change})
        except ValidationError as error:
            raise ValueError(explain(error)) from None

    @workflow.query
    def progress(self, *args: Any) -> dict[str, Any]:  # noqa: ARG002 – anything may come with a query
        """Where the job stands."""
        return self.view.progress()

    @workflow.query
    def failures(self, *args: Any) -> dict[str, Any]:
        """Quarantined records: counts by error class, and one page of the newest; the ledger has all."""
        asked = args[0] if args and isinstance(args[0], dict) else {}
        return self.view.failures(asked)

    @workflow.signal
    def shard_report(self, *args: Any) -> None:
        """A shard tells where it stands."""
        try:
            report = ShardReport.model_validate(args[0] if args else None)
        except ValidationError as error:
            workflow.logger.warning("ignored a shard report: %s", error)
            return
        self.shards.take(report)
        if report.state == "parked" and not self.parked:
            self.park(report.reason)
        self.noticed()

    # ── What the rooms of this workflow call ───────────────────────────────────────────────────────────────

    def changed(self) -> None:
        """The desired state changed: the reconcile loop sends it."""
        self.control_seq += 1
        for interrupt in list(self._in_flight.values()):
            interrupt()
        self.view.refresh()

    @property
    def busy(self) -> bool:
        """Whether an activity of the root itself is reading the table."""
        return bool(self._in_flight)

    def when_changed(self, interrupt: Callable[[], object]) -> Callable[[], None]:
        """Call `interrupt` on every change of the desired state, and on stop, until forgotten."""
        number = self._interrupts = self._interrupts + 1
        self._in_flight[number] = interrupt

        def forget() -> None:
            self._in_flight.pop(number, None)
            self.view.refresh()

        return forget

    def noticed(self) -> None:
        """Counts changed. Looked at once for all that came together: 400 shards may report at the same time."""
        self._unseen = True

    async def _look(self) -> None:
        while True:
            await workflow.wait_condition(lambda: self._unseen)
            self._seen()

    def _seen(self) -> None:
        """Look at the budget of quarantined records, and tell."""
        self._unseen = False
        exhausted = self._exhausted()
        if exhausted and not self.parked:
            self.park(exhausted)
        self.view.refresh()

    def park(self, reason: str) -> None:
        """Pause by itself, with the reason, ready to resume."""
        self.parked = reason
        self._note("parked", reason)
        self.gate.paused = True
        self.changed()

    def control_for(self, shard: Any) -> Control:
        """The whole desired state, for one shard."""
        return Control(
            seq=self.control_seq,
            paused=self.gate.paused,
            share=shard.grant.share,
            code=self.code,
            report_every=self.shards.report_every,
        )

    def _note(self, what: str, reason: str | None) -> None:
        self.controls.append(ControlEvent(at=workflow.now(), what=what, reason=reason))

    def _exhausted(self) -> str:
        given_up = self.shards.tally.quarantined
        if given_up <= self.limits.quarantined:
            return ""
        return (
            f"{given_up} records are quarantined, more than limits.quarantined = {self.limits.quarantined} "
            "allows; look at them with `failures`, then raise limits.quarantined with set_limits and resume"
        )

    def _stopped(self) -> None:
        self._note("cancel", workflow.cancellation_reason())
        self.shards.cancel()
        self.changed()

    # ── Driving ────────────────────────────────────────────────────────────────────────────────────────────

    @workflow.run
    async def run(self, *args: Any) -> dict[str, Any]:
        """The report, if every record in scope is at the target; else `Incomplete`, with the report."""
        report = await run_shielded(self._drive(args), self.gate)
        if self.gate.stopping:
            raise asyncio.CancelledError
        if report.state != "complete":
            raise ApplicationError(_incomplete(report), as_result(report), type="Incomplete")
        return as_result(report)

    async def _drive(self, args: tuple[Any, ...]) -> Report:
        self.job = _validated(args)
        self.limits = self.job.limits
        self.plan = plan = await make_plan(self, self.job)
        # What was changed while it was planned stays changed.
        self.limits = Limits.model_validate({**plan.limits.model_dump(), **self._limits_changed})
        if self.gate.stopping:
            raise asyncio.CancelledError
        lock = None
        if plan.target.writer != "none":
            lock = self._lock(plan)
            try:
                await workflow.execute_activity("take_lock", lock, **LOCK)
            except ActivityError as error:
                raise plainly(error) from error
        account = Account(self, plan)
        try:
            if lock:
                await self._record_version(account)
            self.phase = "running"
            self.view.announce()
            beside = [asyncio.ensure_future(task) for task in (self._reconcile(), self._look())]
            if plan.target.writer != "none":
                await self.shards.run(plan, list(plan.sources))
            if self.job.dry_run:
                self.tried = await dry_run(self, plan)
            elif not self.gate.stopping:
                self.phase = "verifying"
                self._seen()
                self.verification = await verify_and_sweep(self, plan)
            await close_redriven(self, plan)
            report = await keep_report(self, plan, account.report)
            for task in beside:
                task.cancel()
        finally:
            if lock:
                await self._release(lock)
        self.phase = "done"
        self.view.close(report)
        return report

    def _lock(self, plan: Plan) -> LockInput:
        info = workflow.info()
        assert self.job is not None
        return LockInput(
            table_arn=plan.target.table_arn,
            version_attribute=plan.target.attributes.version,
            workflow_id=info.workflow_id,
            run_id=info.run_id,
            namespace=info.namespace,
            run=plan.run,
            take=self.job.take_lock,
            wait_seconds=plan.heartbeat_timeout,
        )

    async def _record_version(self, account: Account) -> None:
        try:
            await workflow.execute_activity("record_version", account.opening(), **CONTROL)
        except ActivityError as error:  # nothing was changed yet: the start fails, and says why
            raise plainly(error) from error

    async def _release(self, lock: LockInput) -> None:
        """Give the lock back. One that cannot be is taken over by the next job, since this one is closed."""
        try:
            await workflow.execute_activity("release_lock", lock, **CLOSING)
        except ActivityError as error:
            workflow.logger.warning("the lock was not given back: %s", error.cause or error)

    async def _reconcile(self) -> None:
        """Send the whole desired state to every open shard that does not have it yet."""
        while True:
            await workflow.wait_condition(lambda: any(s.sent < self.control_seq for s in self.shards.open))
            behind = [shard for shard in self.shards.open if shard.sent < self.control_seq]
            await asyncio.gather(*(self.shards.send(s) for s in behind))


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
