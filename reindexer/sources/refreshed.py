"""Records whose documents are written again: of each, what the destination holds is asked first, then its row.

A change that comes between the two has a higher order, and refuses what is written at the order that was seen.
In the other order of the two reads it would be seen, and an older row written over it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from reindexer.dynamo.reading import read_consistently
from reindexer.dynamo.table import TableClient
from reindexer.items import Cursor, WireKey, key_identity
from reindexer.page import Page
from reindexer.round_context import RoundContext
from reindexer.rounds.protocols import Source
from reindexer.throttle import Budget

#: Records whose order and row are read together: what one BatchGetItem may name (DynamoDB's limit). The fewer,
#: the less can come between.
_TOGETHER = 100

#: The order that a destination holds of each key; None: nothing. Raises `CallFailed`.
Orders = Callable[[Sequence[WireKey]], Sequence[int | None]]


class RefreshedSource:
    """The `Source` of records that another one names: that reads them for their keys alone."""

    def __init__(
        self,
        named: Source,
        orders: Orders,
        table: TableClient,
        key_names: Sequence[str],
        context: RoundContext,
    ) -> None:
        self._named, self._orders, self._table = named, orders, table
        self._key_names, self._context = key_names, context

    def pages(self, cursor: Cursor | None, rows_read: int, budget: Budget) -> Iterator[Page]:
        """Pages of whole rows, with the orders that were held before they were read. Raises `CallFailed`."""
        for page in self._named.pages(cursor, rows_read, budget):
            if not page.rows:
                yield page
            for begin in range(0, len(page.rows), _TOGETHER):
                if not budget.wait_to_read():
                    return
                yield self._whole(page, begin, min(begin + _TOGETHER, len(page.rows)), budget)

    def _whole(self, page: Page, begin: int, end: int, budget: Budget) -> Page:
        """The rows from `begin` to before `end`."""
        keys = [{name: row[name] for name in self._key_names} for row in page.rows[begin:end]]
        orders = self._orders(keys)
        found, consumed = read_consistently(self._table, keys, None, self._context)
        budget.read(consumed, len(keys))
        return Page(
            rows=[found.get(key_identity(key), key) for key in keys],
            next_cursor=page.next_cursor if end == len(page.rows) else page.cursor_after(end - 1),
            cursor_after=page.cursors_at(range(begin, end)),
            consumed=consumed + (0.0 if begin else page.consumed),
            gone=frozenset(place for place, key in enumerate(keys) if key_identity(key) not in found),
            partition=page.partition,
            orders=orders,
        )
