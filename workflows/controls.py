"""Stopping, pausing and going on: one implementation for root and shard.

Handlers only set the desired state; the driving task looks at it after every await. Cancelling the workflow
cancels `run` alone: what drives is shielded, learns of it through `stopping`, and ends normally.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TypeVar

from temporalio import workflow

T = TypeVar("T")


class Gate:
    """Whether work may go on. `stopping` never goes back; `paused` does."""

    def __init__(self) -> None:
        self.paused = False
        self.stopping = False

    @property
    def open(self) -> bool:
        """Whether work may be started now."""
        return not self.paused and not self.stopping

    async def wait_open(self) -> bool:
        """Wait while paused. False: stopping."""
        await workflow.wait_condition(lambda: not self.paused or self.stopping)
        return not self.stopping

    async def sleep(self, seconds: float, summary: str, until: Callable[[], bool] = lambda: False) -> None:
        """A durable timer that ends early on pause, stop, or `until`."""
        try:
            await workflow.wait_condition(
                lambda: not self.open or until(),
                timeout=timedelta(seconds=seconds),
                timeout_summary=summary[:200],  # Temporal's bound for a summary
            )
        except TimeoutError:
            return


async def run_shielded(drive: Awaitable[T], gate: Gate) -> T:
    """Run `drive` to its normal end, also when the workflow is cancelled: that sets `gate.stopping`."""
    task = asyncio.ensure_future(drive)
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            if task.cancelled():
                raise
            gate.stopping = True
    return task.result()


async def handed_back(handle: workflow.ActivityHandle[T], stop: Callable[[], bool]) -> T:
    """The result of an activity that is asked to hand back its state as soon as `stop` holds.

    Always ask here, never in a handler: the SDK drops a result that arrives in the same activation as the
    request, and this waits until everything of an activation has been applied. Raises `ActivityError`; or
    `asyncio.CancelledError` where the activity was never scheduled.
    """
    await workflow.wait_condition(lambda: handle.done() or stop())
    if not handle.done():
        handle.cancel()
    return await handle
