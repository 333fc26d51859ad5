"""watch: follow a job until it ends."""

from __future__ import annotations

import typer

from commands.input.options import AsJson, Job
from commands.rendering.found import ExpectFound, as_expected
from commands.running.watching import goes_on, show_ending, watch_job
from commands.temporal.server import talk


def watch(job: Job, expect_found: ExpectFound = False, as_json: AsJson = False) -> None:
    """Follow a job until it ends, then show its report. Ctrl-C stops watching; the job continues.

    With --json, waits silently and prints the report. Exit codes as for `report`.
    """
    try:
        end = talk(lambda client: watch_job(client, job, quiet=as_json))
    except KeyboardInterrupt:
        raise typer.Exit(goes_on(job)) from None
    show_ending(end, as_json=as_json)
    raise typer.Exit(as_expected(end.code, end.report, expect_found=expect_found))
