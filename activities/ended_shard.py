"""last_state: what a shard that was ended by somebody had come to, by its own history."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from temporalio import activity

from reindexer.models import EndedShard, ShardState

if TYPE_CHECKING:
    from temporalio.client import Client

#: Seconds for an answer: a worker replays the shard's history first, some thousand events.
_SECONDS = 10


class EndedShardActivities:
    """Asks the Temporal server."""

    def __init__(self, client: Client) -> None:
        self._client = client

    @activity.defn
    async def last_state(self, ended: EndedShard) -> ShardState:
        """The state by the end of its history: newer than its last report, and with its partitions.

        Raises what the query raises where nobody can replay it any more.
        """
        handle = self._client.get_workflow_handle(ended.workflow_id)
        state: ShardState = await handle.query(
            "state", result_type=ShardState, rpc_timeout=timedelta(seconds=_SECONDS)
        )
        return state
