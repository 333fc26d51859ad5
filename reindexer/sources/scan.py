"""Records of one segment of a parallel scan."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from reindexer.dynamo.table import TableClient
from reindexer.dynamo.wire import merged, projection
from reindexer.items import Cursor, from_json_key, to_json_key
from reindexer.models import Segment
from reindexer.page import Page, after_keys
from reindexer.throttle import Budget

#: Rows of a page, at most: 40 batches' worth, so that reading is few of the calls. 1 MB of small rows would be
#: 10,000 to hold in memory, and an engine may read all that follow before it cuts at 1 MB.
PAGE_ROWS = 1000

_EVERY: Mapping[str, Any] = MappingProxyType({})  # nothing is left out


class ScanSource:
    """Pages of a segment, after a cursor: a key. Any key of the segment is a valid one, a deleted row's too.

    Unless `consistent`, the read is an eventually consistent one, at half the price: a row read stale is
    refused by its condition and settled by what is stored. Jobs that delete read consistently: a lagging page
    hands out rows that they have deleted and counted. `row_filter`: parameters of a filter that keeps every
    row this run may have written, since a row that is left out has no position and is counted by no one.
    """

    def __init__(
        self,
        table: TableClient,
        segment: Segment,
        key_names: Sequence[str],
        reads: tuple[str, ...] | None,
        row_filter: Mapping[str, Any] = _EVERY,
        *,
        consistent: bool = False,
    ) -> None:
        self._table = table
        self._segment, self._key_names = segment, key_names
        self._parameters: dict[str, Any] = {"Segment": segment.segment, "TotalSegments": segment.total}
        self._parameters |= merged(projection(reads) if reads else {}, row_filter)
        self._parameters |= {"ConsistentRead": True} if consistent else {}
        self._filtered = bool(row_filter)

    def pages(self, cursor: Cursor | None, rows_read: int, budget: Budget) -> Iterator[Page]:
        """Pages until the segment's end, or its limit of rows. Empty pages are handed out too.

        `rows_read`: rows of this segment before the cursor; they count against its limit.
        Raises `CallFailed`; a caller who wants to go on makes a new iterator from its cursor.
        """
        start = None if cursor is None else from_json_key(cursor)
        left = None if self._segment.limit is None else self._segment.limit - rows_read
        while left is None or left > 0:
            if not budget.wait_to_read():
                return
            # With a filter a page's limit says nothing of the rows that come back.
            bounds = (budget.page_rows(), *(() if self._filtered else (left, PAGE_ROWS)))
            most = [bound for bound in bounds if bound is not None]
            limits = {"Limit": min(most)} if most else {}
            read = self._table.read("scan", {**self._parameters, **limits}, start)
            budget.read(read.consumed, read.scanned)
            rows, start = read.rows, read.last_key
            if left is not None:
                if len(rows) > left:
                    rows, start = rows[:left], None
                left -= len(rows)
            following = None if start is None else to_json_key(start)
            yield Page(rows, following, after_keys(rows, self._key_names), read.consumed)
            if start is None:
                return
