"""Someone who changes the limits of a simulated job again and again."""

from __future__ import annotations

import contextlib
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError
from temporalio.service import RPCError

_CHANGES_PER_RUN = 200  # 2,200 events


@workflow.defn(name="Hand")
class Hand:
    """Someone who cannot leave a job's limits alone, until terminated.

    A workflow, since its timers do not hold up time, as a sleep of the test server does: that locks and unlocks
    time by counting, and a call that is lost under load leaves it locked for good.
    """

    @workflow.run
    async def run(self, job: str, every: float) -> None:
        """Change them after each `every` seconds."""
        for number in range(_CHANGES_PER_RUN):
            await workflow.sleep(every)
            with contextlib.suppress(ActivityError):  # it comes again
                await workflow.execute_activity(
                    "change_limits",
                    args=[job, number],
                    start_to_close_timeout=timedelta(seconds=30),  # of real time: none passes while it runs
                    retry_policy=RetryPolicy(maximum_attempts=1),
                )
        workflow.continue_as_new(args=[job, every])


class HandActivities:
    """What the hand calls."""

    def __init__(self, client: Client) -> None:
        self._client = client

    @activity.defn(name="change_limits")
    async def change_limits(self, job: str, number: int) -> None:
        """To and fro; between two runs of the job nothing changes."""
        change = {"write_units_per_second": 5000.0 + number % 2 * 3000}
        with contextlib.suppress(RPCError):
            handle = self._client.get_workflow_handle(job)
            await handle.execute_update("set_limits", change, rpc_timeout=timedelta(seconds=10))
