"""The demo on this machine: load the cities, reindex them, show the result, clean up."""

from __future__ import annotations

import asyncio
import math
import shutil
import time
from contextlib import ExitStack
from pathlib import Path

from temporalio.client import Client

from commands.input.exits import Exit
from commands.input.options import EngineChoice
from commands.rendering.screen import DIM, err, line, note, say, step
from commands.running.confirmed import confirmed
from commands.running.downstream import Downstream
from commands.running.launch import begin
from commands.running.stack import (
    crew,
    crew_ready,
    interrupted_by_signals,
    local_stack,
    new_folder,
    try_next,
    wait_for_interrupt,
    writes_singly,
)
from commands.running.watching import show_ending, watch_job
from reindexer.connect import connect
from reindexer.dynamo.client import make_client
from reindexer.models import JobInput
from reindexer.tally import Outcome
from reindexer.words import count, duration, some
from testbed.cities import TABLE, add_stream, cities, create_table, load
from testbed.stack import Stack
from testbed.workers import Workers

JOB = "reindex-cities"
#: Seconds for loading, where no number of records is given. The job takes twice as long for as many, and about
#: seven times as long where it writes them one by one.
_PATIENCE, _PATIENCE_SINGLY = 8.0, 1.5
_LATE = 5.0  # seconds for late writes, which the proxy makes within one


def rehearse(records: int | None, engine: EngineChoice, *, keep: bool, faults: float) -> Exit:
    """The demo. Returns the job's exit code; with `keep` only after Ctrl-C."""
    folder = new_folder("demo")
    code, interrupted = Exit.INCOMPLETE, False
    try:
        with (
            interrupted_by_signals(),
            local_stack(engine, folder, faults=faults) as servers,
            crew(servers) as workers,
        ):
            stream = _load(servers, records)
            code = asyncio.run(_job(servers, workers, stream))
            if keep:
                _leave_up(servers, workers, "Everything keeps running until Ctrl-C. In another terminal:")
            else:
                note("--keep keeps everything running: the Web UI, and the table to try commands on", DIM)
    except KeyboardInterrupt:
        interrupted = True
        raise
    finally:
        _put_away(folder, keep=keep or not (interrupted or code is Exit.COMPLETE))
    return code


def stay(records: int | None, engine: EngineChoice) -> None:
    """The same servers and data without the job, until Ctrl-C."""
    folder = new_folder("dev")
    try:
        with interrupted_by_signals(), local_stack(engine, folder) as servers, crew(servers) as workers:
            _load(servers, records)
            asyncio.run(_ready(workers))
            _leave_up(servers, workers, "Ready, until Ctrl-C. In another terminal:")
    finally:
        _put_away(folder, keep=False)


def _load(servers: Stack, records: int | None) -> str | None:
    """Load the cities, past the fault proxy; returns the ARN of the table's stream, if any."""
    client, items = make_client(), list(cities(records))
    create_table(client)
    seconds = math.inf if records else _PATIENCE_SINGLY if writes_singly(servers.engine) else _PATIENCE
    begun = time.monotonic()
    with err.status("") as status:

        def show(written: int) -> None:
            status.update(f"loading cities: {count(written)} of {count(len(items))}")

        written = load(client, items, show, seconds)
        took = duration(time.monotonic() - begun)
        stream = add_stream(client) if servers.engine.streams_at_speed else None
    which = ", which has a stream" if stream else ""
    more = f"; --records {len(items)} loads all" if written < len(items) else ""
    step("table", f"{some(written, 'record')} in {TABLE}{which}, loaded in {took}{more}")
    return stream


async def _ready(workers: Workers) -> Client:
    client = await connect()
    with err.status("waiting for the workers"):
        await crew_ready(client, workers)
    return client


async def _job(servers: Stack, workers: Workers, stream: str | None) -> Exit:
    """Run the job and show the result: its own report, and what was observed from outside."""
    client = await _ready(workers)
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


def _leave_up(servers: Stack, workers: Workers, sentence: str) -> None:
    say()
    say(sentence)
    for command in try_next(servers, JOB):
        line(f"  {command}")
    wait_for_interrupt(workers)


def _put_away(folder: Path, *, keep: bool) -> None:
    if keep:
        note(f"logs are in {folder}", DIM)
    else:
        shutil.rmtree(folder, ignore_errors=True)
