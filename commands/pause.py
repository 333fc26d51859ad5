"""pause: stop a job's work until it is resumed."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from temporalio.client import Client, WorkflowHandle

from activities.follows import FOLLOW_TYPE
from commands.input.durations import seconds_of
from commands.input.exits import Exit, Stopped
from commands.input.options import Job, Reason
from commands.rendering.screen import say
from commands.temporal.server import (
    CONFIRM_SECONDS,
    last_within,
    open_job,
    progress_of,
    state_of,
    talk,
    workers_poll,
)
from reindexer.errors import BadInput
from reindexer.models.streams import KEPT_HOURS
from reindexer.words import duration


def pause(
    job: Job,
    reason: Reason = None,
    span: Annotated[
        str | None, typer.Option("--for", metavar="TIME", help="It resumes by itself then: 90s, 30m, 2h, 1d.")
    ] = None,
) -> None:
    """Pause a job. Every round hands back its state; nothing is lost.

    Of a follow, --for is refused where the stream does not hold what is unread for so long. Waits up to ten
    seconds for the job to confirm. Exit code 3 if it does not confirm by then.
    """
    seconds = None if span is None else seconds_of(span, "--for")
    talk(lambda client: _pause(client, job, reason, seconds))


async def _pause(client: Client, job: str, reason: str | None, seconds: float | None) -> None:
    handle = await open_job(client, job)
    if seconds is not None:
        await _check(handle, seconds)
    await handle.signal("pause", {"reason": reason, **({} if seconds is None else {"for_seconds": seconds})})
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


async def _check(handle: WorkflowHandle[Any, Any], seconds: float) -> None:
    """Raises `BadInput` where what a follow has not read would be trimmed meanwhile.

    One that does not answer now cuts the pause itself.
    """
    seen = await progress_of(handle)
    left = seen.hours_left if seen else None
    if left is None and (await handle.describe()).workflow_type == FOLLOW_TYPE:
        left = KEPT_HOURS  # at the most: it is not planned yet, or no worker answers
    if left is None or seconds <= left * 3600:
        return
    raise BadInput(
        f"the stream holds what is unread for {duration(left * 3600)} more: changes would be lost; "
        "a pause without --for must be resumed before that",
        "--for",
    )
