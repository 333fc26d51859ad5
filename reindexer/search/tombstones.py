"""Removing tombstones: documents that stand for a deletion, once nothing older can land any more."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import orjson

from reindexer.search.client import SearchClient
from reindexer.search.documents import GONE, ORDER

#: Tombstones of one request.
_PAGE = 500
#: Requests of one call: what is left is removed by the next.
_MAX_PAGES = 20


def purge(client: SearchClient, index: str, alias: str, before: datetime) -> int:
    """Remove tombstones from before a moment, each at exactly its order; returns how many were asked for.

    One that has been written over meanwhile is left alone. Raises `CallFailed`.
    """
    asked = 0
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
        remove_exactly(client, alias, [(hit["_id"], int(hit["_source"][ORDER])) for hit in found])
        asked += len(found)
        if len(found) < _PAGE:
            break
    return asked


def remove_exactly(client: SearchClient, alias: str, documents: Sequence[tuple[str, int]]) -> None:
    """Remove documents by ID, each only while it has its order still. Raises `CallFailed`."""
    client.bulk(b"".join(_removal(alias, found, order) for found, order in documents), len(documents))


def _removal(alias: str, found: str, order: int) -> bytes:
    action = {
        "_index": alias,
        "_id": found,
        "version": order,
        # At its own order: a newer document has a higher one, and refuses it.
        "version_type": "external_gte",
    }
    return orjson.dumps({"delete": action}) + b"\n"
