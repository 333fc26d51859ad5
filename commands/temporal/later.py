"""A run of a job that is newer than the one the ledger knows: it may have ended without a report."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from temporalio.client import Client
from temporalio.service import RPCError

from commands.temporal.history import run_stamp
from commands.temporal.server import describe, how_it_ended, is_open, talk
from reindexer.errors import BadInput, EnvironmentFault

#: Seconds that Temporal gets: what is shown is the ledger's, and does not wait for a server that is away.
_SECONDS = 3.0


def later_run(job: str, run: str, started_at: datetime | None = None) -> str:
    """A sentence that names a run later than `run`, which the ledger has no report of.

    `started_at`: when `run` began, as far as it is known. "" where there is none, or Temporal does not say.
    """
    try:
        return talk(lambda client: asyncio.wait_for(_later(client, job, run, started_at), _SECONDS), _SECONDS)
    except (BadInput, EnvironmentFault, RPCError, TimeoutError):
        return ""


async def _later(client: Client, job: str, run: str, started_at: datetime | None) -> str:
    description = await describe(client, job)
    began = description.start_time
    if started_at is not None and began <= started_at:
        return ""
    if await run_stamp(client, job) == run:
        return ""
    how = "has not ended" if is_open(description) else how_it_ended(description)
    return (
        f"a later run of {job}, started {began.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC, {how} and has left no "
        f"report: this is run {run}, the one before it"
    )
