"""One in-place job per table and version attribute at a time, and the highest version aimed at there.

Two jobs at once would take each other's versions for "superseded" and skip records. A lock has no lease: its
holder is asked in Temporal whether it still runs, which no clock can tell. A holder is a workflow id and the
id of the first run of its chain, which is unique: the namespace beside it says only where to ask.
"""

from __future__ import annotations

from datetime import UTC, datetime

from reindexer.errors import Refused
from reindexer.items import WireItem
from reindexer.ledger.store import ConditionFailed, Store, sortable, text
from reindexer.models import Holder, LockInput


class Locks(Store):
    """Locks and versions."""

    def take_lock(self, lock: LockInput) -> Holder | None:
        """Take the table's lock. None: it is ours, now or already; else who holds it.

        Also notes the run as the job's newest, so that failures can be asked for while it runs. Raises
        `Refused` of kind `Locked` where the item is not a lock that this version can read.
        """
        while True:
            try:
                self._put_lock(lock, "attribute_not_exists(pk)", {})
            except ConditionFailed:
                holder = self.holder(lock.table_arn, lock.version_attribute)
                if holder is None:  # released between the two calls
                    continue
                if not _is_ours(holder, lock):
                    return holder
            self._note_run(lock.workflow_id, lock.run, datetime.now(UTC))
            return None

    def replace_lock(self, lock: LockInput, holder: Holder) -> bool:
        """Take the lock over from `holder`, if the item is still exactly that. False: it has changed hands."""
        condition = (
            "#n = :n AND workflow_id = :w AND run_id = :i AND since = :s"  # namespace is a reserved word
        )
        values = {
            ":n": {"S": holder.namespace},
            ":w": {"S": holder.workflow_id},
            ":i": {"S": holder.run_id},
            ":s": {"S": sortable(holder.since)},
        }
        try:
            self._put_lock(lock, condition, values)
        except ConditionFailed:
            # A repeated call meets its own success.
            now = self.holder(lock.table_arn, lock.version_attribute)
            if now is None or not _is_ours(now, lock):
                return False
        self._note_run(lock.workflow_id, lock.run, datetime.now(UTC))
        return True

    def release_lock(self, lock: LockInput) -> None:
        """Give the lock back if it is ours; otherwise nothing happens."""
        try:
            self._call(
                "delete_item",
                Key={"pk": {"S": _partition(lock.table_arn, lock.version_attribute)}, "sk": {"S": "lock"}},
                ConditionExpression="workflow_id = :w AND run_id = :i",
                ExpressionAttributeValues={":w": {"S": lock.workflow_id}, ":i": {"S": lock.run_id}},
            )
        except ConditionFailed:
            return

    def holder(self, table_arn: str, version_attribute: str) -> Holder | None:
        """Who holds the lock; None: nobody. Raises `Refused` of kind `Locked` where the item cannot be read."""
        place = _partition(table_arn, version_attribute)
        item = self._get(place, "lock")
        if item is None:
            return None
        try:
            return Holder(
                namespace=text(item, "namespace"),
                workflow_id=text(item, "workflow_id"),
                run_id=text(item, "run_id"),
                run=text(item, "run"),
                since=datetime.fromisoformat(text(item, "since")),
            )
        except (KeyError, ValueError) as error:
            raise Refused(
                f"the lock of {table_arn} cannot be read ({error!r}): another version or a person has written "
                f"it. If no job works on the table, delete item pk={place!r}, sk='lock' of table {self.table}",
                kind="Locked",
            ) from error

    def record_version(self, table_arn: str, version_attribute: str, version: int) -> None:
        """Note a version that a job aims at; the highest is kept."""
        self._put_if_newer(
            _partition(table_arn, version_attribute), "version", "version", {"version": {"N": str(version)}}
        )

    def highest_version(self, table_arn: str, version_attribute: str) -> int | None:
        """The highest version recorded for the table; None: none yet."""
        item = self._get(_partition(table_arn, version_attribute), "version")
        return None if item is None else int(item["version"]["N"])

    def last_run(self, job: str) -> str | None:
        """The newest run of the job that took a lock or left a report; None: there was none."""
        item = self._get(f"job#{job}", "last")
        return None if item is None else text(item, "run")

    def _note_run(self, job: str, run: str, at: datetime) -> None:
        self._put_if_newer(f"job#{job}", "last", "at", {"run": {"S": run}, "at": {"S": sortable(at)}})

    def _put_lock(self, lock: LockInput, condition: str, values: WireItem) -> None:
        item = {
            "pk": {"S": _partition(lock.table_arn, lock.version_attribute)},
            "sk": {"S": "lock"},
            "namespace": {"S": lock.namespace},
            "workflow_id": {"S": lock.workflow_id},
            "run_id": {"S": lock.run_id},
            "run": {"S": lock.run},
            "since": {"S": sortable(datetime.now(UTC))},
        }
        extra = (
            {"ExpressionAttributeValues": values, "ExpressionAttributeNames": {"#n": "namespace"}}
            if values
            else {}
        )
        self._call("put_item", Item=item, ConditionExpression=condition, **extra)


def _partition(table_arn: str, version_attribute: str) -> str:
    return f"table#{table_arn}#{version_attribute}"


def _is_ours(holder: Holder, lock: LockInput) -> bool:
    return (holder.workflow_id, holder.run_id) == (lock.workflow_id, lock.run_id)
