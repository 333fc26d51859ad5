"""How a job ended: its report, or the sentence that says why there is none."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace

from temporalio.client import Client, WorkflowFailureError
from temporalio.exceptions import (
    ActivityError,
    ApplicationError,
    CancelledError,
    ChildWorkflowError,
    TerminatedError,
)
from temporalio.exceptions import TimeoutError as RanOutOfTime

from commands.input.exits import Exit, exit_code
from commands.temporal.history import kind_of, run_stamp
from commands.temporal.unfinished import Unfinished, as_ended
from reindexer.errors import ReindexerError
from reindexer.ledger import Ledger
from reindexer.models import Report
from reindexer.settings import settings

#: Types of failures with which a job ends because of a defect, not because it was refused.
_DEFECTS = frozenset(("PlanFailed",))


@dataclass(frozen=True)
class Ending:
    """How a job ended. `sentence` is what to say where there is no report."""

    code: Exit
    report: Report | None
    sentence: str = ""
    left: Unfinished | None = None  # Temporal has no report of it: the ledger may know what it did


async def ending(client: Client, job: str) -> Ending:
    """Wait for the end of a job, over all runs of its chain; needs no workers once it has ended."""
    try:
        # By workflow id alone: that follows the chain, wherever in it the job is when this is asked.
        report = Report.model_validate(await client.get_workflow_handle(job).result())
    except WorkflowFailureError as failure:
        end = of_failure(job, failure.cause)
    else:
        return Ending(exit_code(report), report)
    if end.left in ("cancelled", "terminated"):
        stamp = await run_stamp(client, job)
        kept = await asyncio.to_thread(_kept_report, job, stamp, end.left) if stamp else None
        # A comparison that did not end says neither equal nor different.
        code = exit_code(kept) if kept and kept.comparison else end.code
        if kept is None and await kind_of(client, job) == "compare":
            code = Exit.NOT_FINISHED
        end = replace(end, report=kept, code=code)
    return end


def of_failure(job: str, cause: BaseException) -> Ending:
    """What the failure of a job's workflow says by itself."""
    # Taking the lock is an activity: what it refuses arrives inside an ActivityError.
    while isinstance(cause, ActivityError | ChildWorkflowError) and cause.cause is not None:
        cause = cause.cause
    if isinstance(cause, ApplicationError):
        if cause.type == "Incomplete" and cause.details:
            report = Report.model_validate(cause.details[0])
            return Ending(exit_code(report), report)
        refused = cause.non_retryable and cause.type not in _DEFECTS
        code = Exit.BAD_INPUT if refused else Exit.INCOMPLETE
        return Ending(code, None, f"{job} {'was refused' if refused else 'failed'}: {cause.message}")
    if isinstance(cause, CancelledError):
        return Ending(Exit.INCOMPLETE, None, f"{job} was cancelled", left="cancelled")
    if isinstance(cause, TerminatedError):
        return Ending(Exit.INCOMPLETE, None, f"{job} was terminated: {cause.message}", left="terminated")
    if isinstance(cause, RanOutOfTime):
        why = f"{job} exceeded a time limit set at its start"
        return Ending(Exit.INCOMPLETE, None, why, left="terminated")
    return Ending(Exit.INCOMPLETE, None, f"{job} failed: {cause}")


def _kept_report(job: str, run: str, state: Unfinished) -> Report | None:
    """What the ledger has of a run that ended so; None also where the ledger cannot be read."""
    try:
        ledger = Ledger(settings().ledger_table)
        report = ledger.reports.find(job, run)
        return as_ended(ledger, report, state) if report and report.state == "running" else report
    except ReindexerError:
        return None
