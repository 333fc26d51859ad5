"""One in-place job per table and stamp attribute at a time.

Two jobs with one version attribute would take each other's versions for "superseded" and skip records; two
with one run attribute would overwrite each other's delete marks. So a lock has an item for each of the two. It
has no lease: its holder is asked in Temporal whether it still runs, which no clock can tell. A holder is a
workflow id and the id of the first run of its chain, which is unique: the namespace beside it says only where
to ask.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime

from reindexer.errors import Refused
from reindexer.items import WireItem
from reindexer.ledger.runs import Runs
from reindexer.ledger.store import ConditionFailed, Store, sortable, table_partition, text
from reindexer.models import ORDERER, REPAIRER, Holder, LockInput


class Locks:
    """Locks by table and attribute."""

    def __init__(self, store: Store, runs: Runs) -> None:
        self._store, self._runs = store, runs

    def take(self, lock: LockInput) -> Holder | None:
        """Take the table's lock, whole. None: it is ours, now or already; else who holds a part of it.

        Refused a part, it keeps none that it did not hold before. Also notes the run as the job's newest, so
        that failures can be asked for while it runs. Raises `Refused` of kind `Locked` where an item is not a
        lock that this version can read.
        """
        taken: list[str] = []
        for attribute in lock.attributes:
            try:
                holder = self._take(lock, attribute, taken)
            except Refused:
                self._release(lock, taken)
                raise
            if holder is not None:
                self._release(lock, taken)
                return holder
        self._runs.note(lock.workflow_id, lock.run, datetime.now(UTC))
        return None

    def _take(self, lock: LockInput, attribute: str, taken: list[str]) -> Holder | None:
        """As `take`, of one attribute, which is added to `taken` if it was free."""
        while True:
            try:
                self._put_lock(lock, attribute, "attribute_not_exists(pk)", {})
            except ConditionFailed:
                holder = self.holder(lock.table_arn, attribute)
                if holder is None:  # released between the two calls
                    continue
                return None if _is_ours(holder, lock) else holder
            taken.append(attribute)
            return None

    def replace(self, lock: LockInput, holder: Holder) -> bool:
        """Take over from `holder` all of the lock that it holds. False: a part of that has changed hands."""
        condition = (
            "#n = :n AND workflow_id = :w AND run_id = :i AND since = :s"  # namespace is a reserved word
        )
        for attribute in lock.attributes:
            found = self.holder(lock.table_arn, attribute)
            if found is not None and _is_ours(found, lock):  # a repeated call meets its own success
                continue
            if found is None or not _same(found, holder):
                if attribute == holder.attribute:
                    return False
                continue  # of someone else, who has to be asked first
            values = {
                ":n": {"S": found.namespace},
                ":w": {"S": found.workflow_id},
                ":i": {"S": found.run_id},
                ":s": {"S": sortable(found.since)},
            }
            try:
                self._put_lock(lock, attribute, condition, values)
            except ConditionFailed:
                now = self.holder(lock.table_arn, attribute)
                if now is None or not _is_ours(now, lock):
                    return False
        return True

    def lost(self, lock: LockInput) -> str:
        """Why the lock is not the job's any more, or not wholly; "" where it is. Raises as `holder`."""
        for attribute in lock.attributes:
            found = self.holder(lock.table_arn, attribute)
            if found is None or not _is_ours(found, lock):
                by = "no one" if found is None else f"job {found.workflow_id} (run {found.run})"
                part = "" if attribute in (ORDERER, REPAIRER) else f" for {attribute}"
                return (
                    f"the lock of {lock.place}{part} is held by {by} and not by this job (run "
                    f"{lock.run}): it was taken by force, or this workflow had ended and was reset"
                )
        return ""

    def release(self, lock: LockInput) -> None:
        """Give back what is ours of the lock; otherwise nothing happens."""
        self._release(lock, lock.attributes)

    def _release(self, lock: LockInput, attributes: Iterable[str]) -> None:
        for attribute in attributes:
            with suppress(ConditionFailed):
                self._store.call(
                    "delete_item",
                    Key={"pk": {"S": table_partition(lock.table_arn, attribute)}, "sk": {"S": "lock"}},
                    ConditionExpression="workflow_id = :w AND run_id = :i",
                    ExpressionAttributeValues={":w": {"S": lock.workflow_id}, ":i": {"S": lock.run_id}},
                )

    def holder(self, table_arn: str, attribute: str) -> Holder | None:
        """Who holds the lock of an attribute; None: no one. Raises `Refused` of kind `Locked` if unreadable."""
        place = table_partition(table_arn, attribute)
        item = self._store.get(place, "lock")
        if item is None:
            return None
        try:
            return Holder(
                namespace=text(item, "namespace"),
                workflow_id=text(item, "workflow_id"),
                run_id=text(item, "run_id"),
                run=text(item, "run"),
                since=datetime.fromisoformat(text(item, "since")),
                attribute=attribute,
            )
        except (KeyError, ValueError) as error:
            raise Refused(
                f"the lock of {table_arn} cannot be read ({error!r}): another version or a person has written "
                f"it. If no job works on the table, delete item pk={place!r}, sk='lock' of table "
                f"{self._store.table}",
                kind="Locked",
            ) from error

    def _put_lock(self, lock: LockInput, attribute: str, condition: str, values: WireItem) -> None:
        item = {
            "pk": {"S": table_partition(lock.table_arn, attribute)},
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
        self._store.call("put_item", Item=item, ConditionExpression=condition, **extra)


def _is_ours(holder: Holder, lock: LockInput) -> bool:
    return is_same_job(holder, lock) and holder.run == lock.run


def is_same_job(holder: Holder, lock: LockInput) -> bool:
    """Whether they are one workflow. Reset to before its plan, it comes back as another run of the job."""
    return (holder.workflow_id, holder.run_id) == (lock.workflow_id, lock.run_id)


def _same(one: Holder, other: Holder) -> bool:
    """Whether two parts of a lock are held by one job; each has a time of its own."""
    return (one.namespace, one.workflow_id, one.run_id) == (other.namespace, other.workflow_id, other.run_id)
