"""report: show the report of a job, from the ledger."""

from __future__ import annotations

import asyncio

import typer
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError

from commands.input.exits import Exit, Stopped, exit_code
from commands.input.json_only import emit_json
from commands.input.options import AsJson, Job, Run
from commands.rendering.found import ExpectFound, as_expected
from commands.rendering.report import render_report
from commands.rendering.screen import WARN, note, say
from commands.temporal.ending import ending
from commands.temporal.history import run_stamp
from commands.temporal.later import later_run
from commands.temporal.server import describe, is_open, is_unknown, talk
from commands.temporal.unfinished import as_ended, utc
from reindexer.errors import BadInput, EnvironmentFault, one_line
from reindexer.ledger import Ledger
from reindexer.models import Report
from reindexer.settings import settings

#: Seconds that Temporal gets to say whether an unfinished job still runs; the report itself is the ledger's.
_SECONDS = 8.0


def report(job: Job, run: Run = None, expect_found: ExpectFound = False, as_json: AsJson = False) -> None:
    """Show what a job did, from the ledger. Works without Temporal, and after its retention period.

    For a job that has not ended, shows the latest interim report, and whether it still runs by Temporal.
    Says so where the newest run has left no report, as one that was cancelled while planning, and shows the
    one before.

    Exit codes: 0 complete, 1 incomplete or terminated, 2 unknown, 3 no report yet, or not ended.
    """
    ledger = Ledger(settings().ledger_table)
    found = ledger.reports.find(job, run)
    if found is None:
        raise _no_report(ledger, job, run)
    sentence = ""
    if found.state == "running":
        found, sentence = _unfinished(ledger, found)
    if as_json:
        emit_json(found)
    else:
        say(render_report(found))
    if sentence:
        note(sentence)
    code = as_expected(exit_code(found), found, expect_found=expect_found)
    if run is None and (later := later_run(job, found.run, found.started_at)):
        note(later, WARN)
        code = code or Exit.NOT_FINISHED  # the newest run has come to nothing
    raise typer.Exit(code)


def _no_report(ledger: Ledger, job: str, run: str | None) -> Exception:
    """Bad input where neither the ledger nor Temporal knows the job or the run; else not finished."""
    which = f"run {run} of job {job}" if run else f"job {job}"
    known = ledger.runs.last(job)
    if run and known and run != known:
        return BadInput(f"the ledger {ledger.table} has no report of {which}; the newest run is {known}")
    try:
        described = talk(lambda client: asyncio.wait_for(describe(client, job), _SECONDS), _SECONDS)
    except BadInput as error:
        return BadInput(f"the ledger {ledger.table} has no report of {which}, and {error}")
    except (EnvironmentFault, RPCError, TimeoutError):
        said = "it has not ended, or never began; Temporal does not answer"
    else:
        if not is_open(described):
            said = f"it ended before it had one; `reindexer status {job}` says how"
            return Stopped(Exit.INCOMPLETE, f"the ledger {ledger.table} has no report of {which}: {said}")
        said = f"it has not ended; `reindexer status {job}` asks Temporal"
    return Stopped(Exit.NOT_FINISHED, f"the ledger {ledger.table} has no report of {which}: {said}")


def _unfinished(ledger: Ledger, interim: Report) -> tuple[Report, str]:
    """The report to show of a run without a final one, and a sentence to print beside it."""
    known = f"the ledger knows of run {interim.run} of {interim.job} as of {utc(interim)}"
    try:
        final = talk(lambda client: asyncio.wait_for(_final(client, ledger, interim), _SECONDS), _SECONDS)
    except EnvironmentFault as fault:
        return interim, f"{known}; whether it still runs is unknown: {fault.message}"
    except (RPCError, TimeoutError) as error:
        late = f"Temporal has not answered within {_SECONDS:.0f} s"
        said = late if isinstance(error, TimeoutError) else f"Temporal answered: {one_line(error)}"
        return interim, f"{known}; whether it still runs is unknown: {said}"
    if final is None:
        return interim, f"{interim.job} has not ended; this is what {known}"
    return final, ""


async def _final(client: Client, ledger: Ledger, interim: Report) -> Report | None:
    """The report of the run as it ended; None: it is open. Raises `RPCError` where Temporal does not say."""
    try:
        description = await client.get_workflow_handle(interim.job).describe()
        newest = await run_stamp(client, interim.job)
    except RPCError as error:
        if not is_unknown(error):
            raise
        newest = None  # closed so long ago that its history is gone
    if newest == interim.run and is_open(description):
        return None
    now = await asyncio.to_thread(ledger.reports.find, interim.job, interim.run)
    if now and now.state != "running":  # it has just ended
        return now
    if newest == interim.run and description.status is not WorkflowExecutionStatus.TERMINATED:
        end = await ending(client, interim.job)
        if end.report is not None:
            return end.report
    return await asyncio.to_thread(as_ended, ledger, now or interim, "terminated")
