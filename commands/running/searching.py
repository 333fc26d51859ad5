"""The demo of a search index on this machine: load the cities, index them, search them, compare, clean up."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from commands.input.exits import Exit, Stopped
from commands.input.options import EngineChoice
from commands.rendering.screen import DIM, err, note, say, step
from commands.running.confirmed_index import confirmed_index
from commands.running.launch import begin
from commands.running.live_edits import live
from commands.running.loading import load_cities
from commands.running.queries import answers
from commands.running.stack import (
    crew,
    environment_file,
    leave_up,
    local_stack,
    ready,
    rehearsed,
)
from commands.running.watching import show_ending, watch_job
from reindexer.models import Index, JobInput, SearchAddress
from testbed.cities import TABLE
from testbed.faults.search import SearchFaultPlan, SearchFaultProxy, search_fault_proxy
from testbed.obtain import obtain, obtainable
from testbed.processes import ServerUnavailable
from testbed.search import SearchServer
from testbed.stack import Stack
from testbed.workers import Workers

JOB = "index-cities"
_LATE = 5.0  # seconds for requests that are still under way when the job has ended


@dataclass(frozen=True)
class _Search:
    """OpenSearch, and the fault proxy before it where there is one."""

    url: str
    proxy: SearchFaultProxy | None

    @property
    def address(self) -> SearchAddress:
        """What the job writes to."""
        return SearchAddress(search=self.proxy.endpoint_url if self.proxy else self.url, alias=TABLE)


def rehearse_search(records: int | None, engine: EngineChoice, *, keep: bool, faults: float) -> Exit:
    """The demo. Returns the job's exit code; with `keep` only after Ctrl-C."""
    _get_opensearch()

    def run(folder: Path) -> Exit:
        with (
            local_stack(engine, folder, faults=faults) as servers,
            crew(servers) as workers,
            _opensearch(folder, faults) as search,
        ):
            load_cities(servers, records, stream=True)
            code = asyncio.run(_job(servers, workers, search))
            if keep:
                leave_up(workers, _try_next(servers, search))
            else:
                note("--keep keeps everything running: the index, and the table to try commands on", DIM)
        return code

    return rehearsed("demo-search", run, keep=keep)


def _get_opensearch() -> None:
    """Before anything is started: it may take a minute, and not be possible at all."""
    name = "opensearch"
    possible = obtainable(name)  # else what it is made with is not on this machine: nothing to try again
    try:
        obtain(name)
    except ServerUnavailable as error:
        raise Stopped(Exit.NOT_FINISHED if possible else Exit.BAD_INPUT, str(error)) from error


@contextmanager
def _opensearch(folder: Path, faults: float) -> Iterator[_Search]:
    with ExitStack() as running:
        try:
            with err.status("starting OpenSearch"):
                server = running.enter_context(SearchServer(logs=folder))
        except ServerUnavailable as error:
            raise Stopped(Exit.NOT_FINISHED, str(error)) from error
        step("OpenSearch", f"{server.how.partition(',')[0]}, {server.url}")
        proxy = None
        if faults:
            plan = SearchFaultPlan.mixed(faults)
            proxy = running.enter_context(search_fault_proxy(server.url, plan, logs=folder))
            step("faults", f"{faults:.0%} of the requests that write to it, and of the documents in others")
        yield _Search(server.url, proxy)


async def _job(servers: Stack, workers: Workers, search: _Search) -> Exit:
    """Run the job and show the result: its own report, what was observed from outside, and the index."""
    client = await ready(workers)
    job = JobInput(table=TABLE, operation=Index(kind="index", to=search.address))
    await begin(client, job, JOB, summary="index cities")
    step("job", f"{JOB}: writes a document of every record into a new index")
    end = await watch_job(client, JOB)
    say()
    show_ending(end)
    if end.report is None or end.code is not Exit.COMPLETE:
        return end.code
    # While the index is at rest; whatever changes the table afterwards belongs below.
    table_truth = servers.faults.truth(wait=_LATE) if servers.faults else None
    index_truth = search.proxy.truth(wait=_LATE) if search.proxy else None
    with err.status("an independent reader compares each record with its document"):
        good, witnessed = confirmed_index(end.report, search.url, table_truth, index_truth)
    say()
    say(witnessed)
    say()
    say(answers(search.url))
    if not good:
        return Exit.INCOMPLETE
    return await live(client, search.address, search.url)


def _try_next(servers: Stack, search: _Search) -> list[str]:
    """Commands for the index, and for another one, against this stack."""
    where = f"{search.url}/{TABLE}"
    return [
        f". {environment_file(servers)}",
        f"curl '{where}/_search?pretty&q=alternatenames:Wien&_source=name,countrycode'",
        f"curl '{where}/_count'",
        f"reindexer report {JOB}",
        f"reindexer index {TABLE} --to {search.url} --workflow-id {JOB} --wait",
        f"curl '{search.url}/_cat/aliases?v'",
    ]
