"""FollowTable: a backfill of a destination, and every change after it, until it is cancelled."""

from __future__ import annotations

from typing import Any

from temporalio import workflow

from workflows.reindex_table import ReindexTable

with workflow.unsafe.imports_passed_through():
    from reindexer.models import FollowInput


@workflow.defn(name="FollowTable")
class FollowTable(ReindexTable):
    """A job that does not end by itself. Its signals, updates and queries are those of every job."""

    input_type = FollowInput

    @workflow.run
    async def run(self, *args: Any) -> dict[str, Any]:
        """Never returns by itself: cancelled, its report is in the ledger."""
        return await self.run_job(args)
