"""Writing documents of named records again on the real servers, alone and beside a running follow."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from testbed.faults import FaultPlan
from testbed.faults.search import SearchFaultPlan, SearchFaultProxy
from testbed.job import outcome, until
from testbed.stack import Stack
from tests.cli import command
from tests.killed import outcome_though_killed
from tests.planted import Make, content
from tests.searching import ask
from tests.tables import made_up_key
from tests.test_follow_end_to_end import Followed, Writer, drained
from tests.test_index_end_to_end import SLOW, Indexed

pytest_plugins = ["tests.search_proxied"]


def keys(indexed: Indexed, numbers: Iterable[int]) -> dict[str, Any]:
    """A scope."""
    named = [made_up_key(indexed.table.key, number) for number in numbers]
    return {
        "kind": "keys",
        "keys": [{name: next(iter(v.values())) for name, v in key.items()} for key in named],
    }


def refresh(indexed: Indexed, scope: dict[str, Any], **more: Any) -> dict[str, Any]:
    to = {"search": indexed.proxy.endpoint_url, "alias": indexed.alias}
    return {"table": indexed.table.name, "operation": {"kind": "refresh", "to": to}, "scope": scope, **more}


async def filled(stack: Stack, indexed: Indexed) -> str:
    state, report = await outcome(await stack.start(indexed.job()))
    assert state == "complete", report
    return str(report["index"]["index"])


def spoil(indexed: Indexed, index: str, numbers: Iterable[int]) -> None:
    """Documents lose their content, each at its own version, and some are removed."""
    for number in numbers:
        path = f"/{index}/_doc/row-{number:06}"
        found = ask(indexed.search, "GET", path)[1]
        at = f"{path}?version={found['_version']}&version_type=external_gte&refresh=true"
        body = {"id": f"row-{number:06}", "_order": found["_version"], "spoilt": True}
        status, _ = (
            ask(indexed.search, "DELETE", at) if number % 3 == 0 else ask(indexed.search, "PUT", at, body)
        )
        assert status in (200, 201)


def counted(report: dict[str, Any]) -> dict[str, int]:
    return {name: number for name, number in report["tally"].items() if number}


async def test_named_documents_are_written_again_and_those_of_deleted_records_hidden(
    quiet: Stack, make_table: Make, search_proxy: SearchFaultProxy, search: str
) -> None:
    indexed = Indexed(make_table, search_proxy, search, rows=300)
    index = await filled(quiet, indexed)
    spoil(indexed, index, range(0, 200, 2))
    for number in (1, 4):
        indexed.table.client.delete_item(
            TableName=indexed.table.name, Key=made_up_key(indexed.table.key, number)
        )
    assert len(indexed.judged()) == 101  # of the two deleted ones one was spoilt
    quiet.proxy.set_plan(FaultPlan.mixed(0.1))
    search_proxy.set_plan(SearchFaultPlan.mixed(0.1))
    state, report = await outcome(await quiet.start(refresh(indexed, keys(indexed, range(200)))))
    assert state == "complete", report
    assert report["balanced"]
    assert counted(report) == {"scanned": 200, "updated": 198, "vanished": 2}
    assert "index" not in report
    assert sum(search_proxy.truth().injected.values()) > 0
    ask(search, "POST", f"/{index}/_refresh")
    assert indexed.judged() == []
    assert indexed.behind_alias() == [index]
    again = {**refresh(indexed, keys(indexed, [1, 2])), "expect_found": True}
    state, report = await outcome(await quiet.start(again))
    assert (state, counted(report)) == ("Incomplete", {"scanned": 2, "updated": 1, "vanished": 1})


async def test_whole_partitions_are_written_again_with_totals_for_each(
    quiet: Stack, make_table: Make, search_proxy: SearchFaultProxy, search: str
) -> None:
    indexed = Indexed(make_table, search_proxy, search, rows=0, range_type="N")
    table = indexed.table
    rows = [
        {"id": {"S": tenant}, "at": {"N": str(number)}, **content(number)}
        for tenant in ("a", "b", "c")
        for number in range(150)
    ]
    names = [attribute.name for attribute in table.key]
    table.put(*({names[0]: row.pop("id"), names[1]: row.pop("at"), **row} for row in rows))
    index = await filled(quiet, indexed)
    found = ask(search, "POST", f"/{index}/_search", {"size": 450, "version": True})[1]["hits"]["hits"]
    assert len(found) == 450
    for hit in found:
        at = f"version={hit['_version']}&version_type=external_gte"
        kept = {name: value for name, value in hit["_source"].items() if name != "size"}
        assert ask(search, "PUT", f"/{index}/_doc/{hit['_id'].replace('|', '%7C')}?{at}", kept)[0] == 200
    ask(search, "POST", f"/{index}/_refresh")
    assert len(indexed.judged()) == 450
    scope = {"kind": "partitions", "values": ["a", "c", "none"]}
    state, report = await outcome(await quiet.start(refresh(indexed, scope)))
    assert state == "complete", report
    assert counted(report) == {"scanned": 300, "updated": 300}
    assert {name: tally.get("updated", 0) for name, tally in report["partitions"].items()} == {
        "a": 150, "c": 150, "none": 0
    }  # fmt: skip
    ask(search, "POST", f"/{index}/_refresh")
    assert {difference.key[names[0]]["S"] for difference in indexed.judged() if difference.key} == {"b"}
    assert len(indexed.judged()) == 150


@pytest.mark.nightly
async def test_beside_a_follow_nothing_newer_is_hidden(
    quiet: Stack, make_table: Make, search_proxy: SearchFaultProxy, search: str
) -> None:
    followed = Followed(make_table, search_proxy, search, rows=60)
    handle = await followed.start(quiet)
    writer = Writer(followed.table, 60)
    job = refresh(followed, keys(followed, range(60)), isolation="batch")
    with writer.running():
        await until(handle, drained, seconds=150)
        search_proxy.set_plan(SearchFaultPlan.mixed(0.1))
        for _ in range(4):
            state, report = await outcome(await quiet.start(job))
            assert state == "complete", report
            assert report["balanced"]
            assert report["tally"]["updated"] + report["tally"]["vanished"] == 60
    await followed.equal()
    [index] = followed.behind_alias()
    assert followed.proxy.truth().went_back(f"{index}-write") == []
    spoil(followed, index, [n for n in range(60) if followed.table.get(made_up_key(followed.table.key, n))][:9])
    assert len(followed.judged()) == 9
    assert (await outcome(await quiet.start(refresh(followed, keys(followed, range(60))))))[0] == "complete"
    await followed.equal()
    await handle.cancel()
    await outcome(handle)


@pytest.mark.nightly
async def test_killed_workers_count_each_record_once(
    quiet: Stack, make_table: Make, search_proxy: SearchFaultProxy, search: str
) -> None:
    indexed = Indexed(make_table, search_proxy, search, rows=400)
    index = await filled(quiet, indexed)
    spoil(indexed, index, range(0, 400, 20))
    beside = quiet.beside(f"refresh-{uuid.uuid4().hex[:8]}")
    job = refresh(indexed, keys(indexed, range(400)), limits=SLOW)
    moments = [lambda seen: bool(seen["tally"]["updated"] > 50)]
    limits = {"records_per_second": "unlimited"}
    state, report = await outcome_though_killed(beside, job, moments, limits)
    assert state == "complete", report
    assert counted(report) == {"scanned": 400, "updated": 400}
    ask(search, "POST", f"/{index}/_refresh")
    assert indexed.judged() == []


async def test_a_refused_document_is_given_up_and_redriven(
    quiet: Stack, make_table: Make, search_proxy: SearchFaultProxy, search: str
) -> None:
    indexed = Indexed(make_table, search_proxy, search, rows=20)
    index = await filled(quiet, indexed)
    wrong = {**made_up_key(indexed.table.key, 7), "size": {"S": "large"}}
    indexed.table.put(wrong)
    state, report = await outcome(await quiet.start(refresh(indexed, keys(indexed, range(20)))))
    assert (state, counted(report)) == ("Incomplete", {"scanned": 20, "updated": 19, "quarantined": 1})
    [entry] = quiet.ledger().failures.open(report["job"], report["run"], None)
    assert entry.error == "mapper_parsing_exception"
    indexed.table.put({**wrong, "size": {"N": "1"}})
    scope = {"kind": "quarantined", "job": report["job"], "run": report["run"]}
    state, again = await outcome(await quiet.start({"table": indexed.table.name, "scope": scope}))
    assert (state, counted(again)) == ("complete", {"scanned": 1, "updated": 1})
    ask(search, "POST", f"/{index}/_refresh")
    assert indexed.judged() == []


@pytest.mark.parametrize(
    ("wrong", "kind", "words"),
    [
        ({"scope": {"kind": "complete"}}, "BadInput", "a whole table gets a new index, by `index`"),
        ({"scope": {"kind": "sample", "limit": 5}}, "BadInput", "named keys or partitions"),
        ({"limits": {"write_units_per_second": 5}}, "BadInput", "writes nothing to the table"),
        ({"dry_run": True}, "BadInput", "can be tried out"),
        ({}, "NoIndex", "there is no alias"),
    ],
)
async def test_what_rules_itself_out_is_refused(
    quiet: Stack,
    make_table: Make,
    search_proxy: SearchFaultProxy,
    search: str,
    wrong: dict[str, Any],
    kind: str,
    words: str,
) -> None:
    indexed = Indexed(make_table, search_proxy, search, rows=1)
    found, failure = await outcome(await quiet.start({**refresh(indexed, keys(indexed, [0])), **wrong}))
    assert (found, words in failure["message"]) == (kind, True), failure


async def test_only_an_index_of_the_same_table_and_of_one_refresh_at_a_time(
    quiet: Stack, make_table: Make, search_proxy: SearchFaultProxy, search: str
) -> None:
    indexed = Indexed(make_table, search_proxy, search, rows=200)
    await filled(quiet, indexed)
    other = Indexed(make_table, search_proxy, search, rows=1)
    other.alias = indexed.alias
    kind, refused = await outcome(await quiet.start(refresh(other, keys(other, [0]))))
    assert (kind, f"not of {other.table.arn}" in refused["message"]) == ("NoIndex", True), refused
    first = await quiet.start(refresh(indexed, keys(indexed, range(200)), limits=SLOW))
    await until(first, lambda seen: seen["tally"]["updated"] > 0)
    kind, refused = await outcome(await quiet.start(refresh(indexed, keys(indexed, [0]))))
    assert kind == "Locked", refused
    await first.cancel()
    assert (await outcome(first))[0] == "CancelledError"
    report = quiet.ledger().reports.find(first.id, None)
    assert report is not None
    assert report.balanced


async def test_the_command_names_records_shows_its_plan_and_reports(
    quiet: Stack, make_table: Make, search_proxy: SearchFaultProxy, search: str, tmp_path: Path
) -> None:
    indexed = Indexed(make_table, search_proxy, search, rows=30)
    index = await filled(quiet, indexed)
    spoil(indexed, index, [2, 3])
    listed = tmp_path / "keys"
    listed.write_text("row-000002\nrow-000003\n")
    asked = ("refresh", indexed.table.name, "--to", search, "--alias", indexed.alias)
    named = ("--workflow-id", f"job-{uuid.uuid4().hex[:8]}")

    async def run(*more: str) -> tuple[int, str, str]:
        return await asyncio.to_thread(command, dict(quiet.environment), *asked, *named, *more)

    code, _, err = await run()
    assert (code, "--keys: is missing" in err) == (2, True), err
    code, _, err = await run("--key", '{"id": "row-000002"}')
    assert (code, f"index {index}, which the readers of {indexed.alias} have" in " ".join(err.split())) == (
        2,
        True,
    )
    code, _, err = await run("--keys", str(listed), "--job", "no-such-job", "--yes")
    assert (code, "no-such-job" in err) == (2, True), err
    code, out, err = await run("--keys", str(listed), "--yes", "--wait", "--json")
    assert code == 0, err
    assert json.loads(out)["tally"]["updated"] == 2
    code, out, _ = await asyncio.to_thread(command, dict(quiet.environment), "report", named[1])
    assert (code, "again to the index of epoch" in out) == (0, True), out
    ask(search, "POST", f"/{index}/_refresh")
    assert indexed.judged() == []
