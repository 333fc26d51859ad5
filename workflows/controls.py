"""Stopping, pausing and going on: one implementation for root and shard.

Handlers only set the desired state; the driving task looks at it after every await. Cancelling the workflow
cancels `run` alone: what drives is shielded, is told through `stopping`, and ends normally.
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
        self._on_stop: list[Callable[[], object]] = []

    @property
    def open(self) -> bool:
        """Whether work may be started now."""
        return not self.paused and not self.stopping

    def stop(self) -> None:
        """Start nothing more, and end what runs."""
        self.stopping = True
        for tell in list(self._on_stop):
            tell()

    def when_stopped(self, tell: Callable[[], object]) -> None:
        """Call `tell` on stop, so that it can cancel what is in flight."""
        self._on_stop.append(tell)

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
                timeout_summary=summary,
            )
        except TimeoutError:
            return


async def run_shielded(drive: Awaitable[T], gate: Gate) -> T:
    """Run `drive` to its normal end, also when the workflow is cancelled meanwhile.

    The caller looks at `workflow.cancellation_reason()` or `gate.stopping` to tell the two apart.
    """
    task = asyncio.ensure_future(drive)
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            if task.cancelled():
                raise
            gate.stop()
    return task.result()
