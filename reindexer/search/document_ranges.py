"""Documents of an index one after another, by the numbers that its shards give to writes (`_seq_no`).

A page is asked for by where the last one ended, so that nothing is held open between two, and a reading goes on
after a crash. What is written again moves behind all others, and is never passed over by those before it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from reindexer.answers import Action, CallFailed, Failure
from reindexer.items import WireKey
from reindexer.models import DocumentRange, KeyAttribute
from reindexer.search.client import SearchClient
from reindexer.search.document_ids import is_hash, key_of
from reindexer.search.documents import GONE

#: Documents of one request, without their contents.
PAGE = 1000
#: Numbers of a range, of which each is a shard of a job: half a minute of looking up their records.
_NUMBERS = 150_000
#: Ranges at most: beside 300 segments of the table, a job has no more shards than 400.
MAX_RANGES = 100


class Listed(NamedTuple):
    """A document, without its contents. `key` None: neither its ID nor its fields tell; `hashed`: its ID is."""

    id: str
    number: int
    key: WireKey | None
    hashed: bool


def listed(
    client: SearchClient, index: str, part: DocumentRange, after: int, key: Sequence[KeyAttribute]
) -> list[Listed]:
    """The next documents of the range after this number; fewer than `PAGE`: no more are visible.

    Tombstones are left out. Raises `CallFailed`.
    """
    bounds = {"gt": after, **({} if part.upto is None else {"lte": part.upto})}
    query = {
        "query": {
            "bool": {
                "filter": {"range": {"_seq_no": bounds}},
                "must_not": {"exists": {"field": GONE}},
            }
        },
        "_source": [attribute.name for attribute in key],
        "size": PAGE,
        "sort": [{"_seq_no": {"order": "asc", "unmapped_type": "long"}}],
    }
    return [_listed(hit, key) for hit in _of_shard(client, index, part.shard, query)]


def ranges_of(client: SearchClient, index: str) -> list[DocumentRange]:
    """All documents of the index in ranges of about one size. The last one of each shard has no end.

    Raises `CallFailed`.
    """
    client.call("POST", f"/{index}/_refresh")
    answer = client.call("GET", f"/{index}/_settings", filter_path="*.settings.index.number_of_shards")
    number = int(answer[index]["settings"]["index"]["number_of_shards"])
    ends = [_last(client, index, shard) for shard in range(number)]
    width = max(_NUMBERS, sum(ends) // max(1, MAX_RANGES - number))
    ranges = []
    for shard, end in enumerate(ends):
        bounds = range(width - 1, end, width)
        ranges += [
            DocumentRange(shard=shard, after=bound - width, upto=bound if bound + width <= end else None)
            for bound in bounds
        ] or [DocumentRange(shard=shard)]
    return ranges


def _last(client: SearchClient, index: str, shard: int) -> int:
    """The highest number of a shard's documents."""
    hits = _of_shard(
        client,
        index,
        shard,
        {"size": 1, "_source": False, "sort": [{"_seq_no": {"order": "desc", "unmapped_type": "long"}}]},
    )
    return int(hits[0]["sort"][0]) if hits else 0


def _of_shard(
    client: SearchClient, index: str, shard: int, query: Mapping[str, Any]
) -> Sequence[Mapping[str, Any]]:
    answer = client.call(
        "POST",
        f"/{index}/_search",
        {**query, "track_total_hits": False},
        preference=f"_shards:{shard}",
        allow_partial_search_results="false",
    )
    if answer["_shards"]["successful"] != 1:  # an answer without it would look like the end
        raise CallFailed(
            Failure("shard_not_available", f"shard {shard} of {index} does not answer", Action.RETRY)
        )
    hits: list[Mapping[str, Any]] = answer["hits"]["hits"]
    return hits


def _listed(hit: Mapping[str, Any], key: Sequence[KeyAttribute]) -> Listed:
    found, source = str(hit["_id"]), hit.get("_source", {})
    return Listed(found, int(hit["sort"][0]), key_of(found, source, key), is_hash(found))
