"""Writing to an index on a real OpenSearch: only where it is the job's own, and only above what is stored."""

from __future__ import annotations

import pytest

from reindexer.answers import Action
from reindexer.items import Put
from reindexer.models import Index, SearchAddress, SearchIndex
from reindexer.search.client import SearchClient
from reindexer.sinks.search_index import SearchSink
from reindexer.tally import Outcome
from tests.driving import target
from tests.searching import ask, own_index

KEYS = [{"id": {"S": name}} for name in ("a", "b")]


def sink(search: str, index: str) -> SearchSink:
    address = SearchAddress(search=search, alias="readers")
    to = SearchIndex(search=search, alias="readers", cluster="c", index=index)
    return SearchSink(SearchClient(address), target(operation=Index(kind="index", to=address), search=to))


def put(order: int) -> Put:
    return Put(order, b'{"n":1}', Outcome.UPDATED)


@pytest.fixture
def index(search: str) -> str:
    """An index with its write alias."""
    name = own_index()
    assert ask(search, "PUT", f"/{name}", {"aliases": {f"{name}-write": {"is_write_index": True}}})[0] == 200
    return name


def test_without_its_alias_a_write_parks_and_creates_no_index(search: str, index: str) -> None:
    assert ask(search, "DELETE", f"/{index}")[0] == 200
    answers = sink(search, index).attempt([(key, put(5)) for key in KEYS])
    assert [failure and failure.action for failure in answers.failures] == [Action.PARK, Action.PARK]
    assert not ask(search, "GET", f"/_cat/indices/{index}*?format=json")[1]


def test_a_write_lands_above_what_is_stored_and_a_refusal_says_what_is(search: str, index: str) -> None:
    writes = sink(search, index)
    assert writes.attempt([(KEYS[0], put(5)), (KEYS[1], put(7))]).failures == [None, None]
    again = writes.attempt([(KEYS[0], put(5)), (KEYS[1], put(8))]).failures
    assert again[0] is not None
    assert (again[0].action, "current version [5]" in again[0].message) == (Action.SETTLE, True)
    assert again[1] is None
    assert [stored and stored.order for stored in writes.stored(KEYS)] == [5, 8]
