"""pause: stop a job's work until it is resumed."""

from __future__ import annotations

from temporalio.client import Client

from commands.input.exits import Exit, Stopped
from commands.input.options import Job, Reason
from commands.rendering.screen import say
from commands.temporal.server import CONFIRM_SECONDS, last_within, open_job, state_of, talk, workers_poll


def pause(job: Job, reason: Reason = None) -> None:
    """Pause a job. Every round hands back its state; nothing is lost.

    Waits up to ten seconds for the job to confirm. Exit code 3 if it does not confirm by then.
    """
    talk(lambda client: _pause(client, job, reason))


async def _pause(client: Client, job: str, reason: str | None) -> None:
    handle = await open_job(client, job)
    await handle.signal("pause", {"reason": reason})
    if not await workers_poll(client):
        raise Stopped(Exit.NOT_FINISHED, f"pause of {job} requested; no worker answers, so no round is running")
    stopped = ("paused", "parked", "done")
    state, why = await last_within(CONFIRM_SECONDS, lambda: state_of(handle), lambda seen: seen[0] in stopped)
    if state not in stopped:
        raise Stopped(
            Exit.NOT_FINISHED,
            f"pause of {job} requested; not every shard confirmed within {CONFIRM_SECONDS:.0f} s: "
            f"`reindexer status {job}` shows progress",
        )
    say(f"{job} is {state}" + (f": {why}" if why else ""))
