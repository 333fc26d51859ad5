"""report: the account of a job, from the ledger."""

from __future__ import annotations

import typer

from commands.account import account, exit_code
from commands.exits import Exit, Stopped
from commands.options import AsJson, Job, Run
from commands.screen import emit_json, say
from reindexer.ledger import Ledger
from reindexer.settings import settings


def report(job: Job, run: Run = None, as_json: AsJson = False) -> None:
    """What a job did, from the ledger: works without Temporal, and long after it has forgotten the job.

    Exit code 0 complete, 1 incomplete, 3 no report (yet).
    """
    ledger = Ledger(settings().ledger_table)
    found = ledger.report(job, run)
    if found is None:
        which = f"run {run} of job {job}" if run else f"job {job}"
        raise Stopped(
            Exit.NOT_FINISHED,
            f"the ledger {ledger.table} has no report of {which}: it has not ended, or never began; "
            f"`reindexer status {job}` asks Temporal",
        )
    if as_json:
        emit_json(found)
    else:
        say(account(found))
    raise typer.Exit(exit_code(found))
