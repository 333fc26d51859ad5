"""FollowTable: a backfill of a destination, and every change after it, until it is cancelled or to stop."""

from __future__ import annotations

from typing import Any

from temporalio import workflow

from workflows.job.payloads import reason_in
from workflows.job.rescan import why_no_rescan
from workflows.reindex_table import ReindexTable

with workflow.unsafe.imports_passed_through():
    from reindexer.models import FollowInput


@workflow.defn(name="FollowTable")
class FollowTable(ReindexTable):
    """A job that does not end by itself. Its signals, updates and queries are those of every job."""

    input_type = FollowInput

    @workflow.update
    def rescan(self, *args: Any) -> dict[str, Any]:
        """Scan the table again into the same index, at any time. Returns whether it begins now.

        A paused follow begins it once resumed. May be repeated: before it has begun it is one.
        """
        self._job.updates += 1
        self._job.rescan(reason_in(args))
        return {"begins": self._job.gate.open}

    @rescan.validator
    def _check_rescan(self, *args: Any) -> None:  # noqa: ARG002 – anything may come with an update
        if why := why_no_rescan(self._job):
            raise ValueError(why)

    @workflow.update
    def stop_when_drained(self, *args: Any) -> dict[str, Any]:
        """End by itself, with a report, once all that has changed until now is carried. May be repeated."""
        self._job.updates += 1
        self._job.stop_when_drained(reason_in(args))
        return {"drained": self._job.followed.drained_at is not None}

    @workflow.run
    async def run(self, *args: Any) -> dict[str, Any]:
        """Its report, if it is asked to stop once drained; cancelled, its report is in the ledger."""
        return await self.run_job(args)
