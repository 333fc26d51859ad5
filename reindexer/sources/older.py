"""Rows of a replica that the epoch in hand has not written: each is read again in the table itself."""

from __future__ import annotations

from collections.abc import Iterator

from reindexer.compare.rows import GONE, ORDER
from reindexer.dynamo.reading import read_consistently
from reindexer.dynamo.table import TableClient
from reindexer.dynamo.wire import projection
from reindexer.items import Cursor, WireItem, WireKey, key_identity
from reindexer.models import OlderSegment, Segment, Target
from reindexer.page import Page, after_keys
from reindexer.round_context import RoundContext
from reindexer.sources.scan import ScanSource
from reindexer.streams.order import floor_of
from reindexer.throttle import Budget


class OlderSource:
    """Pages of a segment of the replica; a row that the table has not is handed out as gone.

    What an attempt that was lost has marked as deleted is handed out again, so that it is counted.
    """

    def __init__(
        self,
        replica: TableClient,
        table: TableClient,
        source: OlderSegment,
        target: Target,
        context: RoundContext,
    ) -> None:
        self._table, self._context = table, context
        self._names = [attribute.name for attribute in target.key]
        part = Segment(segment=source.segment, total=source.total)
        asked = projection([*self._names, ORDER, GONE])
        names = asked["ExpressionAttributeNames"] | {"#o": ORDER, "#g": GONE}
        older = "(attribute_not_exists(#o) OR #o < :floor) AND attribute_not_exists(#g)"
        rows = {
            **asked,
            "ExpressionAttributeNames": names,
            "FilterExpression": f"({older}) OR (#o = :floor AND attribute_exists(#g))",
            "ExpressionAttributeValues": {":floor": {"N": str(floor_of(target.version))}},
        }
        self._scan = ScanSource(replica, part, self._names, None, rows, consistent=True)

    def pages(self, cursor: Cursor | None, rows_read: int, budget: Budget) -> Iterator[Page]:
        """Pages after a cursor, a key of the replica. Raises `CallFailed`."""
        for page in self._scan.pages(cursor, rows_read, budget):
            keys: list[WireKey] = [{name: row[name] for name in self._names} for row in page.rows]
            found, units = read_consistently(self._table, keys, None, self._context)
            budget.read(units, 0)
            rows: list[WireItem] = [found.get(key_identity(key), key) for key in keys]
            gone = frozenset(place for place, key in enumerate(keys) if key_identity(key) not in found)
            yield Page(rows, page.next_cursor, after_keys(rows, self._names), units, gone)
