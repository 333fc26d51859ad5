"""Bounds of a job of days, in Temporal's time-skipping environment; `make scale` simulates longer."""

from __future__ import annotations

import asyncio

import pytest

from evidence.scale.parts import of_shard, of_simulation
from evidence.scale.shard_simulation import simulate_shard
from evidence.scale.simulation import Scenario, Simulated, environment, simulate

pytestmark = pytest.mark.stack

#: Work of hours: enough for several runs of the root each. That with changes of limits is the shorter one.
SCENARIOS = (
    Scenario("hours, half the shards throttled in turn", 0.1, in_flight=48, shards=96, throttles="in turn"),
    Scenario(
        "three quarters of an hour, limits changed every minute",
        0.03,
        in_flight=16,
        shards=32,
        throttles="in turn",
        limits_every=60,
    ),
)


@pytest.mark.parametrize(
    "scenario",
    [pytest.param(scenario, id=scenario.name) for scenario in SCENARIOS],
)
@pytest.mark.alone  # how long a history takes to replay
@pytest.mark.long
@pytest.mark.nightly
def test_every_run_of_the_root_is_bounded(scenario: Scenario) -> None:
    async def simulated() -> Simulated:
        async with environment() as env:
            return await simulate(env, scenario, "simulated-days")

    found = asyncio.run(simulated())
    assert len(found.runs) > 1, "it has to hand over"
    assert found.report["tally"]["scanned"] > 0
    assert found.report["verification"]["scanned"] > 0  # by shards of their own, each with its own length
    assert bool(found.report["controls"]) == bool(scenario.limits_every)
    assert of_simulation([found]).wrong == []


@pytest.mark.nightly
@pytest.mark.long
def test_every_run_of_a_shard_is_bounded_with_the_longest_keys() -> None:
    found = asyncio.run(simulate_shard(days=0.15))
    assert len(found.runs) > 1, "it has to continue as new"
    assert found.kept == len(found.runs) - 1, "no state of its keys fits into a run's input"
    assert of_shard(found).wrong == []
