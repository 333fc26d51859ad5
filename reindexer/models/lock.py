"""The lock of a table: who holds it, and who asks for it."""

from __future__ import annotations

from datetime import datetime

from reindexer.models.model import Model

#: Roles of a destination whose writes have an order: who gives it, and who writes again beside it.
ORDERER, REPAIRER = "orderer", "repairer"


class Holder(Model):
    """Who holds a table's lock."""

    namespace: str
    workflow_id: str
    run_id: str  # of the job's first run: the same over all runs of its chain
    run: str
    since: datetime
    attribute: str = ""  # what the lock is for


class LockInput(Model):
    """A job's lock of a table: one item of the ledger for each attribute that it stamps records with."""

    table_arn: str
    version_attribute: str
    run_attribute: str = "reindexRun"  # of jobs that began before it was part of the lock
    workflow_id: str
    run_id: str  # as in `Holder`
    namespace: str
    run: str
    take: bool = False
    wait_seconds: float = 10.0  # one heartbeat timeout: the last attempts of a dead holder may still write

    @property
    def attributes(self) -> list[str]:
        """What is locked, in an order that all jobs keep."""
        return sorted({self.version_attribute, self.run_attribute})

    @property
    def place(self) -> str:
        """What is locked, in words: a table, or a destination by `destination_of_table` or `destination_of`."""
        kind, _, destination = self.table_arn.partition(":")
        place, _, last = destination.rpartition("/")
        return {"table": f"the replica {place}", "search": f"the alias {last}"}.get(kind, self.table_arn)
