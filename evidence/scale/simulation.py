"""Days in minutes: the real root with stand-in shards, in Temporal's time-skipping environment."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import time
from collections.abc import AsyncIterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from temporalio.testing import WorkflowEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from evidence.scale.hand import Hand, HandActivities
from evidence.scale.histories import RunOf, chain
from evidence.scale.stand_ins import WORLD, StandIn, StandInActivities, World
from reindexer.connect import DATA_CONVERTER
from testbed.obtain import obtain
from workflows.reindex_table import ReindexTable

DAY = 86_400.0  # seconds
_QUEUE = "simulation"


@dataclass(frozen=True)
class Scenario:
    """What is simulated. `days`: of work, then a verification; `limits_every`: seconds between changes."""

    name: str
    days: float
    in_flight: int = 32
    shards: int = 400
    throttles: str = "none"
    limits_every: float = 0.0


@dataclass(frozen=True)
class Simulated:
    """What became of it."""

    scenario: Scenario
    report: dict[str, Any]
    runs: list[RunOf] = field(repr=False)
    days: float
    seconds: float


SCENARIOS = (
    Scenario("a week, steady", 7),
    Scenario("a week, half the shards throttled in turn", 7, throttles="in turn"),
    Scenario("a week, all throttled every other hour", 7, throttles="all by the hour"),
    Scenario("a day, throttled at random, 400 in flight", 1, in_flight=400, throttles="at random"),
    Scenario("six hours, limits changed every minute", 0.25, throttles="in turn", limits_every=60),
)


@contextlib.asynccontextmanager
async def environment() -> AsyncIterator[WorkflowEnvironment]:
    """Temporal's time-skipping server with a worker for the root and its stand-ins."""
    path = obtain("test-server").command[0]
    async with await WorkflowEnvironment.start_time_skipping(
        test_server_existing_path=path, data_converter=DATA_CONVERTER
    ) as env:

        async def now() -> float:
            return (await env.get_current_time()).timestamp()

        async with Worker(
            env.client,
            task_queue=_QUEUE,
            workflows=[ReindexTable, StandIn, Hand],
            activities=[*StandInActivities(now).all, HandActivities(env.client).change_limits],
            workflow_runner=UnsandboxedWorkflowRunner(),  # the stand-ins share the world with their look
            max_concurrent_workflow_tasks=6,  # as of a real worker
            max_concurrent_activities=1000,  # 400 in flight, and looks
        ):
            yield env


async def simulate(env: WorkflowEnvironment, scenario: Scenario, name: str) -> Simulated:
    """One scenario from start to end."""
    waves = scenario.shards / scenario.in_flight
    world = World(
        scenario.shards, scenario.days * DAY / waves, scenario.in_flight, throttles=scenario.throttles
    )
    WORLD[name] = world
    began, first = time.monotonic(), await env.get_current_time()
    asked = {"table": "simulated", "limits": {"shards_in_flight": scenario.in_flight}}
    handle = await env.client.start_workflow("ReindexTable", asked, id=name, task_queue=_QUEUE)
    if scenario.limits_every:
        arguments = [name, scenario.limits_every]
        hand = await env.client.start_workflow("Hand", args=arguments, id=f"{name}-hand", task_queue=_QUEUE)
    report = await handle.result()
    if scenario.limits_every:
        await hand.terminate()
    last = await env.client.get_workflow_handle(name).describe()
    runs = await chain(env.client, name, last.run_id)
    days = ((await env.get_current_time()) - first).total_seconds() / DAY
    del WORLD[name]
    return Simulated(scenario, report, runs, days, time.monotonic() - began)


def simulate_all() -> list[Simulated]:
    """Every scenario in a process of its own, as many side by side as there are cores."""
    with ProcessPoolExecutor(mp_context=multiprocessing.get_context("spawn")) as pool:
        longest_first = {scenario: pool.submit(_alone, scenario) for scenario in reversed(SCENARIOS)}
        return [longest_first[scenario].result() for scenario in SCENARIOS]


def _alone(scenario: Scenario) -> Simulated:
    async def work() -> Simulated:
        async with environment() as env:
            return await simulate(env, scenario, "days")

    found = asyncio.run(work())
    print(f"  {scenario.name}: {found.days:.1f} days in {found.seconds:,.0f} s", flush=True)
    return found
