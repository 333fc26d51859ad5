"""Removing tombstones: documents that stand for a deletion, once nothing older can land any more."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import orjson

from reindexer.search.client import SearchClient
from reindexer.search.documents import GONE, ORDER

#: Tombstones of one request.
_PAGE = 500
#: Requests of one call, a second or two: a pause waits for its end. The next one removes what is left, at once
#: where this one removed many.
_MAX_PAGES = 20
#: What a removal that took effect is answered with; 404: it had been removed before.
_REMOVED = (200, 404)


def purge(client: SearchClient, index: str, alias: str, before: datetime) -> int:
    """Remove tombstones from before a moment, each at exactly its order; returns how many are removed.

    One that has been written over meanwhile is left alone. Raises `CallFailed`.
    """
    removed = 0
    query = {
        "query": {"range": {GONE: {"lt": before.isoformat()}}},
        "_source": [ORDER],
        "size": _PAGE,
        "sort": [GONE],
    }
    for _ in range(_MAX_PAGES):
        client.call("POST", f"/{index}/_refresh")
        found = client.call("POST", f"/{index}/_search", query)["hits"]["hits"]
        if not found:
            break
        removed += remove_exactly(client, alias, [(hit["_id"], int(hit["_source"][ORDER])) for hit in found])
        if len(found) < _PAGE:
            break
    return removed


def remove_exactly(client: SearchClient, alias: str, documents: Sequence[tuple[str, int]]) -> int:
    """Remove documents by ID, each only while it has its order still; returns how many. Raises `CallFailed`."""
    body = b"".join(_removal(alias, found, order) for found, order in documents)
    return sum(answer["status"] in _REMOVED for answer in client.bulk(body, len(documents)))


def _removal(alias: str, found: str, order: int) -> bytes:
    action = {
        "_index": alias,
        "_id": found,
        "version": order,
        # At its own order: a newer document has a higher one, and refuses it.
        "version_type": "external_gte",
    }
    return orjson.dumps({"delete": action}) + b"\n"
