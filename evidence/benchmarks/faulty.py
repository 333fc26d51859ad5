"""The price of safety when things go wrong: the same job with a tenth of all calls failing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from evidence.benchmarks.job import run_job
from evidence.benchmarks.measured import Floor, Row, Run, Section, Way, interleaved, ratio
from evidence.benchmarks.stand import crew
from testbed.faults import FaultPlan, FaultProxy, fault_proxy
from testbed.stack import Stack

_RATE = 0.1  # of all reads and writes fail, half of them after they were applied
_KEPT = 0.6  # of the rate without faults: the failed tenth again, in company and with back-off
_SEED = 1  # the first run's; each further run draws others


def measure(servers: Stack, table: str, repeat: int, announce: Callable[[str], None]) -> Section:
    """The job without the proxy, through it without faults, through it with faults."""
    with fault_proxy(servers.engine.endpoint_url, FaultPlan(), logs=servers.folder) as proxy:
        direct = Row("job, no proxy")
        calm = Row("job through the proxy, no faults")
        rough = Row(f"job through the proxy, {_RATE:.0%} faults")
        rows: list[Way] = [
            (direct, lambda: _run(servers, table, None, FaultPlan())),
            (calm, lambda: _run(servers, table, proxy, FaultPlan())),
            (rough, lambda: _run(servers, table, proxy, FaultPlan.mixed(_RATE, _SEED + len(rough.runs)))),
        ]
        interleaved(rows, repeat, announce)
    twice = sum(run.details["changed_twice"] for run in rough.runs)
    found = Section("faults", [direct, calm, rough])
    found.floors = [
        Floor(f"rate kept with {_RATE:.0%} faults", ratio(rough, calm), _KEPT),
        Floor("records changed twice, by the proxy's own count", twice, 0, at_least=False),
    ]
    found.data = {"ratios": {"rough/calm": round(ratio(rough, calm), 3)}}
    return found


def _run(servers: Stack, table: str, proxy: FaultProxy | None, plan: FaultPlan) -> Run:
    """One job by fresh workers; the faults begin with them and end with them."""
    endpoint = proxy.endpoint_url if proxy else None
    with crew(servers, endpoint=endpoint) as workers:
        if proxy:
            proxy.reset()
            proxy.set_plan(plan)
        run = asyncio.run(run_job(servers, workers, {"table": table}))
        if proxy:
            proxy.set_plan(FaultPlan())
            truth = proxy.truth(wait=5)  # seconds; nothing is late in this plan
            twice = [key for stamp in truth.stamps(table) for key in truth.changed_twice(stamp)]
            run.details["changed_twice"] = float(len(twice))
    return run
