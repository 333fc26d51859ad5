"""A rehearsal on this machine: load the cities, reindex them, show what came of it, put everything away."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.text import Text
from temporalio.client import Client

from commands.cities import TABLE, add_stream, cities, create_table, load
from commands.ending import Ending
from commands.exits import Exit
from commands.launch import begin
from commands.options import EngineChoice
from commands.screen import BAD, DIM, GOOD, count, duration, err, facts, line, note, say, some, step
from commands.stack import (
    Stack,
    crew,
    crew_ready,
    interrupted_by_signals,
    new_folder,
    stack,
    try_next,
    wait_for_interrupt,
)
from commands.watching import show_ending, watch_job
from deploy.faults import FaultProxy
from deploy.workers import Workers
from reindexer.connect import connect
from reindexer.dynamo.client import make_client
from reindexer.models import JobInput, Report

JOB = "reindex-cities"
#: A first taste of an engine, in records: a second or two on the slowest.
_TASTE = 500
#: Seconds that loading all may take; where it takes longer, as many are loaded as take so few.
#: The job takes about as long again.
_PATIENCE, _INSTEAD = 20.0, 6.0


def rehearse(records: int | None, engine: EngineChoice, *, keep: bool, faults: float) -> Exit:
    """The demo. Returns the job's exit code; with `keep` only after Ctrl-C."""
    folder = new_folder("demo")
    code, interrupted = Exit.INCOMPLETE, False
    try:
        with interrupted_by_signals(), stack(engine, folder, faults=faults) as stands:
            items = _begin_loading(records)
            with crew(stands) as workers:
                _load(stands, items)
                code = asyncio.run(_job(stands, workers)).code
                if keep:
                    _leave_up(stands, workers, "All is left up until Ctrl-C. In another terminal:")
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
        with interrupted_by_signals(), stack(engine, folder) as stands:
            items = _begin_loading(records)
            with crew(stands) as workers:
                _load(stands, items)
                asyncio.run(_ready(workers))
                _leave_up(stands, workers, "Ready, until Ctrl-C. In another terminal:")
    finally:
        _put_away(folder, keep=False)


def _begin_loading(records: int | None) -> list[dict[str, Any]]:
    """Make the table, load the first cities, and return all that it is to have: fewer on a slow engine."""
    client = make_client()
    create_table(client)
    items = list(cities(records))
    speed = load(client, items[:_TASTE])
    if records is None and len(items) / speed > _PATIENCE:
        fewer = max(_TASTE, round(speed * _INSTEAD / 1000) * 1000)
        step(
            "",
            f"which takes {count(speed)} records/s here, so {count(fewer)} of {count(len(items))} cities "
            f"will do (--records {len(items)} loads all)",
        )
        items = items[:fewer]
    return items


def _load(stands: Stack, items: Sequence[dict[str, Any]]) -> None:
    """Load the rest, directly and not through the faults."""
    written = min(_TASTE, len(items))
    with err.status("") as status:

        def told(number: int) -> None:
            nonlocal written
            written += number
            status.update(f"loading cities: {count(written)} of {count(len(items))}")

        begun = time.monotonic()
        client = make_client()
        load(client, items[_TASTE:], told)
        took = duration(time.monotonic() - begun)
        if stands.engine.streams_at_speed:
            add_stream(client)
    stream = ", which has a stream" if stands.engine.streams_at_speed else ""
    step("cities", f"{some(len(items), 'record')} in table {TABLE}{stream}, loaded in {took}")


async def _ready(workers: Workers) -> Client:
    client = await connect()
    with err.status("waiting for the workers"):
        await crew_ready(client, workers)
    return client


async def _job(stands: Stack, workers: Workers) -> Ending:
    """Run the job and show what came of it."""
    client = await _ready(workers)
    await begin(
        client, JobInput(table=TABLE), JOB, summary="touch cities", details="Started by `reindexer demo`."
    )
    purpose = ", so that the table's stream fires again" if stands.engine.streams_at_speed else ""
    step("job", f"{JOB}: gives every record a new version{purpose}")
    end = await watch_job(client, JOB)
    say()
    show_ending(end)
    if stands.proxy and end.report:
        say(facts(_truth(stands.proxy, end.report)))
    say()
    step("Web UI", f"{stands.temporal.ui_url}/namespaces/{stands.temporal.namespace}/workflows/{JOB}")
    return end


def _truth(proxy: FaultProxy, report: Report) -> Sequence[tuple[str, Any]]:
    """What the proxy saw, apart from what the job says of itself."""
    truth = proxy.truth(wait=5)  # seconds; late writes of this plan land within one
    kinds = sorted(truth.injected.items(), key=lambda pair: -pair[1])
    injected = ", ".join(f"{count(number)} {kind}" for kind, number in kinds)
    twice = len(truth.changed_twice(report.run))
    changed = truth.changed(TABLE, report.run)
    good = not twice and changed == report.tally.updated
    return [
        ("injected", f"{some(sum(truth.injected.values()), 'fault')}: {injected}"),
        (
            "the truth",
            Text(
                f"seen at the engine: {some(changed, 'record')} changed, changed twice: {count(twice)}",
                GOOD if good else BAD,
            ),
        ),
    ]


def _leave_up(stands: Stack, workers: Workers, sentence: str) -> None:
    say()
    say(sentence)
    for command in try_next(stands, JOB):
        line(f"  {command}")
    wait_for_interrupt(workers)


def _put_away(folder: Path, *, keep: bool) -> None:
    if keep:
        note(f"logs are in {folder}", DIM)
    else:
        shutil.rmtree(folder, ignore_errors=True)
