"""Removing tombstones from a real index: at exactly their order, and nothing that is newer."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from unittest.mock import Mock

import pytest
from temporalio.testing import ActivityEnvironment

from activities.search import IndexActivities
from reindexer.models import IndexInput, SearchAddress, SearchIndex
from reindexer.search.client import SearchClient
from reindexer.search.tombstones import purge
from tests.searching import ask, bulk, index_action, own_index

pytestmark = pytest.mark.engines


def gone(seconds: float) -> str:
    return (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat()


def test_what_is_not_removed_is_not_counted(search: str) -> None:
    """A follow looks again at once while many are removed: an index that takes no writes would keep it busy."""
    index = own_index()
    mapping = {"properties": {"_order": {"type": "long"}, "_gone": {"type": "date"}}}
    ask(search, "PUT", f"/{index}", {"mappings": mapping, "aliases": {f"{index}-write": {}}})
    bulk(search, [index_action(index, f"old-{n}", 7, {"_order": 8, "_gone": gone(1000)}) for n in range(3)])
    bulk(search, [index_action(index, f"new-{n}", 9, {"_order": 7, "_gone": gone(1000)}) for n in range(2)])
    client = SearchClient(SearchAddress(search=search, alias=index))
    assert purge(client, index, f"{index}-write", datetime.now(UTC) - timedelta(seconds=900)) == 3


def test_a_follow_keeps_those_on_which_a_late_write_may_still_land(search: str) -> None:
    index = own_index()
    mapping = {"properties": {"_order": {"type": "long"}, "_gone": {"type": "date"}}}
    ask(search, "PUT", f"/{index}", {"mappings": mapping, "aliases": {f"{index}-write": {}}})
    ages = {"young": 14 * 60, "old": 16 * 60}
    actions = [index_action(index, name, 7, {"_order": 7, "_gone": gone(age)}) for name, age in ages.items()]
    bulk(search, actions)
    ask(search, "POST", f"/{index}/_refresh")
    clients = Mock(search=lambda asked: SearchClient(SearchAddress(search=search, alias=asked.index)))
    follow = IndexInput(
        index=SearchIndex(search=search, alias="readers", cluster="c", index=index),
        table_arn="arn", run="run", job="job", epoch=7,
    )  # fmt: skip
    environment = ActivityEnvironment()
    environment.info = dataclasses.replace(environment.info, started_time=datetime.now(UTC))
    assert environment.run(IndexActivities(clients).purge_tombstones, follow) == 1
    ask(search, "POST", f"/{index}/_refresh")
    _, found = ask(search, "GET", f"/{index}/_search?size=10")
    assert [hit["_id"] for hit in found["hits"]["hits"]] == ["young"]


def test_old_tombstones_are_removed_and_what_is_newer_stays(search: str) -> None:
    index = own_index()
    mapping = {"properties": {"_order": {"type": "long"}, "_gone": {"type": "date"}}}
    ask(search, "PUT", f"/{index}", {"mappings": mapping, "aliases": {f"{index}-write": {}}})
    old = [index_action(index, f"old-{n}", 7, {"_order": 7, "_gone": gone(1000)}) for n in range(1200)]
    bulk(search, old)
    bulk(search, [index_action(index, "young", 8, {"_order": 8, "_gone": gone(10)})])
    bulk(search, [index_action(index, "back", 9, {"_order": 9, "_gone": gone(1000)})])
    ask(search, "POST", f"/{index}/_refresh")
    bulk(search, [index_action(index, "back", 10, {"_order": 10, "x": 1})])  # written again since it was found
    client = SearchClient(SearchAddress(search=search, alias=index))
    before = datetime.now(UTC) - timedelta(seconds=900)
    assert purge(client, index, f"{index}-write", before) == 1200
    assert purge(client, index, f"{index}-write", before) == 0
    ask(search, "POST", f"/{index}/_refresh")
    _, found = ask(search, "GET", f"/{index}/_search?size=10")
    assert sorted(hit["_id"] for hit in found["hits"]["hits"]) == ["back", "young"]
