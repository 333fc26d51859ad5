"""Whether a worker process may work on: Temporal answers it, and its clock is right.

The SDK tells no attempt that its heartbeats go unanswered.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from typing import TYPE_CHECKING

from temporalio.api.workflowservice.v1 import GetSystemInfoRequest
from temporalio.service import RPCError, RPCStatusCode

from reindexer.clocks import CLOCKS
from reindexer.dynamo.clock import found_wrong

if TYPE_CHECKING:
    from temporalio.client import Client

log = logging.getLogger(__name__)

#: Refusals that a server gives which is there. It would answer heartbeats.
_ANSWERS = frozenset(
    (RPCStatusCode.PERMISSION_DENIED, RPCStatusCode.UNIMPLEMENTED, RPCStatusCode.RESOURCE_EXHAUSTED)
)
#: Seconds between two questions, at most. Each costs the server 0.1 ms, and on Temporal Cloud nothing.
_MAX_INTERVAL = 1.0
#: Seconds that one question may take, at most: a server that takes longer answers no heartbeat in time either.
_MAX_PATIENCE = 5.0


class Guard:
    """One for all attempts of a process. `watch` runs on the event loop, attempts read on their threads."""

    def __init__(self) -> None:
        #: Seconds of `CLOCKS` when the last question that Temporal answered was sent; before `watch`: unknown.
        self.answered_at = float("inf")

    async def watch(self, client: Client, heartbeat_timeout: float) -> str:
        """Ask Temporal whether it is there, over the connection that heartbeats take, until cancelled.

        Returns once an answer of AWS has shown that this machine's clock is wrong: what to say of it.
        """
        found_wrong()  # before it served; whether it still is, work will show
        interval = min(_MAX_INTERVAL, heartbeat_timeout / 10)
        patience = timedelta(seconds=min(_MAX_PATIENCE, heartbeat_timeout / 2))
        self.answered_at = CLOCKS.now()
        silent = False
        while not (wrong := found_wrong()):
            asked = CLOCKS.now()
            if await _answers(client, patience):
                self.answered_at = asked
                if silent:
                    log.warning("Temporal answers again: this process takes work again")
                silent = False
            elif not silent and asked - self.answered_at > heartbeat_timeout:
                silent = True
                log.warning("Temporal has not answered for a heartbeat timeout: rounds of this process stop")
            await asyncio.sleep(interval)
        return wrong


async def _answers(client: Client, patience: timedelta) -> bool:
    try:
        await client.workflow_service.get_system_info(GetSystemInfoRequest(), timeout=patience)
    except RPCError as error:
        return error.status in _ANSWERS
    return True
