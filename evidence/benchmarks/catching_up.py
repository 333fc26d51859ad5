"""A follow that is paused while many changes are written, resumed, and has caught up once each is settled."""

from __future__ import annotations

import asyncio
import random
import time

from evidence.benchmarks.crowd import crowd
from evidence.benchmarks.followed import Followed, Trickle, prepare_changes
from evidence.benchmarks.measured import Run
from evidence.benchmarks.procfs import cpu_seconds, peak_mb
from evidence.benchmarks.stand import servers_cpu
from testbed.job import until
from testbed.workers import Workers

CHANGES = 100_000  # half a minute of catching up
ROWS_SHARE = 10  # each row is changed so often
BESIDE = 20.0  # changes a second while it drains, and beside what is looked for


async def drained(followed: Followed) -> None:
    """What was written before is drained once something is written after the scan, or a minute later."""
    async with Trickle(followed, BESIDE):
        await followed.start()


def catch_up(followed: Followed, workers: Workers, changes: int) -> Run:
    """Resumed until the last change is settled."""
    asyncio.run(_steer(followed, "pause"))
    turn = random.randrange(10**9)
    wrote = crowd(prepare_changes, 2, followed.table, changes // ROWS_SHARE, changes, turn)
    before, used = cpu_of_servers(followed), cpu_seconds(*workers.children())
    seconds = asyncio.run(_caught_up(followed, wrote.records))
    cpu = cpu_seconds(*workers.children()) - used
    return Run(changes, seconds, cpu, peak_mb(*workers.children()), since(followed, before))


def cpu_of_servers(followed: Followed) -> dict[str, float]:
    """CPU seconds so far of the engine, of Temporal's server, and of the destination's where it has its own."""
    own = {} if followed.to.pid is None else {"search_cpu": cpu_seconds(followed.to.pid)}
    return {**servers_cpu(followed.servers), **own}


def since(followed: Followed, before: dict[str, float]) -> dict[str, float]:
    """What they took after `before`."""
    return {name: cpu - before[name] for name, cpu in cpu_of_servers(followed).items()}


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
