"""The demo on this machine: load the cities, reindex them, show the result, clean up."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from pathlib import Path

from commands.input.exits import Exit
from commands.input.options import EngineChoice
from commands.rendering.screen import DIM, note, say, step
from commands.running.confirmed import confirmed
from commands.running.downstream import Downstream
from commands.running.launch import begin
from commands.running.loading import load_cities
from commands.running.stack import (
    crew,
    interrupted_by_signals,
    leave_up,
    local_stack,
    new_folder,
    put_away,
    ready,
    rehearsed,
    try_next,
)
from commands.running.watching import show_ending, watch_job
from reindexer.models import JobInput
from reindexer.tally import Outcome
from testbed.cities import TABLE
from testbed.stack import Stack
from testbed.workers import Workers

JOB = "reindex-cities"
_LATE = 5.0  # seconds for late writes, which the proxy makes within one


def rehearse(records: int | None, engine: EngineChoice, *, keep: bool, faults: float) -> Exit:
    """The demo. Returns the job's exit code; with `keep` only after Ctrl-C."""

    def run(folder: Path) -> Exit:
        with local_stack(engine, folder, faults=faults) as servers, crew(servers) as workers:
            stream = load_cities(servers, records, stream=True)
            code = asyncio.run(_job(servers, workers, stream))
            if keep:
                leave_up(workers, try_next(servers, JOB))
            else:
                note("--keep keeps everything running: the Web UI, and the table to try commands on", DIM)
        return code

    return rehearsed("demo", run, keep=keep)


def stay(records: int | None, engine: EngineChoice) -> None:
    """The same servers and data without the job, until Ctrl-C."""
    folder = new_folder("dev")
    try:
        with interrupted_by_signals(), local_stack(engine, folder) as servers, crew(servers) as workers:
            load_cities(servers, records, stream=True)
            asyncio.run(ready(workers))
            leave_up(workers, try_next(servers, JOB), "Ready, until Ctrl-C. In another terminal:")
    finally:
        put_away(folder, keep=False)


async def _job(servers: Stack, workers: Workers, stream: str | None) -> Exit:
    """Run the job and show the result: its own report, and what was observed from outside."""
    client = await ready(workers)
    with ExitStack() as consuming:
        job = JobInput(table=TABLE)
        downstream = consuming.enter_context(Downstream(stream, job.attributes.run)) if stream else None
        if downstream:
            step("consumer", "reads the stream and counts what arrives")
        await begin(client, job, JOB, summary="touch cities")
        purpose = ", so that it enters the stream again" if stream else ""
        step("job", f"{JOB}: gives every record a new version{purpose}")
        end = await watch_job(client, JOB)
        say()
        show_ending(end)
        if end.report is None:
            return end.code
        truth = servers.faults.truth(wait=_LATE) if servers.faults else None
        seen = downstream.seen(end.report.run, end.report.tally[Outcome.UPDATED]) if downstream else None
        good, witnessed = confirmed(end.report, truth, seen)
        say()
        say(witnessed)
        return end.code if good else Exit.INCOMPLETE
