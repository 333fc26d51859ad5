"""write_report: what a job did, kept where it outlives Temporal's retention."""

from __future__ import annotations

from temporalio import activity

from activities.clients import Clients
from activities.failures import translated
from activities.kept import every_partition
from reindexer.models import ReportInput


class ReportActivities:
    """Reports and the highest version of a table, in the ledger."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients

    @activity.defn
    def write_report(self, request: ReportInput) -> None:
        """Put the report with all its partitions; a second attempt overwrites it with the same."""
        with translated():
            partitions = every_partition(self._clients.ledger, request.partitions)
            report = request.report.model_copy(update={"partitions": partitions})
            self._clients.ledger.put_report(report)

    @activity.defn
    def record_version(self, request: ReportInput) -> None:
        """Remember the target before the first write, so that "next" lies above it whatever happens."""
        report = request.report
        with translated():
            self._clients.ledger.record_version(report.table_arn, request.version_attribute, report.version)
