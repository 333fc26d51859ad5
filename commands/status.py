"""status: show the state of a job, with or without workers."""

from __future__ import annotations

import typer

from commands.input.json_only import emit_json
from commands.input.options import AsJson, Job
from commands.rendering.report import render_report
from commands.rendering.screen import say
from commands.rendering.status import picture
from commands.temporal.server import talk
from commands.temporal.status import job_status


def status(job: Job, as_json: AsJson = False) -> None:
    """Show the state of a job. Works without workers too, from what the Temporal server knows.

    Exit codes: 0 complete, 1 incomplete or failed, 2 refused, 3 not finished.
    """
    status = talk(lambda client: job_status(client, job))
    if as_json:
        emit_json(status.as_json())
    elif status.ending and status.ending.report:
        say(render_report(status.ending.report))
    else:
        say(picture(status))
    raise typer.Exit(status.code)
