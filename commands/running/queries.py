"""What the demo asks its index: text, a range, a place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from commands.rendering.screen import DIM, columns
from reindexer.models import SearchAddress
from reindexer.search.client import SearchClient
from reindexer.words import count, some
from testbed.cities import TABLE

_SHOWN = 3  # cities of each answer


@dataclass(frozen=True)
class _Question:
    """In words, and as OpenSearch has it."""

    words: str
    query: Mapping[str, Any]


def _between(field: str, least: float, most: float) -> Mapping[str, Any]:
    return {"range": {field: {"gte": least, "lte": most}}}


_QUESTIONS = (
    _Question("“san francisco” among the names", {"match_phrase": {"alternatenames": "san francisco"}}),
    _Question("cities north of the 60th parallel", _between("latitude", 60, 90)),
    _Question(
        "cities in a box around Lake Constance",
        {"bool": {"filter": [_between("latitude", 47.3, 47.9), _between("longitude", 8.8, 9.9)]}},
    ),
)


def answers(url: str) -> RenderableType:
    """What the readers' alias answers to each question. Raises `CallFailed`."""
    client = SearchClient(SearchAddress(search=url, alias=TABLE))
    return Group(*(part for question in _QUESTIONS for part in _answer(client, question)))


def _answer(client: SearchClient, question: _Question) -> Iterator[RenderableType]:
    body = {"query": question.query, "sort": [{"population": "desc"}], "size": _SHOWN, "track_total_hits": True}
    hits = client.call("POST", f"/{TABLE}/_search", body)["hits"]
    found = some(hits["total"]["value"], "city", "cities")
    yield Text.assemble((question.words, "bold"), f": {found}", (", the largest" if hits["hits"] else "", DIM))
    if cities := [hit["_source"] for hit in hits["hits"]]:
        rows = [(f"  {city['name']}, {city['countrycode']}", count(city["population"])) for city in cities]
        yield columns(rows, right=[1])
