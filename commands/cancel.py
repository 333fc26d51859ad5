"""cancel: end a job for good, with a report of what it did."""

from __future__ import annotations

import asyncio

from temporalio.client import Client

from commands.input.exits import Exit, Stopped
from commands.input.options import Job, Reason
from commands.rendering.report import render_report
from commands.rendering.screen import say
from commands.temporal.ending import ending
from commands.temporal.server import CONFIRM_SECONDS, open_job, talk, workers_poll


def cancel(job: Job, reason: Reason = None) -> None:
    """Cancel a job. Its shards hand back their state, the report is written, and the lock is released.

    Changes already made stay; start again at the same version to process the rest. Exit code 3 if the job
    has not ended within ten seconds.
    """
    talk(lambda client: _cancel(client, job, reason))


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
