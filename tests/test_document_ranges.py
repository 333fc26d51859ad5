"""Listing the documents of an index by the numbers of their writes, on a real OpenSearch."""

from __future__ import annotations

import pytest

from reindexer.models import DocumentRange, KeyAttribute, SearchAddress
from reindexer.search import document_ranges as module
from reindexer.search.client import SearchClient
from reindexer.search.document_ranges import listed, ranges_of
from reindexer.search.documents import GONE, ORDER
from tests.searching import ask, bulk, index_action, own_index

KEY = [KeyAttribute(name="id", type="S")]
DOCUMENTS = 60


@pytest.fixture
def index(search: str) -> str:
    """Of three shards, with numbers that begin at 0 in each."""
    name = own_index()
    properties = {ORDER: {"type": "long"}, GONE: {"type": "date"}}
    body = {"settings": {"index": {"number_of_shards": 3}}, "mappings": {"properties": properties}}
    assert ask(search, "PUT", f"/{name}", body)[0] == 200
    actions = [index_action(name, f"k{number}", 5, {ORDER: 5}) for number in range(DOCUMENTS)]
    assert bulk(search, actions)[0] == 200
    return name


def client_of(search: str) -> SearchClient:
    return SearchClient(SearchAddress(search=search, alias="any"))


def every(search: str, index: str, part: DocumentRange, page: int) -> list[str]:
    """IDs of a range, a page after the other."""
    found, after = list[str](), part.after
    while True:
        some = listed(client_of(search), index, part, after, KEY)
        found += [document.id for document in some]
        if len(some) < page:
            return found
        after = some[-1].number


def test_ranges_hold_every_document_once(search: str, index: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_NUMBERS", 7)
    monkeypatch.setattr(module, "PAGE", 3)
    ranges = ranges_of(client_of(search), index)
    assert {part.shard for part in ranges} == {0, 1, 2}
    assert len(ranges) > 6
    assert [part.upto is None for part in ranges].count(True) == 3  # each shard's last one
    found = [name for part in ranges for name in every(search, index, part, 3)]
    assert sorted(found) == sorted(f"k{number}" for number in range(DOCUMENTS))


def test_what_is_written_again_moves_behind_and_tombstones_are_left_out(search: str, index: str) -> None:
    gone = {ORDER: 6, GONE: "2026-01-01T00:00:00Z"}
    bulk(search, [index_action(index, "k1", 6, gone), index_action(index, "k2", 6, {ORDER: 6})])
    ask(search, "POST", f"/{index}/_refresh")
    found = [every(search, index, part, module.PAGE) for part in ranges_of(client_of(search), index)]
    assert sum(map(len, found)) == DOCUMENTS - 1
    assert [names[-1] for names in found if "k2" in names] == ["k2"]


def test_an_empty_index_has_a_range_of_each_shard_and_no_document(search: str) -> None:
    name = own_index()
    assert ask(search, "PUT", f"/{name}", {"settings": {"index": {"number_of_shards": 2}}})[0] == 200
    ranges = ranges_of(client_of(search), name)
    assert ranges == [DocumentRange(shard=0), DocumentRange(shard=1)]
    assert [every(search, name, part, module.PAGE) for part in ranges] == [[], []]


def test_keys_come_from_ids_or_where_these_are_hashes_from_the_document(search: str) -> None:
    name, long = own_index(), "x" * 600
    hashed = ["sha256:" + "0" * 64, "sha256:" + "1" * 64]
    documents = [
        index_action(name, "plain", 5, {}),
        index_action(name, hashed[0], 5, {"id": long}),  # not the hash of that key
        index_action(name, hashed[1], 5, {}),
    ]
    assert bulk(search, documents)[0] == 200
    ask(search, "POST", f"/{name}/_refresh")
    [part] = ranges_of(client_of(search), name)
    found = {document.id: document for document in listed(client_of(search), name, part, -1, KEY)}
    assert found["plain"].key == {"id": {"S": "plain"}}
    assert [(found[each].key, found[each].hashed) for each in hashed] == [(None, True), (None, True)]
