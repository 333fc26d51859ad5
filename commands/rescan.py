"""rescan: scan the table of a follow again, into the same index."""

from __future__ import annotations

import asyncio
from typing import Any

from temporalio.client import Client, WorkflowUpdateRPCTimeoutOrCancelledError

from commands.input.confirm import confirm
from commands.input.exits import Exit, Stopped
from commands.input.options import Job, Reason, Yes
from commands.rendering.screen import say
from commands.temporal.server import CONFIRM_SECONDS, open_job, talk, workers_poll
from commands.temporal.updating import updated


def rescan(job: Job, reason: Reason = None, yes: Yes = False) -> None:
    """Scan the table of a running follow again, into the same index, after asking.

    Readers keep the index meanwhile. A parked follow is resumed with it: reindexer resume JOB --rescan.
    """
    confirm(f"Read every record of the table of {job} again?", yes=yes, otherwise="nothing was changed")
    asked = {"reason": reason} if reason else {}
    answer = talk(lambda client: _rescan(client, job, asked))
    say(f"{job} scans its table again" + ("" if answer["begins"] else " once it is resumed"))


async def _rescan(client: Client, job: str, asked: dict[str, Any]) -> dict[str, Any]:
    await open_job(client, job)
    if not await workers_poll(client):
        raise Stopped(Exit.NOT_FINISHED, f"no worker answers for {job}; start one first")
    try:
        return await asyncio.wait_for(updated(client, job, "rescan", asked), CONFIRM_SECONDS)
    except (TimeoutError, WorkflowUpdateRPCTimeoutOrCancelledError):
        raise Stopped(
            Exit.NOT_FINISHED,
            f"{job} did not answer within {CONFIRM_SECONDS:.0f} s; `reindexer status {job}` shows its state",
        ) from None
