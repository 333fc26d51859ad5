"""resume: continue a paused or parked job."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from pydantic import ValidationError
from temporalio.client import Client

from commands.input.exits import Exit, Stopped
from commands.input.options import Job, Reason
from commands.rendering.screen import say
from commands.temporal.server import last_within, open_job, state_of, talk, workers_poll
from reindexer.errors import BadInput
from reindexer.explain import explain
from reindexer.models import Resume

_SECONDS = 3.0  # the answer comes with the next workflow task; no attempt has to end for it

Code = Annotated[
    str | None,
    typer.Option("--code", metavar="HASH", help="Accept this code of the job, which has changed."),
]


Rescan = Annotated[
    bool, typer.Option("--rescan", help="Of a follow: scan the table again, into the same destination.")
]


def resume(job: Job, reason: Reason = None, code: Code = None, rescan: Rescan = False) -> None:
    """Continue a paused or parked job. Exit code 3, with the reason, if it does not continue."""
    try:
        Resume(code=code)
    except ValidationError as error:
        raise BadInput(explain(error).removeprefix("code: "), "--code") from None
    asked = {"reason": reason, **({"code": code} if code else {}), **({"rescan": True} if rescan else {})}
    talk(lambda client: _resume(client, job, asked))


async def _resume(client: Client, job: str, asked: dict[str, Any]) -> None:
    handle = await open_job(client, job)
    await handle.signal("resume", asked)
    if not await workers_poll(client):
        raise Stopped(
            Exit.NOT_FINISHED, f"resume of {job} requested; no worker answers, so it continues once one does"
        )
    still = ("", "paused", "parked", "pausing")
    state, why = await last_within(_SECONDS, lambda: state_of(handle), lambda seen: seen[0] not in still)
    if not state:
        raise Stopped(Exit.NOT_FINISHED, f"resume of {job} requested; it has not answered yet")
    if state in still:
        raise Stopped(Exit.NOT_FINISHED, f"{job} is still {state}" + (f": {why}" if why else ""))
    say(f"{job} is {state}")
