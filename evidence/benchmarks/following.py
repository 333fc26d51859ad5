"""A follow beside a loop that polls the stream and sends each change by itself; how late a change is found, how
soon a pause holds, and what stream shards cost that have nothing new.

Ours: `FollowTable` by workers that run already, drained before. It is paused while 100,000 changes are written,
resumed, and has caught up once each is settled. Theirs: `one_by_one.py` in this folder, on the same stream.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
import time
import uuid
from collections.abc import Callable
from statistics import median, quantiles

from evidence.benchmarks.commands import run_commands
from evidence.benchmarks.crowd import crowd
from evidence.benchmarks.followed import Followed, Trickle, make_streamed, prepare_changes
from evidence.benchmarks.idle_shards import measure_idle
from evidence.benchmarks.measured import Floor, Row, Run, Section, Way, compared
from evidence.benchmarks.procfs import cpu_seconds, peak_mb
from evidence.benchmarks.stand import crew, servers_cpu
from testbed.job import until
from testbed.search import SearchServer
from testbed.stack import Stack
from testbed.workers import Workers

_FLOOR = ("follow / one by one", 2.0)  # else no one would change over
_TABLE = "benchmark-followed"
_CHANGES = 100_000  # half a minute of catching up
_ROWS_SHARE = 10  # each row is changed so often
_THEIRS = 10  # each n-th of the changes: theirs takes as long for these
_PROBES, _EVERY = 120, 0.25  # changes that are searched for, and seconds between two of them
_BESIDE = 20.0  # changes a second besides those
_SEARCH = 0.05  # seconds between two searches
_TIP_MEDIAN, _TIP_99 = 2.0, 5.0  # seconds from a write to its hit, refresh included
_PAUSES = 8  # of each kind: the longest counts
_WATCHED = 3.0  # seconds for which a paused follow is watched
_PAUSE, _PAUSE_IDLE = 2.0, 5.0  # seconds until a pause holds
_IDLE = 8.0  # seconds without changes, after which a round rests


def measure(servers: Stack, records: int, repeat: int, announce: Callable[[str], None]) -> Section:
    """All of it, on a table of its own."""
    changes = min(_CHANGES, records)
    stream = make_streamed(_TABLE)
    crowd(prepare_changes, 1, _TABLE, changes // _ROWS_SHARE, changes // _ROWS_SHARE, 0)
    with SearchServer(logs=servers.folder, quick=False) as search:
        followed = Followed(servers, search, _TABLE, stream)
        with crew(servers) as workers:
            asyncio.run(_drained(followed))
            announce(f"{_TABLE} is followed, and its index drained")
            ours = Row("reindexer index --follow", note=f"catching up; {servers.processes} processes")
            theirs = Row("poll, one by one", note="one process")
            ways: tuple[Way, Way] = (
                (ours, lambda: _ours(followed, workers, changes)),
                (theirs, lambda: _theirs(followed, changes // _THEIRS)),
            )
            found = compared("follow", *ways, _FLOOR, repeat, announce)
            for part in (_at_the_tip, _live, _paused):
                asyncio.run(part(followed, found))
                announce(found.facts[-1])
            asyncio.run(followed.end())
        measure_idle(servers, search, found, announce)
    return found


async def _drained(followed: Followed) -> None:
    """What was written before is drained once something is written after the scan, or a minute later."""
    async with Trickle(followed, _BESIDE):
        await followed.start()


def _ours(followed: Followed, workers: Workers, changes: int) -> Run:
    """Resumed until the last change is settled."""
    asyncio.run(_steer(followed, "pause"))
    wrote = crowd(prepare_changes, 2, _TABLE, changes // _ROWS_SHARE, changes, random.randrange(10**9))
    before, used = servers_cpu(followed.servers), cpu_seconds(*workers.children())
    before["search_cpu"] = cpu_seconds(followed.search.pid)
    seconds = asyncio.run(_caught_up(followed, wrote.records))
    after = {**servers_cpu(followed.servers), "search_cpu": cpu_seconds(followed.search.pid)}
    details = {name: cpu - before[name] for name, cpu in after.items()}
    cpu = cpu_seconds(*workers.children()) - used
    return Run(changes, seconds, cpu, peak_mb(*workers.children()), details)


async def _steer(followed: Followed, signal: str) -> None:
    handle = await followed.handle()
    await handle.signal(signal)
    await until(handle, lambda seen: (seen["state"] == "paused") is (signal == "pause"))


async def _caught_up(followed: Followed, changes: int) -> float:
    client, handle = await followed.servers.connect(), await followed.handle()
    settled = await followed.settled(client)
    began = time.monotonic()
    await handle.signal("resume")
    await followed.until_settled(client, settled + changes)
    return time.monotonic() - began


def _theirs(followed: Followed, changes: int) -> Run:
    """The first changes of the stream, into an index of its own."""
    index = f"script-{uuid.uuid4().hex[:8]}"
    before = {**servers_cpu(followed.servers), "search_cpu": cpu_seconds(followed.search.pid)}
    module = [sys.executable, "-m", "evidence.benchmarks.one_by_one"]
    asked = [*module, followed.stream, followed.search.url, index, str(changes)]
    [ended], took = run_commands([asked], os.environ)
    if ended.code:
        raise RuntimeError(f"the script failed: {ended.error}")
    after = {**servers_cpu(followed.servers), "search_cpu": cpu_seconds(followed.search.pid)}
    details = {name: cpu - before[name] for name, cpu in after.items()}
    followed.ask("DELETE", f"/{index}")
    return Run(changes, float(ended.output), took.cpu, took.peak_mb, details)


async def _at_the_tip(followed: Followed, found: Section) -> None:
    """Seconds from a write to the first search that finds it."""
    wrote: dict[str, float] = {}
    late: list[float] = []

    async def search() -> None:
        while len(late) < _PROBES:
            if wrote:
                for probe in await asyncio.to_thread(followed.found, list(wrote)):
                    late.append(time.monotonic() - wrote.pop(probe))
            await asyncio.sleep(_SEARCH)

    async with Trickle(followed, _BESIDE), asyncio.timeout(_PROBES * _EVERY + 60):
        searching = asyncio.create_task(search())
        for number in range(_PROBES):
            probe = uuid.uuid4().hex
            await asyncio.to_thread(followed.put, number, probe)
            wrote[probe] = time.monotonic()
            await asyncio.sleep(_EVERY)
        await searching
    middle, latest = median(late), quantiles(late, n=100)[98]
    found.floors += [
        Floor("seconds from a write to its hit, median", middle, _TIP_MEDIAN, at_least=False),
        Floor("seconds from a write to its hit, p99", latest, _TIP_99, at_least=False),
    ]
    found.data["tip"] = {"median": middle, "p99": latest, "longest": max(late), "probes": len(late)}
    found.facts.append(f"a change is found {middle:.2f} s after its write (median; p99 {latest:.2f} s)")


async def _live(followed: Followed, found: Section) -> None:
    """Written as fast as one process can, and carried meanwhile."""
    client, changes = await followed.servers.connect(), _CHANGES // 2
    before = await followed.settled(client)
    arguments = (prepare_changes, 1, _TABLE, changes // _ROWS_SHARE, changes, 1)
    writing = asyncio.create_task(asyncio.to_thread(crowd, *arguments))
    await followed.until_settled(client, before + 1)  # its process has started by then
    began = time.monotonic()
    await followed.until_settled(client, before + changes)
    seconds, wrote = time.monotonic() - began, await writing
    found.data["live"] = {"written": wrote.rate, "carried": changes / seconds}
    found.facts.append(
        f"beside a writer of {wrote.rate:,.0f} changes/s: {changes / seconds:,.0f}/s until all {changes:,} "
        f"had arrived, {max(0.0, seconds - wrote.seconds):.1f} s after the last was written"
    )


async def _paused(followed: Followed, found: Section) -> None:
    """Seconds from the signal to the last document that the index takes, under writes, and begun at rest."""
    handle = await followed.handle()
    busy, idle = list[float](), list[float]()
    for _ in range(_PAUSES):
        async with Trickle(followed, _BESIDE):
            await asyncio.sleep(2.0)  # seconds: heartbeats are as frequent as they get
            busy.append(await _until_still(followed))
        await handle.signal("resume")
    for _ in range(_PAUSES):
        await asyncio.sleep(_IDLE)
        async with Trickle(followed, _BESIDE):
            idle.append(await _until_still(followed))
        await handle.signal("resume")
    found.floors += [
        Floor("seconds until a pause holds", max(busy), _PAUSE, at_least=False),
        Floor("seconds until a pause holds, at rest before", max(idle), _PAUSE_IDLE, at_least=False),
    ]
    found.data["pause"] = {"busy": busy, "idle": idle}
    found.facts.append(
        f"the last write after a pause: {max(busy):.2f} s at most under writes, "
        f"{max(idle):.2f} s where nothing had come for {_IDLE:.0f} s"
    )


async def _until_still(followed: Followed) -> float:
    handle = await followed.handle()
    began = time.monotonic()
    await handle.signal("pause")
    written, last = followed.written(), 0.0
    await until(handle, lambda seen: seen["state"] == "paused")
    watched = time.monotonic() + _WATCHED
    while time.monotonic() < watched:
        now = await asyncio.to_thread(followed.written)
        if now > written:
            written, last = now, time.monotonic() - began
        await asyncio.sleep(_SEARCH)
    return last
