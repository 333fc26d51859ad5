"""A follow beside a loop that polls the stream and sends each change by itself; how late a change is found, how
soon a pause holds, and what stream shards cost that have nothing new.

Ours: `FollowTable` by workers that run already, drained before. It is paused while 100,000 changes are written,
resumed, and has caught up once each is settled. Theirs: `one_by_one.py` in this folder, on the same stream.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
import uuid
from collections.abc import Callable

from evidence.benchmarks.at_the_tip import measure_tip
from evidence.benchmarks.catching_up import (
    BESIDE,
    CHANGES,
    ROWS_SHARE,
    catch_up,
    cpu_of_servers,
    drained,
    since,
)
from evidence.benchmarks.commands import run_commands
from evidence.benchmarks.crowd import crowd
from evidence.benchmarks.destinations import SearchIndex
from evidence.benchmarks.followed import Followed, Trickle, make_streamed, prepare_changes
from evidence.benchmarks.idle_shards import measure_idle
from evidence.benchmarks.measured import Floor, Row, Run, Section, Way, compared
from evidence.benchmarks.stand import crew
from testbed.job import until
from testbed.search import SearchServer
from testbed.stack import Stack

_FLOOR = ("follow / one by one", 2.0)  # else no one would change over
_TABLE = "benchmark-followed"
_THEIRS = 10  # each n-th of the changes: theirs takes as long for these
_LOOK = 0.05  # seconds between two looks at it
_PAUSES = 8  # of each kind: the longest counts
_WATCHED = 3.0  # seconds for which a paused follow is watched
_PAUSE, _PAUSE_IDLE = 2.0, 5.0  # seconds until a pause holds
_IDLE = 8.0  # seconds without changes, after which a round rests


def measure(servers: Stack, records: int, repeat: int, announce: Callable[[str], None]) -> Section:
    """All of it, on a table of its own."""
    changes = min(CHANGES, records)
    stream = make_streamed(_TABLE)
    crowd(prepare_changes, 1, _TABLE, changes // ROWS_SHARE, changes // ROWS_SHARE, 0)
    with SearchServer(logs=servers.folder, quick=False) as search:
        target = SearchIndex(search)
        followed = Followed(servers, target, _TABLE, stream)
        with crew(servers) as workers:
            asyncio.run(drained(followed))
            announce(f"{_TABLE} is followed, and its index drained")
            ours = Row("reindexer index --follow", note=f"catching up; {servers.processes} processes")
            theirs = Row("poll, one by one", note="one process")
            ways: tuple[Way, Way] = (
                (ours, lambda: catch_up(followed, workers, changes)),
                (theirs, lambda: _theirs(followed, target, changes // _THEIRS)),
            )
            found = compared("follow", *ways, _FLOOR, repeat, announce)
            for part in (
                measure_tip(followed, found),
                _live(followed, found),
                _paused(followed, target, found),
            ):
                asyncio.run(part)
                announce(found.facts[-1])
            asyncio.run(followed.end())
        measure_idle(servers, search, found, announce)
    return found


def _theirs(followed: Followed, target: SearchIndex, changes: int) -> Run:
    """The first changes of the stream, into an index of its own."""
    index = f"script-{uuid.uuid4().hex[:8]}"
    before = cpu_of_servers(followed)
    module = [sys.executable, "-m", "evidence.benchmarks.one_by_one"]
    asked = [*module, followed.stream, target.search.url, index, str(changes)]
    [ended], took = run_commands([asked], os.environ)
    if ended.code:
        raise RuntimeError(f"the script failed: {ended.error}")
    details = since(followed, before)
    target.search.ask("DELETE", f"/{index}")
    return Run(changes, float(ended.output), took.cpu, took.peak_mb, details)


async def _live(followed: Followed, found: Section) -> None:
    """Written as fast as one process can, and carried meanwhile."""
    client, changes = await followed.servers.connect(), CHANGES // 2
    before = await followed.settled(client)
    arguments = (prepare_changes, 1, _TABLE, changes // ROWS_SHARE, changes, 1)
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


async def _paused(followed: Followed, target: SearchIndex, found: Section) -> None:
    """Seconds from the signal to the last document that the index takes, under writes, and begun at rest."""
    handle = await followed.handle()
    busy, idle = list[float](), list[float]()
    for _ in range(_PAUSES):
        async with Trickle(followed, BESIDE):
            await asyncio.sleep(2.0)  # seconds: heartbeats are as frequent as they get
            busy.append(await _until_still(followed, target))
        await handle.signal("resume")
    for _ in range(_PAUSES):
        await asyncio.sleep(_IDLE)
        async with Trickle(followed, BESIDE):
            idle.append(await _until_still(followed, target))
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


async def _until_still(followed: Followed, target: SearchIndex) -> float:
    handle = await followed.handle()
    began = time.monotonic()
    await handle.signal("pause")
    written, last = target.written(), 0.0
    await until(handle, lambda seen: seen["state"] == "paused")
    watched = time.monotonic() + _WATCHED
    while time.monotonic() < watched:
        now = await asyncio.to_thread(target.written)
        if now > written:
            written, last = now, time.monotonic() - began
        await asyncio.sleep(_LOOK)
    return last
