"""limits: show what a job may use, or change it while it runs."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from temporalio.client import Client, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError

from commands.exits import Exit, Stopped
from commands.options import (
    AsJson,
    Job,
    QuarantinedLimit,
    ReadUnits,
    Reason,
    RecordsPerSecond,
    ShardsInFlight,
    WriteUnits,
    limits_given,
)
from commands.screen import count, emit_json, facts, say
from commands.server import CONFIRM_SECONDS, open_job, somebody_works, talk
from reindexer.errors import BadInput


def limits(
    job: Job,
    read_units: ReadUnits = None,
    write_units: WriteUnits = None,
    records_per_second: RecordsPerSecond = None,
    shards_in_flight: ShardsInFlight = None,
    quarantined: QuarantinedLimit = None,
    reason: Reason = None,
    as_json: AsJson = False,
) -> None:
    """Change a running job's limits; without options, show them."""
    change = limits_given(read_units, write_units, records_per_second, shards_in_flight, quarantined)
    in_force = talk(lambda client: _limits(client, job, change, reason))
    if as_json:
        emit_json(in_force)
    else:
        say(facts((name.replace("_", " "), _shown(value)) for name, value in in_force.items()))


async def _limits(client: Client, job: str, change: dict[str, Any], reason: str | None) -> dict[str, Any]:
    handle = await open_job(client, job)
    # Unlike a signal, neither an update nor a query waits on the server for a worker to come.
    if not await somebody_works(client):
        raise Stopped(
            Exit.NOT_FINISHED, f"no worker answers for {job}, so its limits stay as they are; start one first"
        )
    if not change:
        answer: dict[str, Any] = await handle.query("progress", rpc_timeout=timedelta(seconds=CONFIRM_SECONDS))
        return dict(answer["limits"])
    try:
        in_force: dict[str, Any] = await asyncio.wait_for(
            handle.execute_update("set_limits", {**change, **({"reason": reason} if reason else {})}),
            CONFIRM_SECONDS,
        )
    except WorkflowUpdateFailedError as rejected:
        cause = rejected.cause
        raise BadInput(cause.message if isinstance(cause, ApplicationError) else str(cause)) from None
    except TimeoutError:
        raise Stopped(
            Exit.NOT_FINISHED,
            f"{job} has not answered within {CONFIRM_SECONDS:.0f} s; whether its limits changed shows "
            f"`reindexer limits {job}`",
        ) from None
    return in_force


def _shown(value: object) -> str:
    if value is None:
        return "chosen when the job has planned"
    return count(value) if isinstance(value, int | float) else str(value)
