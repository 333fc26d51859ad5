"""redrive: run again the records that a job gave up."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from commands.failures import elsewhere, newest_run
from commands.input.fields import Fields, Given
from commands.input.keys import chosen, plain_key
from commands.input.options import AsJson, Job, KeyOptions, Run
from commands.rendering.screen import note
from commands.running.launch import Wait, launch
from reindexer.ledger import Ledger
from reindexer.models import JobInput
from reindexer.settings import settings
from reindexer.words import some


def redrive(
    *,
    job: Job,
    error: Annotated[str | None, typer.Option(help="Only this error class.", metavar="CLASS")] = None,
    key: KeyOptions = None,
    run: Run = None,
    given: Annotated[Given, Fields("skip_expired", "reason")],
    wait: Wait = False,
    as_json: AsJson = False,
) -> None:
    """Run quarantined records again, at the target of the run that gave them up.

    The redrive is a separate job, <JOB>-redrive-<RUN>. Exit code 3 if no worker is running.
    """
    ledger = Ledger(settings().ledger_table)
    the_run = run or newest_run(ledger, job)
    entries = chosen(ledger.failures.open(job, the_run, error), key)
    if not entries:
        more = elsewhere(ledger, job, the_run)
        note(f"{job}, run {the_run}: no open quarantined records, nothing to run again{more}")
        return
    scope: dict[str, Any] = {"kind": "quarantined", "job": job, "run": the_run, "error": error}
    if key:
        scope["keys"] = [plain_key(entry) for entry in entries]
    first = entries[0]
    given |= {"table": first.table_arn, "scope": scope}
    if first.attributes is not None:  # what the run wrote is what its redrive has to write
        given["attributes"] = first.attributes.model_dump()
    code = launch(
        JobInput.model_validate(given),
        f"{job}-redrive-{the_run}",
        summary=f"redrive of {some(len(entries), 'record')} of {job}",
        wait=wait,
        as_json=as_json,
    )
    raise typer.Exit(code)
