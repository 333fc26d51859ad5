"""last_state: what a shard that was ended by someone had come to, by its own history."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

from temporalio import activity

from activities.clients import Clients
from activities.failures import translated
from reindexer.models import EndedShard, HandBack, ShardState

if TYPE_CHECKING:
    from temporalio.client import Client

#: Seconds for an answer: a worker replays the shard's history first, some thousand events.
_SECONDS = 10


class EndedShardActivities:
    """Asks the Temporal server."""

    def __init__(self, clients: Clients, client: Client) -> None:
        self._ledger, self._client = clients.ledger, client

    @activity.defn
    async def last_state(self, ended: EndedShard) -> HandBack:
        """The state by the end of its history, as the shard itself would have handed it back.

        Its running round is missing: what that had done shows by the stamps. Raises what the query raises where
        no one can replay it any more.
        """
        handle = self._client.get_workflow_handle(ended.workflow_id)
        state: ShardState = await handle.query(
            "state", result_type=ShardState, rpc_timeout=timedelta(seconds=_SECONDS)
        )
        state = state.model_copy(update={"timed_out": True})
        summary, number = state.summary, ended.kept.number
        if state.travels:
            return HandBack(how="cancelled", summary=summary, state=state, hand_backs=number - 1)
        with translated():
            await asyncio.to_thread(self._ledger.kept.put_state, ended.kept, state)
        return HandBack(how="cancelled", summary=summary, kept=ended.kept, hand_backs=number)
