"""cancel: end a job for good, with a report of what it did."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Annotated

import typer
from temporalio.client import Client

from commands.input.exits import Exit, Stopped
from commands.input.options import Job, Reason
from commands.rendering.report import render_report
from commands.rendering.screen import say
from commands.temporal.ending import ending
from commands.temporal.server import CONFIRM_SECONDS, open_follow, open_job, talk, workers_poll
from commands.temporal.updating import asked_of_workers
from reindexer.errors import BadInput


def cancel(
    job: Job,
    reason: Reason = None,
    drained: Annotated[
        bool,
        typer.Option("--drained", help="A follow: once all that has changed until now is carried."),
    ] = False,
) -> None:
    """Cancel a job. Its shards hand back their state, the report is written, and the lock is released.

    Changes already made stay; start again at the same version to process the rest. Exit code 3 if the job
    has not ended within ten seconds. With --drained a follow goes on until it has carried what has changed
    until now, compares a replica with its table, and ends as complete.
    """
    talk(lambda client: _stop_when_drained(client, job, reason) if drained else _cancel(client, job, reason))


async def _stop_when_drained(client: Client, job: str, reason: str | None) -> None:
    await open_follow(client, job, BadInput("is for a follow; any other job ends by itself", "--drained"))
    asked = {} if reason is None else {"reason": reason}
    answer = await asked_of_workers(client, job, "stop_when_drained", asked)
    held = "" if answer.get("begins", True) else f", after `reindexer resume {job}`"
    until = answer.get("until")  # of the first request, where this one repeats it; none of earlier workers
    then = f"{datetime.fromisoformat(until):%Y-%m-%d %H:%M:%S} UTC" if until else "now"
    say(f"{job} ends once all changes until {then} are carried{held}; `reindexer watch {job}` shows its end")


async def _cancel(client: Client, job: str, reason: str | None) -> None:
    handle = await open_job(client, job)
    await handle.cancel(reason=reason or "")
    if not await workers_poll(client):
        raise Stopped(
            Exit.NOT_FINISHED,
            f"cancel of {job} requested; no worker answers, so it ends once one does. To end it at once, "
            f"without a final report: temporal workflow terminate -w {job}",
        )
    try:
        end = await asyncio.wait_for(ending(client, job), CONFIRM_SECONDS)
    except TimeoutError:
        raise Stopped(
            Exit.NOT_FINISHED, f"{job} is being cancelled; `reindexer watch {job}` shows its end"
        ) from None
    say(render_report(end.report) if end.report else end.sentence)
