"""limits: show or change the limits of a running job."""

from __future__ import annotations

from typing import Annotated, Any

from temporalio.client import Client

from commands.input.exits import Exit, Stopped
from commands.input.fields import Fields, Given
from commands.input.json_only import emit_json
from commands.input.options import AsJson, Job
from commands.rendering.screen import facts, say
from commands.temporal.server import (
    QUERY_SECONDS,
    open_job,
    progress_of,
    talk,
    workers_poll,
)
from commands.temporal.updating import in_time, updated
from reindexer.words import count


def limits(
    job: Job,
    given: Annotated[Given, Fields("limits", "reason")],
    as_json: AsJson = False,
) -> None:
    """Change the limits of a running job; without options, show them."""
    change, reason = given.get("limits", {}), given.get("reason")
    in_force = talk(lambda client: _limits(client, job, change, reason))
    if as_json:
        emit_json(in_force)
    else:
        say(facts((name.replace("_", " "), _shown(value)) for name, value in in_force.items()))


async def _limits(client: Client, job: str, change: dict[str, Any], reason: str | None) -> dict[str, Any]:
    handle = await open_job(client, job)
    # Unlike a signal, neither an update nor a query waits on the server for a worker to come.
    if not await workers_poll(client):
        raise Stopped(
            Exit.NOT_FINISHED, f"no worker answers for {job}, so its limits are unchanged; start a worker first"
        )
    if not change:
        answer = await progress_of(handle)
        if answer is None or answer.limits is None:
            raise Stopped(Exit.NOT_FINISHED, f"{job} did not answer within {QUERY_SECONDS:.0f} s")
        return answer.limits.model_dump()
    asked = {**change, **({"reason": reason} if reason else {})}
    return await in_time(set_limits(client, job, asked), job, "limits", "whether its limits changed")


async def set_limits(client: Client, job: str, change: dict[str, Any]) -> dict[str, Any]:
    """The limits then in force: the same limits set twice are the same limits. Raises as `updated`."""
    return await updated(client, job, "set_limits", change)


def _shown(value: object) -> str:
    if value is None:
        return "to be chosen by the plan"
    return count(value) if isinstance(value, int | float) else str(value)
