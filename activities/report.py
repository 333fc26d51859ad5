"""write_report: what a job did, kept where it outlives Temporal's retention."""

from __future__ import annotations

from temporalio import activity

from activities.clients import Clients
from activities.failures import translated
from activities.kept import every_partition
from reindexer.models import ReportInput, Used
from reindexer.operations import verb_noted


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
            self._clients.ledger.reports.put(report)

    @activity.defn
    def record_version(self, request: ReportInput) -> Used | None:
        """Remember the target before the first write, so that "next" lies above it whatever happens.

        And what it is for; returns who has used it for something else. An epoch is no version.
        """
        ledger, report, purpose = self._clients.ledger, request.report, request.purpose
        place = report.table_arn, request.version_attribute, report.version
        with translated():
            verb = verb_noted(report.operation)
            if report.version and verb and verb.stamps:
                ledger.versions.record(*place)
            if purpose is None:
                return None
            used = Used(purpose=purpose, job=report.job, run=report.run, at=report.started_at)
            ledger.versions.note_use(*place, used)
            return ledger.versions.other_use(*place, purpose)
