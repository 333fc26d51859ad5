"""Documents that an earlier epoch has written and the one in hand has not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from reindexer.answers import CallFailed
from reindexer.items import WireKey
from reindexer.models import KeyAttribute
from reindexer.search.client import SearchClient
from reindexer.search.document_ids import key_of
from reindexer.search.documents import GONE, ORDER

#: Documents of one request, without their contents.
_PAGE = 1000
#: How long the cluster keeps the search between two requests, which follow each other at once.
_KEPT = "1m"


class Older(NamedTuple):
    """One such document. `key` None: neither its ID nor its content tells."""

    id: str
    order: int
    key: WireKey | None


def older(client: SearchClient, index: str, floor: int, key: Sequence[KeyAttribute]) -> Iterator[Older]:
    """Those whose order is below a floor, as of now, each once. Tombstones are left to their removal.

    Raises `CallFailed`.
    """
    client.call("POST", f"/{index}/_refresh")
    query = {
        "query": {
            "bool": {
                "filter": {"range": {ORDER: {"lt": floor}}},
                "must_not": {"exists": {"field": GONE}},
            }
        },
        "_source": [ORDER, *(attribute.name for attribute in key)],
        "size": _PAGE,
        "sort": ["_doc"],
    }
    answer = client.call("POST", f"/{index}/_search", query, scroll=_KEPT)
    try:
        while found := answer["hits"]["hits"]:
            for hit in found:
                yield _older(hit, key)
            answer = client.call(
                "POST", "/_search/scroll", {"scroll": _KEPT, "scroll_id": answer["_scroll_id"]}
            )
    finally:
        with suppress(CallFailed):  # it ends by itself
            client.call("DELETE", "/_search/scroll", {"scroll_id": [answer["_scroll_id"]]})


def _older(hit: Mapping[str, Any], key: Sequence[KeyAttribute]) -> Older:
    source = hit["_source"]
    return Older(hit["_id"], int(source[ORDER]), key_of(hit["_id"], source, key))
