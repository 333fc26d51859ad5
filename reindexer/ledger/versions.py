"""The versions of a table: the highest that a job has aimed at, and what each was used for."""

from __future__ import annotations

import hashlib

from reindexer.ledger.store import ConditionFailed, Store, table_partition, text
from reindexer.models import Purpose, Used


class Versions:
    """By table and version attribute."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def record(self, table_arn: str, version_attribute: str, version: int) -> None:
        """Note a version that a job aims at; the highest is kept."""
        self._store.put_if_newer(
            table_partition(table_arn, version_attribute),
            "version",
            "version",
            {"version": {"N": str(version)}},
        )

    def highest(self, table_arn: str, version_attribute: str) -> int | None:
        """The highest version recorded for the table; None: none yet."""
        item = self._store.get(table_partition(table_arn, version_attribute), "version")
        return None if item is None else int(item["version"]["N"])

    def note_use(self, table_arn: str, version_attribute: str, version: int, used: Used) -> None:
        """Note what the version is used for, and by whom first. Repeated, nothing happens."""
        digest = hashlib.sha256(used.purpose.model_dump_json().encode()).hexdigest()
        item = {
            "pk": {"S": table_partition(table_arn, version_attribute)},
            "sk": {"S": f"{_use(version)}{digest[:16]}"},  # 64 bits: a version has one purpose or two
            "used": {"S": used.model_dump_json()},
        }
        try:
            self._store.call("put_item", Item=item, ConditionExpression="attribute_not_exists(pk)")
        except ConditionFailed:
            return

    def other_use(self, table_arn: str, version_attribute: str, version: int, purpose: Purpose) -> Used | None:
        """Who has used the version for something else; None: no one, as far as the ledger knows."""
        for item in self._store.query(table_partition(table_arn, version_attribute), prefix=_use(version)):
            used = Used.model_validate_json(text(item, "used"))
            if used.purpose != purpose:
                return used
        return None


def _use(version: int) -> str:
    return f"use#{version}#"
