"""pause: stop a job's work until it is resumed."""

from __future__ import annotations

from temporalio.client import Client

from commands.input.exits import Exit, Stopped
from commands.input.options import Job, Reason
from commands.rendering.screen import say
from commands.temporal.server import CONFIRM_SECONDS, last_within, open_job, somebody_works, state_of, talk


def pause(job: Job, reason: Reason = None) -> None:
    """Pause a job: every attempt hands back its state, nothing is lost.

    Waits up to ten seconds until the job confirms. Exit code 3 where it has not by then.
    """
    talk(lambda client: _pause(client, job, reason))


async def _pause(client: Client, job: str, reason: str | None) -> None:
    handle = await open_job(client, job)
    await handle.signal("pause", {"reason": reason})
    if not await somebody_works(client):
        raise Stopped(Exit.NOT_FINISHED, f"{job} is told to pause; no worker answers, so no round is under way")
    stopped = ("paused", "parked", "done")
    state, why = await last_within(CONFIRM_SECONDS, lambda: state_of(handle), lambda seen: seen[0] in stopped)
    if state not in stopped:
        raise Stopped(
            Exit.NOT_FINISHED,
            f"{job} is told to pause; not every shard has confirmed within {CONFIRM_SECONDS:.0f} s: "
            f"`reindexer status {job}` shows when",
        )
    say(f"{job} is {state}" + (f": {why}" if why else ""))
