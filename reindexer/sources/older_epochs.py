"""Rows of a replica that the scan in hand has not written: each is read again in the table itself."""

from __future__ import annotations

from collections.abc import Iterator

from reindexer.answers import CallFailed
from reindexer.dynamo.other_table import of_other
from reindexer.dynamo.reading import read_consistently
from reindexer.dynamo.table import TableClient
from reindexer.dynamo.wire import projection
from reindexer.items import GONE, ORDER, Cursor, WireItem, WireKey, from_json_key, key_identity
from reindexer.models import OlderSegment, Segment, Target
from reindexer.page import Page, after_keys
from reindexer.round_context import RoundContext
from reindexer.sources.scan import ScanSource
from reindexer.streams.order import SETTLED, floor_of, order_of
from reindexer.throttle import Budget


class OlderSource:
    """Pages of a segment of the replica; a row that the table has not is handed out as gone.

    What an attempt that was lost has written is handed out again, so that it is counted; what the run has given
    up is not, since it is counted.
    """

    def __init__(
        self,
        replica: TableClient,
        table: TableClient,
        source: OlderSegment,
        target: Target,
        context: RoundContext,
    ) -> None:
        self._table, self._context, self._replica = table, context, replica.table
        self._names = [attribute.name for attribute in target.key]
        part = Segment(segment=source.segment, total=source.total)
        self._given_up = {key_identity(from_json_key(key)) for key in source.given_up}
        asked = projection([*self._names, ORDER, GONE])
        names = asked["ExpressionAttributeNames"] | {"#o": ORDER, "#g": GONE}
        older = "(NOT attribute_type(#o, :number) OR #o < :floor) AND attribute_not_exists(#g)"
        rows = {
            **asked,
            "ExpressionAttributeNames": names,
            "FilterExpression": f"({older}) OR #o = :settled",
            "ExpressionAttributeValues": {
                ":number": {"S": "N"},
                ":floor": {"N": str(floor_of(target.version))},
                ":settled": {"N": str(order_of(target.version, SETTLED))},
            },
        }
        self._scan = ScanSource(replica, part, self._names, None, rows, consistent=True)

    def pages(self, cursor: Cursor | None, rows_read: int, budget: Budget) -> Iterator[Page]:
        """Pages after a cursor, a key of the replica. Raises `CallFailed`, which names the replica."""
        for page in self._scanned(cursor, rows_read, budget):
            named: list[WireKey] = [{name: row[name] for name in self._names} for row in page.rows]
            keys = [key for key in named if key_identity(key) not in self._given_up]
            found, units = read_consistently(self._table, keys, None, self._context)
            budget.read(units, 0)
            rows: list[WireItem] = [found.get(key_identity(key), key) for key in keys]
            gone = frozenset(place for place, key in enumerate(keys) if key_identity(key) not in found)
            yield Page(rows, page.next_cursor, after_keys(rows, self._names), units, gone)

    def _scanned(self, cursor: Cursor | None, rows_read: int, budget: Budget) -> Iterator[Page]:
        try:
            yield from self._scan.pages(cursor, rows_read, budget)
        except CallFailed as failed:
            raise CallFailed(of_other(failed.failure, self._replica)) from failed
