"""take_lock and release_lock: one in-place job per table, version attribute and run attribute at a time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from temporalio import activity
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import WorkflowExecutionStatus
from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionRequest, GetClusterInfoRequest
from temporalio.service import RPCError, RPCStatusCode

from activities.clients import Clients
from activities.failures import translated
from reindexer.errors import Refused
from reindexer.ledger.locks import is_same_job
from reindexer.models import ORDERER, REPAIRER, Holder, LockInput

if TYPE_CHECKING:
    from temporalio.client import Client

#: Statuses after which a workflow's chain of runs has ended. Continued as new is none: the next run goes on.
_CLOSED = frozenset(
    (
        WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_COMPLETED,
        WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_FAILED,
        WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_CANCELED,
        WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_TERMINATED,
        WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_TIMED_OUT,
    )
)
#: Answers that are the same each time: a server that keeps its cluster's name to itself.
_NAMELESS = frozenset(
    (RPCStatusCode.PERMISSION_DENIED, RPCStatusCode.UNIMPLEMENTED, RPCStatusCode.UNAUTHENTICATED)
)


class LockActivities:
    """The lock is an item of the ledger; its holder is asked at the Temporal server."""

    def __init__(self, clients: Clients, client: Client) -> None:
        self._clients, self._client = clients, client

    @activity.defn
    async def take_lock(self, request: LockInput) -> None:
        """Take the table's lock. Raises `Locked`, not retryable, naming the holder.

        The lock of a closed job is taken over one heartbeat timeout later: until then its last attempts
        may still write. A holder that cannot be asked is never assumed to be gone. Where Temporal does not
        answer for a moment, this raises `RPCError`, and a retry asks again.
        """
        with translated():
            mine = request.model_copy(update={"namespace": await self._where()})
            try:
                await self._take(mine)
            except Refused:
                await asyncio.to_thread(self._clients.ledger.locks.release, mine)  # a part, taken over before
                raise

    async def _take(self, mine: LockInput) -> None:
        ledger = self._clients.ledger
        by_force = mine.take
        # Each part may have another holder; one that was taken over is ours when the lock is asked for again.
        while (holder := await asyncio.to_thread(ledger.locks.take, mine)) is not None:
            forced = by_force and _may_force(holder)
            if is_same_job(holder, mine):
                while await self._end_shards(holder):  # lists of workflows lag: looked at again after the wait
                    await _wait(mine.wait_seconds, holder)
            elif not forced:
                await self._require_closed(holder, mine)
            await _wait(mine.wait_seconds, holder)
            if not (forced or is_same_job(holder, mine)):
                await self._require_closed(holder, mine)  # a reset opens a closed workflow again
            await asyncio.to_thread(ledger.locks.replace, mine, holder)
            by_force = False  # whoever has it now: force was meant for the holder of before

    @activity.defn
    async def release_lock(self, request: LockInput) -> None:
        """Give the lock back, if it is ours. Idempotent."""
        with translated():
            await asyncio.to_thread(self._clients.ledger.locks.release, request)

    async def _where(self) -> str:
        """Namespace and cluster: two clusters may both call theirs `default`.

        Raises `RPCError` where the server does not answer now: the holder has to have one name at all times.
        """
        try:
            info = await self._client.workflow_service.get_cluster_info(GetClusterInfoRequest())
        except RPCError as error:
            if error.status in _NAMELESS:  # as Temporal Cloud, where a namespace's name is unique
                return self._client.namespace
            raise
        return f"{self._client.namespace}@{info.cluster_id}"

    async def _require_closed(self, holder: Holder, mine: LockInput) -> None:
        """Raises `Refused` unless every run of the holder's chain has closed."""
        if holder.namespace != mine.namespace:
            raise Refused(
                f"the lock is held by job {holder.workflow_id} in {holder.namespace}, which cannot be asked "
                f"from here ({mine.namespace}); if that job has certainly stopped, start with "
                '"force_lock": true',
                kind="Locked",
            )
        if await self._open(holder):
            raise Refused(_occupied(mine, holder), kind="Locked")

    async def _end_shards(self, holder: Holder) -> int:
        """Terminate the shards of a plan that a reset of their root has undone; returns how many there were.

        The server ends them with no run of the root: no one would steer them, and they would write on.
        """
        prefix = f"{holder.workflow_id}/{holder.run}/".replace("'", "''")
        ended = 0
        async for shard in self._client.list_workflows(
            f"WorkflowId STARTS_WITH '{prefix}' AND ExecutionStatus = 'Running'"
        ):
            try:
                await self._client.get_workflow_handle(shard.id).terminate(reason="its root was reset")
            except RPCError as error:
                if error.status is not RPCStatusCode.NOT_FOUND:  # it has just ended
                    raise
            else:
                ended += 1
        return ended

    async def _open(self, holder: Holder) -> bool:
        """Whether a run of the holder's chain is open. By workflow id alone, which finds the newest run."""
        request = DescribeWorkflowExecutionRequest(
            namespace=self._client.namespace,
            execution=WorkflowExecution(workflow_id=holder.workflow_id),
        )
        try:
            found = await self._client.workflow_service.describe_workflow_execution(request)
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:  # closed so long ago that its history is gone
                return False
            raise
        newest = found.workflow_execution_info
        # Another first run: the id was used again, which Temporal permits only after the holder has closed.
        return newest.first_run_id == holder.run_id and newest.status not in _CLOSED


def _occupied(mine: LockInput, holder: Holder) -> str:
    job = f"{holder.workflow_id} (run {holder.run}, since {holder.since:%Y-%m-%d %H:%M:%S} UTC)"
    way = f", which writes {holder.attribute} too; wait for it, cancel it, or choose other attributes"
    if holder.attribute in (ORDERER, REPAIRER):
        way = ": wait for it, or cancel it"
    return f"{mine.place} is being worked on by job {job}{way}"


def _may_force(holder: Holder) -> bool:
    """Whether force is meant for this holder: a retry takes it from the one that its first attempt found."""
    found = activity.info().heartbeat_details
    return not found or found[0] == holder.run_id


async def _wait(seconds: float, holder: Holder) -> None:
    for _ in range(max(1, int(seconds))):
        activity.heartbeat(holder.run_id)
        await asyncio.sleep(1)
