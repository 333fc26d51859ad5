"""Indexing a table on the real servers: every record has its document, by a judge that shares no code."""

from __future__ import annotations

import asyncio
import uuid
from functools import partial
from typing import Any

import pytest

from reindexer.tally import Outcome
from testbed.faults import FaultPlan
from testbed.faults.search import (
    SearchFault,
    SearchFaultKind,
    SearchFaultPlan,
    SearchFaultProxy,
)
from testbed.job import outcome, until
from testbed.judge_index import Difference, differences
from testbed.stack import Stack
from tests.killed import outcome_though_killed
from tests.planted import Make, content
from tests.searching import ask
from tests.tables import Table, made_up_key

pytest_plugins = ["tests.search_proxied"]

ROWS = 900
#: Some ten seconds for all rows, so that something can happen in between.
SLOW = {"records_per_second": 100}
FAST = {"records_per_second": "unlimited"}
K = SearchFaultKind


class Indexed:
    """A table whose records are to be indexed, and an alias of its own."""

    def __init__(
        self, make_table: Make, search_proxy: SearchFaultProxy, search: str, rows: int = ROWS, **schema: Any
    ) -> None:
        self.table: Table = make_table(**schema)
        self.rows, self.proxy, self.search = rows, search_proxy, search
        self.alias = f"idx-{uuid.uuid4().hex[:8]}"
        self.table.put(*({**made_up_key(self.table.key, n), **content(n)} for n in range(rows)))

    def job(self, **more: Any) -> dict[str, Any]:
        operation = {"kind": "index", "to": {"search": self.proxy.endpoint_url, "alias": self.alias}}
        return {
            "table": self.table.name,
            "total_segments": 3,
            **more,
            "operation": {**operation, **more.get("operation", {})},
        }

    def judged(self, index: str | None = None) -> list[Difference]:
        found = differences(self.table.client, self.table.name, self.search, index or self.alias)
        return list(found)

    def behind_alias(self) -> list[str]:
        status, answer = ask(self.search, "GET", f"/_alias/{self.alias}")
        return sorted(answer) if status == 200 else []

    def assert_exact(self, report: dict[str, Any]) -> str:
        """Each record has one document, written once, and readers have the index. Returns its name."""
        tally = {name: number for name, number in report["tally"].items() if number}
        assert report["balanced"]
        assert tally == {"scanned": self.rows, "updated": self.rows}
        found = report["index"]
        assert (found["documents"], found["expected"]) == (self.rows, self.rows)
        assert found["moved"]
        assert self.behind_alias() == [found["index"]]
        assert self.judged() == []
        written = self.proxy.truth().indexes[f"{found['index']}-write"]  # by the name in the requests
        assert {len(document.accepted) for document in written.values()} == {1}
        assert len(written) == self.rows
        return str(found["index"])


@pytest.mark.parametrize(
    ("hash_type", "range_type"),
    [("S", None), *(pytest.param(*pair, marks=pytest.mark.nightly) for pair in (("N", "B"), ("B", "N")))],
)
async def test_every_record_has_its_document_and_readers_get_the_index(
    quiet: Stack,
    make_table: Make,
    search_proxy: SearchFaultProxy,
    search: str,
    hash_type: str,
    range_type: str | None,
) -> None:
    indexed = Indexed(make_table, search_proxy, search, rows=300, hash_type=hash_type, range_type=range_type)
    state, report = await outcome(await quiet.start(indexed.job()))
    assert state == "complete", report
    indexed.assert_exact(report)


async def test_one_call_in_ten_failing_on_both_sides_changes_no_count(
    quiet: Stack, make_table: Make, search_proxy: SearchFaultProxy, search: str
) -> None:
    indexed = Indexed(make_table, search_proxy, search)
    quiet.proxy.set_plan(FaultPlan.mixed(0.1))
    search_proxy.set_plan(SearchFaultPlan.mixed(0.1))
    state, report = await outcome(await quiet.start(indexed.job(operation={"move_alias": "complete"})))
    assert state == "complete", report
    assert sum(search_proxy.truth().injected.values()) > 0
    assert report["attempts"]["ambiguous"] > 0
    indexed.assert_exact(report)


@pytest.mark.nightly
async def test_requests_that_land_late_change_nothing(
    quiet: Stack, make_table: Make, search_proxy: SearchFaultProxy, search: str
) -> None:
    indexed = Indexed(make_table, search_proxy, search)
    faults = [
        SearchFault(kind=kind, probability=0.3, seconds=2.0) for kind in (K.CUT_LATE, K.SERVER_ERROR_LATE)
    ]
    search_proxy.set_plan(SearchFaultPlan(faults=tuple(faults)))
    state, report = await outcome(await quiet.start(indexed.job()))
    assert state == "complete", report
    await asyncio.sleep(2.5)
    indexed.assert_exact(report)


async def test_a_second_index_replaces_the_first_in_one_request(
    quiet: Stack, make_table: Make, search_proxy: SearchFaultProxy, search: str
) -> None:
    indexed = Indexed(make_table, search_proxy, search, rows=100)
    _, first = await outcome(await quiet.start(indexed.job()))
    before = indexed.assert_exact(first)
    indexed.table.put({**made_up_key(indexed.table.key, 0), "new": {"BOOL": True}})
    state, second = await outcome(await quiet.start(indexed.job()))
    assert state == "complete", second
    after = indexed.assert_exact(second)
    assert after != before
    assert second["index"]["previous"] == [before]
    assert len(indexed.judged(before)) == 1  # it stays as it was


async def test_a_refused_document_is_given_up_by_its_own_error_and_redriven(
    quiet: Stack, make_table: Make, search_proxy: SearchFaultProxy, search: str
) -> None:
    indexed = Indexed(make_table, search_proxy, search, rows=60)
    wrong = {**made_up_key(indexed.table.key, 7), "size": {"S": "large"}}
    indexed.table.put(wrong)
    mapping = {"properties": {"size": {"type": "double"}}}
    handle = await quiet.start(indexed.job(operation={"mapping": mapping}))
    state, report = await outcome(handle)
    assert state == "Incomplete"
    assert (report["tally"]["updated"], report["tally"]["quarantined"]) == (59, 1)
    assert not report["index"]["moved"]
    assert indexed.behind_alias() == []
    [entry] = quiet.ledger().failures.open(report["job"], report["run"], None)
    assert entry.error == "mapper_parsing_exception"
    assert "size" in entry.message
    indexed.table.put({**wrong, "size": {"N": "1"}})
    scope = {"kind": "quarantined", "job": report["job"], "run": report["run"]}
    state, again = await outcome(await quiet.start({**indexed.job(), "scope": scope}))
    assert state == "complete", again
    assert (again["tally"]["updated"], again["index"]["moved"]) == (1, True)
    assert indexed.behind_alias() == [report["index"]["index"]]
    assert indexed.judged() == []


@pytest.mark.nightly
async def test_a_cancelled_job_counts_exactly_what_the_index_holds(
    quiet: Stack, make_table: Make, search_proxy: SearchFaultProxy, search: str
) -> None:
    indexed = Indexed(make_table, search_proxy, search)
    search_proxy.set_plan(SearchFaultPlan.mixed(0.1))
    handle = await quiet.start(indexed.job(limits=SLOW))
    await until(handle, lambda seen: seen["tally"]["updated"] > 50)
    await handle.cancel()
    state, _ = await outcome(handle)
    assert state == "CancelledError"
    report = quiet.ledger().reports.find(handle.id, None)
    assert report is not None
    assert report.balanced
    assert indexed.behind_alias() == []
    ask(search, "POST", f"/{indexed.alias}-*/_refresh")
    assert ask(search, "GET", f"/{indexed.alias}-*/_count")[1]["count"] == report.tally[Outcome.UPDATED]


@pytest.mark.parametrize("killed_at", [(100,), pytest.param((1, 250), marks=pytest.mark.nightly)])
@pytest.mark.long
async def test_killed_workers_lose_no_document_and_count_none_twice(
    quiet: Stack, make_table: Make, search_proxy: SearchFaultProxy, search: str, killed_at: tuple[int, ...]
) -> None:
    indexed = Indexed(make_table, search_proxy, search)
    beside = quiet.beside(f"index-{uuid.uuid4().hex[:8]}")
    moments = [partial(_has_updated, number) for number in killed_at]
    state, report = await outcome_though_killed(beside, indexed.job(limits=SLOW), moments, FAST)
    assert state == "complete", report
    indexed.assert_exact(report)


def _has_updated(number: int, seen: dict[str, Any]) -> bool:
    return bool(seen["tally"]["updated"] >= number)


async def test_a_read_only_index_parks_the_job_by_that_name(
    quiet: Stack, make_table: Make, search_proxy: SearchFaultProxy, search: str
) -> None:
    indexed = Indexed(make_table, search_proxy, search)
    handle = await quiet.start(indexed.job(limits=SLOW))
    await until(handle, lambda seen: seen["tally"]["updated"] > 50)
    blocked = "index.blocks.read_only_allow_delete"
    ask(search, "PUT", f"/{indexed.alias}-*/_settings", {blocked: True})
    seen = await until(handle, lambda seen: seen["state"] == "parked")
    assert "cluster_block_exception" in seen["reason"]
    ask(search, "PUT", f"/{indexed.alias}-*/_settings", {blocked: None})
    await handle.execute_update("set_limits", FAST)
    await handle.signal("resume")
    state, report = await outcome(handle)
    assert state == "complete", report
    indexed.assert_exact(report)


async def test_an_index_with_the_name_of_the_alias_is_removed_only_where_that_is_asked_for(
    quiet: Stack, make_table: Make, search_proxy: SearchFaultProxy, search: str
) -> None:
    indexed = Indexed(make_table, search_proxy, search, rows=30)
    assert ask(search, "PUT", f"/{indexed.alias}", {})[0] == 200
    kind, refused = await outcome(await quiet.start(indexed.job()))
    assert kind == "AliasIsIndex", refused
    assert "replace_index" in refused["message"]
    state, report = await outcome(await quiet.start(indexed.job(operation={"replace_index": True})))
    assert state == "complete", report
    indexed.assert_exact(report)


async def test_a_second_job_of_the_alias_is_refused_while_one_runs(
    quiet: Stack, make_table: Make, search_proxy: SearchFaultProxy, search: str
) -> None:
    indexed = Indexed(make_table, search_proxy, search, rows=200)
    handle = await quiet.start(indexed.job(limits=SLOW))
    await until(handle, lambda seen: seen["tally"]["updated"] > 0)
    kind, refused = await outcome(await quiet.start(indexed.job()))
    assert kind == "Locked", refused
    await handle.execute_update("set_limits", FAST)
    assert (await outcome(handle))[0] == "complete"


@pytest.mark.parametrize(
    ("wrong", "kind", "words"),
    [
        ({"scope": {"kind": "sample", "limit": 10}}, "BadInput", "whole table"),
        ({"operation": {"mapping": {"properties": {"a": {"type": "nonsense"}}}}}, "BadIndex", "nonsense"),
        ({"operation": {"settings": {"index.default_pipeline": "p"}}}, "BadInput", "pipeline"),
        ({"operation": {"mapping": {"_source": {"enabled": False}}}}, "BadInput", "_source"),
        ({"limits": {"write_units_per_second": 5}}, "BadInput", "nothing to the table"),
        ({"operation": {"job": "size_class"}}, "BadInput", "changes records: it is for transform"),
    ],
)
async def test_what_rules_itself_out_is_refused_and_nothing_is_created(
    quiet: Stack,
    make_table: Make,
    search_proxy: SearchFaultProxy,
    search: str,
    wrong: dict[str, Any],
    kind: str,
    words: str,
) -> None:
    indexed = Indexed(make_table, search_proxy, search, rows=3)
    job = indexed.job(**wrong)
    if wrong.get("scope"):
        job.pop("total_segments")
    found, failure = await outcome(await quiet.start(job))
    assert (found, words in failure["message"]) == (kind, True), failure
    assert not ask(search, "GET", f"/_cat/indices/{indexed.alias}*?format=json")[1]
