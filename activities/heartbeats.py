"""Heartbeats for activities that send none of their own."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

from temporalio import activity
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

#: Activities that say in their heartbeats how far they are: an empty one would replace that.
_OWN = frozenset(("take_lock", "reindex_record"))
#: Heartbeats in a heartbeat timeout: two may be late.
_IN_A_TIMEOUT = 3


class Heartbeats(Interceptor):
    """Sends heartbeats for as long as an activity runs, where it has a heartbeat timeout.

    An activity of a worker that was killed is then tried again after its heartbeat timeout instead of its
    start-to-close timeout. One that hangs is ended by the latter alone.
    """

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        """Around each activity of a worker."""
        return _Alive(next)


class _Alive(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        info = activity.info()
        if info.heartbeat_timeout is None or info.activity_type in _OWN:
            return await self.next.execute_activity(input)
        interval = info.heartbeat_timeout.total_seconds() / _IN_A_TIMEOUT
        sending = asyncio.ensure_future(_send(interval, on_loop=inspect.iscoroutinefunction(input.fn)))
        try:
            return await self.next.execute_activity(input)
        finally:
            sending.cancel()


async def _send(interval: float, *, on_loop: bool) -> None:
    while True:
        await asyncio.sleep(interval)
        if on_loop:
            activity.heartbeat()
        else:  # a heartbeat of a threaded activity waits for the loop, so it must not be sent from there
            await asyncio.to_thread(activity.heartbeat)
