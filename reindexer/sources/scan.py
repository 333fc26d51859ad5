"""Records of one segment of a parallel scan."""

from __future__ import annotations

from collections.abc import Iterator

from reindexer.dynamo.table import Page, TableClient
from reindexer.dynamo.wire import projection
from reindexer.items import WireKey
from reindexer.models import Segment
from reindexer.throttle import Budget


class ScanSource:
    """Pages of a segment, after a cursor. Any key of the segment is a valid cursor, a deleted row's too.

    The read is eventually consistent (half the price): a row read stale is refused by its condition and
    settled by what is stored. It never filters: a row that DynamoDB filtered out would have no position.
    """

    def __init__(self, table: TableClient, segment: Segment, reads: tuple[str, ...] | None) -> None:
        self._table = table
        self._segment = segment
        self._parameters = {"Segment": segment.segment, "TotalSegments": segment.total}
        self._parameters |= projection(reads) if reads else {}

    def pages(self, cursor: WireKey | None, handed_out: int, budget: Budget) -> Iterator[Page]:
        """Pages until the segment's end, or its limit of rows. Empty pages are handed out too.

        `handed_out`: rows of this segment before the cursor; they count against its limit.
        Raises `CallFailed`; a caller who wants to go on makes a new iterator from its cursor.
        """
        left = None if self._segment.limit is None else self._segment.limit - handed_out
        while left is None or left > 0:
            if not budget.wait_to_read():
                return
            most = [bound for bound in (left, budget.page_rows()) if bound is not None]
            limits = {"Limit": min(most)} if most else {}
            page = self._table.read("scan", {**self._parameters, **limits}, cursor)
            budget.read(page.consumed, page.scanned)
            if left is not None:
                left -= len(page.rows)
            yield page
            cursor = page.last_key
            if cursor is None:
                return
