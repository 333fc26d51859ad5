"""Records of named partitions, by Query: of the table itself, or by way of an index."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from reindexer.dynamo.reading import read_consistently
from reindexer.dynamo.table import KEYS_PER_CALL, TableClient
from reindexer.dynamo.wire import merged, projection
from reindexer.errors import EnvironmentFault
from reindexer.items import Cursor, WireItem, WireKey, from_json_key, key_identity, text_of, to_json_key
from reindexer.models import KeyAttribute, PartitionRange, PartitionRanges, PartitionScope
from reindexer.page import Page
from reindexer.partitions.bounds import Bounds, query_of
from reindexer.partitions.sort_keys import ordered
from reindexer.round_context import RoundContext
from reindexer.throttle import Budget

#: Index entries per Query: ten consistent reads' worth, so that a stop does not throw much away.
_ENTRIES = 1000
#: Where a cursor keeps the position of its range. No attribute is called so: DynamoDB's names are not empty.
_POSITION = ""


class PartitionSource:
    """Pages of ranges, one range after another; a page never spans two.

    A cursor is the position of a range and, unless that is to be read from its beginning, the key there after
    which to go on. Rows of the table itself are read as by a scan. Of an index only keys are read, which lag
    behind the table; their rows come from the table by consistent reads, one that is not there is handed out as
    gone. Where an entry moves, a page may show it at both places: it is handed out once.
    """

    def __init__(
        self,
        table: TableClient,
        scope: PartitionScope,
        source: PartitionRanges,
        key: Sequence[KeyAttribute],
        reads: tuple[str, ...] | None,
        row_filter: Mapping[str, Any],
        context: RoundContext,
        *,
        consistent: bool = False,
    ) -> None:
        self._consistent = consistent and scope.index is None  # an index has no consistent read
        self._table, self._scope, self._ranges, self._context = table, scope, source.ranges, context
        self._key_names = [attribute.name for attribute in key]
        self._names = [scope.partition.name, *([scope.sort.name] if scope.sort else [])]  # of the index, if any
        self._reads = reads
        self._row_filter = row_filter if _may_filter(row_filter, self._key_names) and not scope.index else {}

    def pages(
        self,
        cursor: Cursor | None,
        rows_read: int,  # noqa: ARG002 – a source's signature; the cursor says it all
        budget: Budget,
    ) -> Iterator[Page]:
        """Pages after the cursor. Empty ones are handed out too. Raises `CallFailed`, `EnvironmentFault`."""
        position, start = place_of(cursor)
        while position < len(self._ranges):
            if not budget.wait_to_read():
                return
            page, following = self._query(position, start, budget)
            if self._scope.index is None:
                yield page
            else:
                for part in self._rows_of(page, budget):
                    if part is None:
                        return
                    yield part
            position, start = following

    def _query(
        self, position: int, start: WireKey | None, budget: Budget
    ) -> tuple[Page, tuple[int, WireKey | None]]:
        """One page of a range, and where the next one begins."""
        part = self._ranges[position]
        bounds = Bounds(self._scope, part)
        most = budget.page_rows()
        if self._scope.index is not None:
            most = min(most or _ENTRIES, _ENTRIES)
        parameters = self._parameters(part, bounds) | ({"Limit": most} if most else {})
        read = self._table.read("query", parameters, start)
        budget.read(read.consumed, read.scanned)
        rows, over = read.rows, read.last_key is None
        if not bounds.whole and self._scope.sort is not None:
            name, kind = self._scope.sort.name, self._scope.sort.type
            values = [ordered(kind, text_of(row[name])) for row in rows]
            over = over or (bool(values) and bounds.beyond(values[-1]))
            rows = [row for row, value in zip(rows, values, strict=True) if bounds.inside(value)]
        following = (position + 1, None) if over else (position, read.last_key)
        names = {*self._names, *self._key_names}
        at_the_end = following[0] == len(self._ranges)
        page = Page(
            rows,
            None if at_the_end else cursor_at(*following),
            lambda place: cursor_at(position, {name: rows[place][name] for name in names}),
            read.consumed,
            partition=part.value,
        )
        return page, following

    def _parameters(self, part: PartitionRange, bounds: Bounds) -> dict[str, Any]:
        reads = self._reads if self._scope.index is None else (*self._names, *self._key_names)
        shape = projection(reads) if reads else {}
        consistent = {"ConsistentRead": True} if self._consistent else {}
        return merged(shape, self._row_filter, query_of(self._scope, part, bounds), consistent)

    def _rows_of(self, entries: Page, budget: Budget) -> Iterator[Page | None]:
        """The rows that a page of index entries names, by consistent reads; None: asked to stop."""
        named = [{name: row[name] for name in self._key_names} for row in entries.rows]
        places = _distinct(named)
        keys = [named[place] for place in places]
        units = entries.consumed
        if not keys:
            yield entries
        for begin in range(0, len(keys), KEYS_PER_CALL):
            if not budget.wait_to_read():
                yield None
                return
            chunk = keys[begin : begin + KEYS_PER_CALL]
            found, consumed = read_consistently(self._table, chunk, self._reads, self._context)
            budget.read(consumed, len(chunk))
            last = begin + KEYS_PER_CALL >= len(keys)
            rows: list[WireItem] = [found.get(key_identity(key), key) for key in chunk]
            yield Page(
                rows,
                entries.next_cursor if last else entries.cursor_after(places[begin + len(chunk) - 1]),
                entries.cursors_at(places[begin : begin + len(chunk)]),
                units + consumed,
                frozenset(i for i, key in enumerate(chunk) if key_identity(key) not in found),
                entries.partition,
            )
            units = 0.0  # of the entries: counted with the first part


def place_of(cursor: Cursor | None) -> tuple[int, WireKey | None]:
    """(position of the range, key there after which to go on). Raises `EnvironmentFault`."""
    if cursor is None:
        return 0, None
    if _POSITION not in cursor:
        raise EnvironmentFault("CursorInvalid", f"no cursor of a list of partitions: {sorted(cursor)}")
    start = {name: value for name, value in cursor.items() if name != _POSITION}
    return int(cursor[_POSITION]["N"]), from_json_key(start) or None


def cursor_at(position: int, key: WireKey | None) -> Cursor:
    """The cursor of which `place_of` tells that place."""
    return {**to_json_key(key or {}), _POSITION: {"N": str(position)}}


def _distinct(keys: Sequence[WireKey]) -> list[int]:
    """Positions of entries, one for each record: BatchGetItem refuses a key that is named twice."""
    first: dict[tuple[object, ...], int] = {}
    for place, key in enumerate(keys):
        first.setdefault(key_identity(key), place)
    return list(first.values())


def _may_filter(row_filter: Mapping[str, Any], key_names: Sequence[str]) -> bool:
    """Whether a Query takes the filter: it refuses one that names a key attribute, which a Scan does not.

    Without it all rows are handed out, and those outside the job's query count as `filtered`.
    """
    return not set(row_filter.get("ExpressionAttributeNames", {}).values()) & set(key_names)
