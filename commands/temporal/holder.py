"""Whether the job that holds a lock of the ledger still runs."""

from __future__ import annotations

from temporalio.client import Client
from temporalio.service import RPCError

from commands.temporal.server import is_open, is_unknown, talk
from reindexer.models import Holder


def still_runs(holder: Holder) -> bool:
    """Ask Temporal; of another namespace or cluster it is assumed. Raises `EnvironmentFault`, `RPCError`."""

    async def work(client: Client) -> bool:
        if holder.namespace.split("@", 1)[0] != client.namespace:
            return True
        try:
            description = await client.get_workflow_handle(holder.workflow_id).describe()
        except RPCError as error:
            if is_unknown(error):  # closed so long ago that its history is gone
                return False
            raise
        first = description.raw_description.workflow_execution_info.first_run_id
        return first == holder.run_id and is_open(description)  # another first run: the name was used again

    return talk(work)
