"""Records named by their keys."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby

from reindexer.dynamo.reading import read_consistently
from reindexer.dynamo.table import KEYS_PER_CALL, TableClient
from reindexer.items import Cursor, WireKey, from_json_key, key_identity, to_json_key
from reindexer.models import KeyList
from reindexer.page import Page, after_keys
from reindexer.round_context import RoundContext
from reindexer.throttle import Budget


class KeySource:
    """Pages of a key list, by consistent reads. A key that does not exist is handed out as gone."""

    def __init__(
        self,
        table: TableClient,
        keys: KeyList,
        key_names: Sequence[str],
        reads: tuple[str, ...] | None,
        context: RoundContext,
    ) -> None:
        self._table, self._key_names, self._context = table, key_names, context
        self._keys = [from_json_key(key) for key in keys.keys]
        self._partitions = keys.partitions
        self._reads = reads

    def pages(
        self,
        cursor: Cursor | None,  # noqa: ARG002 – a source's signature; the count says it all
        rows_read: int,
        budget: Budget,
    ) -> Iterator[Page]:
        """Pages after the first `rows_read` keys; the cursor itself is not needed. Raises `CallFailed`."""
        for start in range(rows_read, len(self._keys), KEYS_PER_CALL):
            if not budget.wait_to_read():
                return
            chunk = self._keys[start : start + KEYS_PER_CALL]
            found, consumed = read_consistently(self._table, chunk, self._reads, self._context)
            budget.read(consumed, len(chunk))
            rows = [found.get(key_identity(key), key) for key in chunk]
            gone = frozenset(i for i, key in enumerate(chunk) if key_identity(key) not in found)
            following = to_json_key(chunk[-1]) if start + KEYS_PER_CALL < len(self._keys) else None
            page = Page(rows, following, after_keys(rows, self._key_names), consumed, gone)
            yield from self._by_partition(page, start)

    def _by_partition(self, page: Page, start: int) -> Iterator[Page]:
        """The page whole, or a page for each run of keys that count to one partition."""
        if not self._partitions:
            yield page
            return
        size, first = len(page.rows), 0
        for partition, group in groupby(self._partitions[start : start + size]):
            end = first + len(list(group))
            yield replace(
                page,
                rows=page.rows[first:end],
                next_cursor=to_json_key(self._keys[start + end - 1]) if end < size else page.next_cursor,
                cursor_after=page.cursors_at(range(first, end)),
                consumed=0.0 if first else page.consumed,
                gone=frozenset(place - first for place in page.gone if first <= place < end),
                partition=partition,
            )
            first = end


def distinct(keys: Sequence[WireKey]) -> list[WireKey]:
    """The keys in their order, each once; 1 and 1.0 are one key."""
    return list({key_identity(key): key for key in reversed(keys)}.values())[::-1]
