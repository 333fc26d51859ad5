"""take_lock and release_lock: one in-place job per table and version attribute at a time."""

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
from reindexer.models import Holder, LockInput

if TYPE_CHECKING:
    from temporalio.client import Client


class LockActivities:
    """The lock is an item of the ledger; its holder is asked at the Temporal server."""

    def __init__(self, clients: Clients, client: Client) -> None:
        self._clients, self._client = clients, client

    @activity.defn
    async def take_lock(self, request: LockInput) -> None:
        """Take the table's lock. Raises `Locked`, not retryable, naming the holder.

        The lock of a closed job is taken over one heartbeat timeout later: until then its last attempts
        may still write. A holder that cannot be asked is never assumed to be gone.
        """
        with translated():
            mine = request.model_copy(update={"namespace": await self._where()})
            ledger = self._clients.ledger
            holder = await asyncio.to_thread(ledger.take_lock, mine)
            if holder is None:
                return
            if not (request.take or await self._closed(holder, mine.namespace)):
                raise Refused(
                    f"{request.table_arn} is being worked on by job {holder.workflow_id} (run {holder.run_id}, "
                    f"since {holder.since:%Y-%m-%d %H:%M:%S} UTC); wait for it, or cancel it",
                    kind="Locked",
                )
            for _ in range(max(1, int(request.wait_seconds))):
                activity.heartbeat()
                await asyncio.sleep(1)
            if not await asyncio.to_thread(ledger.replace_lock, mine, holder):
                raise Refused(f"another job took the lock of {request.table_arn} just now", kind="Locked")

    @activity.defn
    async def release_lock(self, request: LockInput) -> None:
        """Give the lock back, if it is ours. Idempotent."""
        with translated():
            mine = request.model_copy(update={"namespace": await self._where()})
            await asyncio.to_thread(self._clients.ledger.release_lock, mine)

    async def _where(self) -> str:
        """Namespace and cluster: two clusters may both call theirs `default`."""
        try:
            info = await self._client.workflow_service.get_cluster_info(GetClusterInfoRequest())
        except RPCError:  # Temporal Cloud may not tell; there a namespace's name is unique
            return self._client.namespace
        return f"{self._client.namespace}@{info.cluster_id}"

    async def _closed(self, holder: Holder, here: str) -> bool:
        if holder.namespace != here:
            raise Refused(
                f"the lock is held by job {holder.workflow_id} in {holder.namespace}, which cannot be asked "
                f'from here ({here}); if that job surely stopped, start with "take_lock": true',
                kind="Locked",
            )
        request = DescribeWorkflowExecutionRequest(
            namespace=self._client.namespace,
            execution=WorkflowExecution(workflow_id=holder.workflow_id, run_id=holder.run_id),
        )
        try:
            found = await self._client.workflow_service.describe_workflow_execution(request)
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:  # closed so long ago that its history is gone
                return True
            raise
        running = WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_RUNNING
        return found.workflow_execution_info.status != running
