"""What is done to a running job besides faults of its calls: crashes, freezes, and other writers."""

from __future__ import annotations

import asyncio
import os
import signal

from deploy.faults import FaultPlan
from exactness import tables
from exactness.stand import HEARTBEAT_SECONDS, Stand


async def kill_one(stand: Stand, _table: str, _records: int) -> None:
    """kill -9 of one worker process; another is started in its place."""
    await asyncio.to_thread(stand.workers.kill_one)


async def kill_all(stand: Stand, _table: str, _records: int) -> None:
    """kill -9 of all workers; new ones are there once the old attempts have timed out."""
    await asyncio.to_thread(stand.workers.kill)
    await asyncio.sleep(HEARTBEAT_SECONDS + 1)
    await asyncio.to_thread(stand.workers.start)
    await asyncio.to_thread(stand.workers.come_up)


async def freeze(stand: Stand, _table: str, _records: int) -> None:
    """SIGSTOP of one process beyond its heartbeat timeout, then SIGCONT: a zombie, with writes in its hands."""
    frozen = stand.workers.children()[0]
    os.kill(frozen, signal.SIGSTOP)
    try:
        await asyncio.sleep(HEARTBEAT_SECONDS + 2)
    finally:
        os.kill(frozen, signal.SIGCONT)


async def drop_stamps(stand: Stand, table: str, records: int) -> None:
    """Another writer puts whole items, without stamps, while calls are being tried again; then it stops."""
    for _ in range(4):  # passes; in each, the records whose answers were just lost are the ones that matter
        await asyncio.to_thread(tables.put, stand.direct, table, range(records))
    stand.proxy.set_plan(FaultPlan())
