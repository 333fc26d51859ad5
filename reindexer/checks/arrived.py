"""Whether an index that another program feeds shows what a job wrote: documents that carry its version."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from reindexer.answers import Action, CallFailed
from reindexer.dynamo.table import TableClient
from reindexer.dynamo.wire import merged, projection
from reindexer.items import Key, WireItem, to_json_key
from reindexer.models import KeyAttribute, Missing
from reindexer.search.client import SearchClient
from reindexer.search.document_ids import id_of

#: Keys that are named: what a person looks up.
MAX_NAMED = 20
#: Pages of the table that are read for them, 1 MB each, and seconds for each: at most 256 read units a second,
#: 15,360 in all. Whoever wants a larger table compared has the count.
_PAGES, _PAGE_SECONDS = 60, 1.0
#: Keys of one request for documents: with IDs of 512 bytes 50 KB.
_IDS = 100
#: Documents that are not found by their IDs before these are taken for others than those of `reindexer index`.
_ENOUGH_UNKNOWN = 1000


def documents_at(client: SearchClient, index: str, field: str, version: int) -> int:
    """How many documents have the version in that field, as far as a search sees them. Raises `CallFailed`."""
    answer = client.call("POST", f"/{index}/_count", {"query": {"term": {field: version}}})
    return int(answer["count"])


def passing(failed: CallFailed) -> bool:
    """Whether the same request may succeed later."""
    return failed.failure.action in (Action.WAIT, Action.RETRY)


class Absent:
    """Looks for records at a version whose document is not there, or not at it."""

    def __init__(
        self,
        table: TableClient,
        key: Sequence[KeyAttribute],
        attribute: str,
        version: int,
        *,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        """`attribute`: of the version, in the table."""
        self._table, self._key, self._attribute, self._version = table, key, attribute, version
        self._wait = wait

    def from_index(self, client: SearchClient, index: str, field: str, documents: int) -> Missing:
        """Up to 20 of them, by consistent reads of the table, in its order. `documents`: those at the version.

        Documents are looked up by the ID that `reindexer index` gives them; where none is found by it the keys
        are unknown. Raises `CallFailed`.
        """
        keys, scanned, looked_up, found, whole = list[Key](), 0, 0, 0, False
        for rows, read, last in self._pages():
            scanned, whole = scanned + read, last
            for first in range(0, len(rows), _IDS):
                part = rows[first : first + _IDS]
                versions = self._versions(client, index, field, part)
                looked_up += len(part)
                found += sum(version is not None for version in versions)
                lacking = [row for row, version in zip(part, versions, strict=True) if not self._is(version)]
                keys += [to_json_key(row) for row in lacking[: MAX_NAMED - len(keys)]]
            if len(keys) == MAX_NAMED and (found or looked_up >= _ENOUGH_UNKNOWN):
                break
        if looked_up and not found and documents:
            why = f"the index has {documents:,} documents at the version, none by the ID of `reindexer index`"
            return Missing(scanned=scanned, whole=whole, unknown=why)
        return Missing(keys=keys, scanned=scanned, whole=whole)

    def _pages(self) -> Iterator[tuple[list[WireItem], int, bool]]:
        """(keys at the version, records read, whether that is the end)."""
        asked = merged(
            {
                "ConsistentRead": True,
                "FilterExpression": "#v = :v",
                "ExpressionAttributeNames": {"#v": self._attribute},
                "ExpressionAttributeValues": {":v": {"N": str(self._version)}},
            },
            projection([attribute.name for attribute in self._key]),
        )
        start, tries = None, 0
        for _ in range(_PAGES):
            begun = time.monotonic()
            try:
                page = self._table.read("scan", asked, start)
            except CallFailed as failed:
                tries += 1
                if not passing(failed) or tries > 5:  # seconds of a table that is busy with others' reads
                    raise
                self._wait(_PAGE_SECONDS)
                continue
            tries, start = 0, page.last_key
            yield page.rows, page.scanned, start is None
            if start is None:
                return
            self._wait(max(0.0, _PAGE_SECONDS - (time.monotonic() - begun)))

    def _versions(
        self, client: SearchClient, index: str, field: str, rows: Sequence[WireItem]
    ) -> list[Any | None]:
        """What each row's document has in the field, "" where it lacks the field; None: there is none."""
        body = {"ids": [id_of(row, self._key) for row in rows]}
        answer = client.call("POST", f"/{index}/_mget", body, documents=len(rows), _source=field)
        return [_at(doc.get("_source") or {}, field) if doc.get("found") else None for doc in answer["docs"]]

    def _is(self, version: Any) -> bool:
        try:
            return Decimal(str(version)) == self._version
        except InvalidOperation:
            return False


def _at(source: Mapping[str, Any], field: str) -> Any:
    """The value of a field that may lie within objects, `meta.version`; "" where there is none."""
    if field in source:
        return source[field]
    name, dot, rest = field.partition(".")
    inner = source.get(name)
    return _at(inner, rest) if dot and isinstance(inner, Mapping) else ""
