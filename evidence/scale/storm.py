"""Twenty minutes of everything at once, on servers whose limits are a twentieth: the job outlives many runs of
its root, and every count is exact."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from temporalio.client import WorkflowHandle
from temporalio.service import RPCError

from evidence.scale.histories import RunOf, chain
from evidence.scale.tables import fill
from reindexer.dynamo.client import make_client
from testbed.faults import Fault, FaultKind, FaultPlan
from testbed.stack import Stack, stack

#: What a production server has twenty times of; and its suggestion to continue as new, at a quarter.
LIMITS = {
    "history.maximumSignalsPerExecution": 500,
    "limit.historyCount.error": 2500,
    "limit.historyCount.suggestContinueAsNew": 1000,
}
SETTINGS = {
    "REINDEXER_ROUND_SECONDS": "1",
    "REINDEXER_LOOK_SECONDS": "1",  # a day's looks in minutes
    "REINDEXER_CYCLE_SIGNALS": "150",  # of 500
}
IN_FLIGHT = 48
_PROCESSES = 3  # of workers: one is killed now and then
_TABLE = "storm"
_ROW_BYTES = 2000
_UNITS_PER_ROW = 0.5  # read units of a consistent read: 2 KB of 4


@dataclass
class Seen:
    """What happened. `pauses`: seconds from the signal until nothing ran."""

    report: dict[str, Any] = field(default_factory=dict)
    runs: list[RunOf] = field(default_factory=list)
    pauses: list[float] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    limits_set: int = 0
    killed: int = 0
    seconds: float = 0.0
    verify_seconds: float = 0.0
    changed: int = 0  # records, as the fault proxy saw it
    changed_twice: int = 0
    rows: int = 0


async def storm(folder: Path, minutes: float) -> Seen:
    """`minutes` of changing records, then as many of verifying."""
    seconds = minutes * 60
    seen, rows = Seen(), int(seconds * 20)  # the engine reads the rest of a table for each page: 24 MB
    with (
        stack(
            folder, faults=FaultPlan(), settings=SETTINGS, processes=_PROCESSES, dynamic_config=LIMITS
        ) as servers,
        servers.surroundings(),
        servers.workers as workers,
    ):
        workers.come_up()
        fill(make_client(lean=False), _TABLE, rows, size=_ROW_BYTES)
        limits = {
            "records_per_second": 140,
            "read_units_per_second": rows * _UNITS_PER_ROW / seconds,  # binding when it verifies
            "shards_in_flight": IN_FLIGHT,
        }
        job = {"table": _TABLE, "total_segments": IN_FLIGHT * 4 // 3, "limits": limits}
        handle = await servers.start(job, "storm")
        began = time.monotonic()
        phase = _Phase(handle)
        troubles = [
            asyncio.ensure_future(task)
            for task in (
                _throttles(servers),
                _limits(handle, phase, seen),
                _pauses(handle, phase, seen),
                _kills(servers, seen, minutes * 60 / 3),
            )
        ]
        try:
            seen.report = await handle.result()
        finally:
            for trouble in troubles:
                trouble.cancel()
        seen.seconds = time.monotonic() - began
        seen.verify_seconds = phase.verify_seconds
        last = await handle.describe()
        client = await servers.connect()
        seen.runs = await chain(client, handle.id, last.run_id)
        truth = servers.proxy.truth(wait=2)
        seen.changed_twice = len(truth.changed_twice(seen.report["run"]))
        seen.changed = truth.changed(_TABLE, seen.report["run"])
        seen.rows = rows
    return seen


class _Phase:
    """What the job does, asked once for all who want to know."""

    def __init__(self, handle: WorkflowHandle[Any, Any]) -> None:
        self._handle, self._at = handle, 0.0
        self._last: dict[str, Any] = {"state": "", "phase": ""}
        self._verifying_since = 0.0
        self.verify_seconds = 0.0

    async def progress(self, age: float = 1.0) -> dict[str, Any]:
        """The query's answer, this many seconds old at most; older while no one answers."""
        if time.monotonic() - self._at > age:
            with contextlib.suppress(RPCError):  # for a moment after a worker was killed
                self._last, self._at = await self._handle.query("progress"), time.monotonic()
            if self._last["phase"] == "verifying":
                self._verifying_since = self._verifying_since or time.monotonic()
                self.verify_seconds = time.monotonic() - self._verifying_since
        return self._last


async def _throttles(servers: Stack) -> None:
    """Three seconds in which two calls of three are throttled, three without."""
    fault = Fault(kind=FaultKind.THROTTLE, probability=0.66, tables=frozenset((_TABLE,)))
    while True:
        servers.proxy.set_plan(FaultPlan(faults=(fault,)))
        await asyncio.sleep(3)
        servers.proxy.set_plan(FaultPlan())
        await asyncio.sleep(3)


async def _limits(handle: WorkflowHandle[Any, Any], phase: _Phase, seen: Seen) -> None:
    """Changed by hand every fifteen seconds: four times as often as every minute."""
    number = 0
    while True:
        await asyncio.sleep(15)
        number += 1
        await phase.progress()
        change = {"records_per_second": 130 + number % 2 * 20}
        seen.limits_set += await _insisted(seen, partial(handle.execute_update, "set_limits", change))


async def _pauses(handle: WorkflowHandle[Any, Any], phase: _Phase, seen: Seen) -> None:
    """A pause at any moment: it gets in, and everything is paused."""
    while True:
        await asyncio.sleep(17)  # no multiple of anything else
        asked = time.monotonic()
        await _insisted(seen, lambda: handle.signal("pause", {"reason": "scale"}))
        while (await phase.progress(0.1))["state"] not in ("paused", "parked", "done"):
            await asyncio.sleep(0.1)
        seen.pauses.append(time.monotonic() - asked)
        await asyncio.sleep(1)
        await _insisted(seen, lambda: handle.signal("resume"))


async def _kills(servers: Stack, seen: Seen, every: float) -> None:
    """kill -9 of a worker process now and then; its parent starts another."""
    while True:
        await asyncio.sleep(every)
        servers.workers.kill_one()
        seen.killed += 1


async def _insisted(seen: Seen, call: Callable[[], Awaitable[object]]) -> int:
    """1, once it was taken. A refusal is noted, and tried again: between two runs an update may be refused."""
    for _ in range(20):  # at most 10 s
        try:
            await call()
        except RPCError as error:
            seen.refused.append(f"{error.status.name}: {error.message}"[:80])
            await asyncio.sleep(0.5)
        except Exception as error:
            seen.refused.append(f"{type(error).__name__}: {error}"[:80])
            await asyncio.sleep(0.5)
        else:
            return 1
    return 0
