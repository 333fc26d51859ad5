"""FollowTable: a backfill of a destination, and every change after it, until it is cancelled or to stop."""

from __future__ import annotations

from typing import Any

from temporalio import workflow

from workflows.job.payloads import reason_in
from workflows.reindex_table import ReindexTable

with workflow.unsafe.imports_passed_through():
    from reindexer.models import FollowInput


@workflow.defn(name="FollowTable")
class FollowTable(ReindexTable):
    """A job that does not end by itself. Its signals, updates and queries are those of every job."""

    input_type = FollowInput

    @workflow.update
    def stop_when_drained(self, *args: Any) -> dict[str, Any]:
        """End by itself, with a report, once all that has changed until now is carried. May be repeated.

        Returns whether it is drained, whether it goes on before a resume, and until when: of the first request.
        """
        self._job.updates += 1
        self._job.stop_when_drained(reason_in(args))
        followed = self._job.followed
        until = followed.stop_at.isoformat() if followed.stop_at else None
        return {"drained": followed.drained_at is not None, "begins": self._job.gate.open, "until": until}

    @workflow.run
    async def run(self, *args: Any) -> dict[str, Any]:
        """Its report, if it is asked to stop once drained; cancelled, its report is in the ledger."""
        return await self.run_job(args)
