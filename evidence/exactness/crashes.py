"""Workers and servers that die, freeze, are replaced or cut off, alone and while someone controls the job."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

from temporalio.client import WorkflowFailureError
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError

from evidence.exactness.cell import Cell, Handle, Happened
from evidence.exactness.scenes import only
from evidence.exactness.stand import HEARTBEAT_SECONDS, Stand
from testbed.faults import Fault, FaultKind, FaultPlan
from testbed.forwarder import Forwarder
from testbed.token_service import TokenService

_SOON = 120.0  # seconds until a job has to show what was asked of it; it takes some ten after a crash
_LOOK = 0.1  # seconds between two looks
_ANSWER = timedelta(seconds=5)  # for an answer of a worker; one that has died gives none
_PAUSES = 4  # in a row: with some batches between them, as many as a job of the matrix has work for
STILL = 1.5  # seconds that a paused job is watched for: longer than any call of it
_AT_WORK = 0.5  # seconds after which shards that have handed back are at work again
_GONE = 1.0  # seconds without any worker
_DOWN = HEARTBEAT_SECONDS + 1  # seconds without Temporal: all attempts have timed out
_RATE = 200.0  # records per second, below what a job of the matrix does
_SLOWER = 1.0  # seconds a batch, less than `STILL`: whoever is cut off has work until long after its time-out
_FAILING = 6.0  # seconds: credentials that were had before serve for 3 of them


async def kill_one(stand: Stand, _cell: Cell, _table: str, _handle: Handle) -> Happened:
    """kill -9 of one worker process; another is started in its place."""
    await asyncio.to_thread(stand.workers.kill_one)
    return Happened()


async def kill_all(stand: Stand, _cell: Cell, _table: str, _handle: Handle) -> Happened:
    """kill -9 of all workers; new ones start a second later, and wait for the old attempts to time out."""
    await asyncio.to_thread(stand.workers.kill)
    await asyncio.sleep(_GONE)
    await asyncio.to_thread(_come_back, stand)
    return Happened()


async def freeze(stand: Stand, _cell: Cell, _table: str, _handle: Handle) -> Happened:
    """SIGSTOP of one process beyond its heartbeat timeout, then SIGCONT: a zombie, with writes in its hands."""
    frozen = stand.workers.children()[0]
    os.kill(frozen, signal.SIGSTOP)
    try:
        await asyncio.sleep(HEARTBEAT_SECONDS + 2)
    finally:
        os.kill(frozen, signal.SIGCONT)
    return Happened()


async def pause(stand: Stand, cell: Cell, table: str, handle: Handle) -> Happened:
    """Pause, kill -9 of all workers while rounds hand back; resume once it shows as paused."""
    await handle.signal("pause")
    await kill_all(stand, cell, table, handle)
    musts = await _is_still(stand, table, handle)
    await handle.signal("resume")
    return Happened(musts=musts)


async def pauses(stand: Stand, cell: Cell, table: str, handle: Handle) -> Happened:
    """Pause and resume while records are settled out of order: each round reads again what lies ahead."""
    async with _slower(stand, cell, table):
        for _ in range(_PAUSES):
            await handle.signal("pause")
            await until(handle, lambda progress: progress["state"] == "paused")
            await handle.signal("resume")
            await asyncio.sleep(_AT_WORK)
    return Happened(injected={"pauses": _PAUSES})


async def limits(stand: Stand, cell: Cell, table: str, handle: Handle) -> Happened:
    """Limits that are set while all workers die, and are taken back once they are in force."""
    setting = asyncio.create_task(handle.execute_update("set_limits", {"records_per_second": _RATE}))
    await kill_all(stand, cell, table, handle)
    in_force = (await asyncio.wait_for(setting, _SOON))["records_per_second"]
    await handle.execute_update("set_limits", {"records_per_second": "unlimited"})
    return Happened(musts={"limits that were set are not in force": in_force == _RATE})


async def cancel(stand: Stand, cell: Cell, table: str, handle: Handle) -> Happened:
    """Cancel, and kill -9 of all workers while rounds hand back."""
    await handle.cancel()
    return await kill_all(stand, cell, table, handle)


async def cycle(stand: Stand, cell: Cell, table: str, handle: Handle) -> Happened:
    """kill -9 of all workers once the job has continued as new, which it does every second or two."""
    async with _slower(stand, cell, table):
        before = await until(handle, lambda progress: progress["cycle"] >= 1)
        await asyncio.sleep(_AT_WORK)
        await kill_all(stand, cell, table, handle)
    return Happened(injected={"continued as new": before["cycle"]})


async def upgrade(stand: Stand, _cell: Cell, _table: str, _handle: Handle) -> Happened:
    """Workers get SIGTERM, and others come; one process of the old is killed before it has handed back."""
    dying = stand.workers.children()[0]
    stopping = asyncio.create_task(asyncio.to_thread(stand.workers.stop))
    os.kill(dying, signal.SIGKILL)
    code = await stopping
    await asyncio.to_thread(_come_back, stand)
    return Happened(injected={"workers replaced": 1}, musts={"no worker ended in good order": code >= 0})


async def restart_temporal(stand: Stand, _cell: Cell, _table: str, _handle: Handle) -> Happened:
    """Temporal's server is killed and comes back with what it had written down; workers stay."""
    await asyncio.to_thread(stand.temporal.process.kill)
    await asyncio.sleep(_DOWN)
    await asyncio.to_thread(stand.temporal.process.start)
    return Happened(injected={"Temporal restarted": 1})


async def cut_off(stand: Stand, cell: Cell, table: str, handle: Handle) -> Happened:
    """One of two worker processes loses Temporal and keeps DynamoDB; the job is paused meanwhile."""
    assert stand.forwarder is not None
    stand.forwarder.cut()
    try:
        async with _slower(stand, cell, table):
            await handle.signal("pause")
            musts = await _is_still(stand, table, handle)
            await handle.signal("resume")
        await asyncio.sleep(STILL)  # the other process works on alone
    finally:
        stand.forwarder.restore()
    return Happened(musts=musts)


async def second_job(stand: Stand, cell: Cell, table: str, handle: Handle) -> Happened:
    """Two more jobs on the table while workers die: one just like the first, one with a version of its own."""
    attributes: tuple[dict[str, Any], ...] = (
        {},
        {"attributes": {"version": "anotherVersion", "run": "reindexRun"}},
    )
    async with _slower(stand, cell, table):  # the first is still at work when the others ask for its lock
        others = [
            await stand.start(
                {"table": table, **cell.verb.job, **cell.job, **more},
                f"another-{number}-{handle.id[::-1]}",  # which does not contain the first's
            )
            for number, more in enumerate(attributes)
        ]
        await kill_all(stand, cell, table, handle)
        refusals = [await _refusal(other) for other in others]
    named = all(handle.id in refusal for refusal in refusals)
    return Happened(injected={"second jobs": 2}, musts={f"not refused by the first: {refusals}": named})


async def tokens_refused(stand: Stand, cell: Cell, table: str, handle: Handle) -> Happened:
    """The role may not be assumed any more: the job parks; then it may again, and the job is resumed."""
    assert stand.tokens is not None
    stand.tokens.answers = 403
    async with _slower(stand, cell, table):  # credentials that were had before serve for seconds
        parked = await until(handle, lambda progress: progress["state"] == "parked")
    stand.tokens.answers = 200
    await handle.signal("resume")
    named = "AssumeRoleWithWebIdentity" in parked["reason"]
    return Happened(
        injected={"credentials refused": stand.tokens.refused},
        musts={f"parked for another reason: {parked['reason']}": named},
    )


async def tokens_failing(stand: Stand, cell: Cell, table: str, _handle: Handle) -> Happened:
    """STS answers 500 for longer than credentials last, and recovers: the job goes on by itself."""
    assert stand.tokens is not None
    stand.tokens.answers = 500
    async with _slower(stand, cell, table):
        await asyncio.sleep(_FAILING)
    stand.tokens.answers = 200
    return Happened(injected={"credentials failed": stand.tokens.refused})


@contextmanager
def cycling(stand: Stand) -> Iterator[Stand]:
    """Workers whose jobs continue as new after some 40 events, a second or two."""
    settings = {"REINDEXER_CYCLE_EVENTS": "40", "REINDEXER_LOOK_SECONDS": "0.2", "REINDEXER_ROUND_SECONDS": "2"}
    cycling = stand.beside("cycling", settings)
    with cycling.workers as workers:
        workers.come_up()
        yield cycling


@contextmanager
def one_behind_a_forwarder(stand: Stand) -> Iterator[Stand]:
    """Two workers of one process: one reaches Temporal through a forwarder. Rounds last for a whole cell."""
    settings = {"REINDEXER_PROCESSES": "1", "REINDEXER_ROUND_SECONDS": "60"}
    with Forwarder(stand.temporal.address) as forwarder:
        near = stand.beside("cut-off", settings)
        far = near.beside(settings={"TEMPORAL_ADDRESS": forwarder.address}, log="cut-off-far.log")
        with near.workers, far.workers:
            near.workers.come_up()
            far.workers.come_up()
            yield replace(near, forwarder=forwarder)


@contextmanager
def credentials_by_tokens(stand: Stand) -> Iterator[Stand]:
    """Workers that assume a role, and renew their credentials every few seconds."""
    with TokenService(stand.folder) as tokens:
        without = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
        renewing = stand.beside("by-tokens", tokens.environment, without=without)
        with renewing.workers as workers:
            workers.come_up()
            yield replace(renewing, tokens=tokens)


@asynccontextmanager
async def _slower(stand: Stand, cell: Cell, table: str) -> AsyncIterator[None]:
    """Writes that take a second each, so that there is work until what happens has happened."""
    faults = (*cell.plan(table), *cell.standing(table))
    slower = only(table, (Fault(kind=FaultKind.SLOW, seconds=_SLOWER, operations="writes"),))
    await asyncio.to_thread(stand.proxy.set_plan, FaultPlan(faults=(*faults, *slower)))
    try:
        yield
    finally:
        await asyncio.to_thread(stand.proxy.set_plan, FaultPlan(faults=faults))


def _come_back(stand: Stand) -> None:
    stand.workers.start()
    stand.workers.come_up()


async def _is_still(stand: Stand, table: str, handle: Handle) -> Mapping[str, bool]:
    """Wait until the job shows as paused; then nothing of it may write."""
    await until(handle, lambda progress: progress["state"] == "paused")
    before = (await asyncio.to_thread(stand.proxy.truth)).applied(table)
    await asyncio.sleep(STILL)
    after = (await asyncio.to_thread(stand.proxy.truth)).applied(table)
    return {f"a paused job has written {after - before:,} times": after == before}


async def until(handle: Handle, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """What the job shows as soon as it holds. Raises `TimeoutError` with what it showed last."""
    until, last = time.monotonic() + _SOON, dict[str, Any]()
    while time.monotonic() < until:
        with suppress(RPCError):  # no worker is there to answer yet
            last = dict(await handle.query("progress", rpc_timeout=_ANSWER))
            if holds(last):
                return last
        await asyncio.sleep(_LOOK)
    raise TimeoutError(f"{handle.id} shows {last}")


async def _refusal(handle: Handle) -> str:
    try:
        return f"complete: {await asyncio.wait_for(handle.result(), _SOON)}"
    except WorkflowFailureError as error:
        cause = error.cause
        locked = isinstance(cause, ApplicationError) and cause.type == "Locked"
        return str(cause) if locked else f"not for its lock ({type(cause).__name__})"
