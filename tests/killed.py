"""A job whose workers are killed on its way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

from testbed.job import outcome, until
from testbed.stack import Stack


async def outcome_though_killed(
    beside: Stack,
    job: Any,
    moments: Iterable[Callable[[dict[str, Any]], bool]],
    limits: dict[str, Any],
) -> tuple[str, dict[str, Any]]:
    """As `outcome`. All workers are killed at each moment and others start; `limits` let it come to its end."""
    with beside.workers as workers:
        workers.come_up()
        handle = await beside.start(job)
        for reached in moments:
            await until(handle, reached)
            await asyncio.to_thread(workers.kill)
            workers.start()
            await asyncio.to_thread(workers.come_up)
        await handle.execute_update("set_limits", limits)
        return await outcome(handle)
