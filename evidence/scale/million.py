"""A million records on the embedded servers, with nothing but defaults."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evidence.benchmarks.histories import account
from evidence.benchmarks.procfs import peak_mb
from evidence.benchmarks.stand import crew, stand
from evidence.benchmarks.tables import make_table
from evidence.scale.histories import RunOf, chain
from testbed.embedded import available_engines
from testbed.stack import Stack

_TABLE = "million"
_PROCESSES = 2  # of workers: one for each core of a small machine


@dataclass(frozen=True)
class Million:
    """`memory`: peak MB of each process. `events`: of the root and all its shards."""

    report: dict[str, Any]
    seconds: float
    events: int
    memory: dict[str, float]
    runs: list[RunOf]


def million(folder: Path, records: int = 1_000_000) -> Million:
    """One touch of all of them, verified."""
    with stand(available_engines()[0], folder, _PROCESSES) as servers:
        make_table(_TABLE, records, _PROCESSES)
        with crew(servers) as workers:
            report, seconds, events, runs = asyncio.run(_job(servers))
            memory = {f"worker {number + 1}": peak_mb(pid) for number, pid in enumerate(workers.children())}
        memory["Temporal's server"] = peak_mb(servers.temporal.pid)
        memory[servers.engine.name] = peak_mb(servers.engine.pid)
    return Million(report, seconds, events, memory, runs)


async def _job(servers: Stack) -> tuple[dict[str, Any], float, int, list[RunOf]]:
    client = await servers.connect()
    began = time.monotonic()
    handle = await servers.start({"table": _TABLE}, "reindex-million")
    report: dict[str, Any] = await handle.result()
    seconds = time.monotonic() - began
    histories = await account(client, handle.id)
    last = await client.get_workflow_handle(handle.id).describe()
    return report, seconds, histories.events, await chain(client, handle.id, last.run_id)
