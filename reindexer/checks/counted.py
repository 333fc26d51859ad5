"""What one verifying read has counted so far."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from reindexer.dynamo.calls import Calls
from reindexer.items import Key, WireItem, WireKey, to_json_key
from reindexer.models import VerifyInput, VerifyResult

#: Keeps keys of rows behind, with the partition of each (none where the job does not count by partitions).
KeepKeys: TypeAlias = Callable[[list[Key], list[str]], None]


class Counted:
    """Counts, and the cursor that covers exactly these. `keep` None: rows behind are only counted."""

    def __init__(self, request: VerifyInput, calls: Calls, keep: KeepKeys | None) -> None:
        self._calls, self._keep = calls, keep
        self._names = [attribute.name for attribute in request.target.key]
        self._scanned = self._behind = 0
        self._cursor = request.cursor
        self._before_end: VerifyResult | None = None  # where it was before the last page; None: not at the end

    def add(
        self,
        scanned: int,
        behind: int,
        rows: list[WireItem],
        cursor: WireKey | None,
        partition: str | None = None,
    ) -> None:
        """Take in a page, and the cursor that covers it; None: it was the last one.

        The keys of `rows` are kept before: an attempt that dies in between finds them behind once more.
        """
        if self._keep and rows:
            keys = [to_json_key({name: row[name] for name in self._names}) for row in rows]
            self._keep(keys, [] if partition is None else [partition] * len(keys))
        if cursor is None:
            self._before_end = self.progress()
        self._scanned += scanned
        self._behind += behind
        self._cursor = to_json_key(cursor) if cursor else None

    def progress(self) -> VerifyResult:
        """Its state, for a heartbeat: never at the end, since the table is still to be checked."""
        return self._before_end or self.result()

    def result(self) -> VerifyResult:
        """Its state, with what the calls have met."""
        calls = self._calls
        return VerifyResult(
            scanned=self._scanned,
            behind=self._behind,
            cursor=self._cursor,
            done=self._before_end is not None,
            fault=calls.fault,
            read_units=calls.units,
            throttled=calls.throttled,
            throttle=calls.throttle,
        )
