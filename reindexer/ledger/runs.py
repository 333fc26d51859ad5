"""The newest run of each job, by which its failures and its report are found."""

from __future__ import annotations

from datetime import datetime

from reindexer.ledger.store import Store, sortable, text


class Runs:
    """By job, which is the id of its workflow."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def last(self, job: str) -> str | None:
        """The newest run of the job that took a lock or left a report; None: there was none."""
        item = self._store.get(f"job#{job}", "last")
        return None if item is None else text(item, "run")

    def note(self, job: str, run: str, at: datetime) -> None:
        """Note a run of the job; an older one than the one noted changes nothing."""
        self._store.put_if_newer(f"job#{job}", "last", "at", {"run": {"S": run}, "at": {"S": sortable(at)}})
