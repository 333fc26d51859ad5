"""Comparing every record with its document before readers get an index, on the real servers."""

from __future__ import annotations

import asyncio
import json
import uuid

import pytest

from testbed.faults import FaultPlan
from testbed.faults.search import SearchFaultPlan, SearchFaultProxy
from testbed.job import outcome, until
from testbed.stack import Stack
from tests.cli import command
from tests.planted import Make, content
from tests.searching import ask
from tests.tables import made_up_key
from tests.test_follow_end_to_end import Followed, Writer, drained, ticking
from tests.test_index_end_to_end import FAST, SLOW, Indexed

pytest_plugins = ["tests.search_proxied"]


async def test_every_record_is_compared_before_readers_get_the_index(
    quiet: Stack, make_table: Make, search_proxy: SearchFaultProxy, search: str
) -> None:
    indexed = Indexed(make_table, search_proxy, search, rows=400)
    quiet.proxy.set_plan(FaultPlan.mixed(0.1))
    search_proxy.set_plan(SearchFaultPlan.mixed(0.1))
    state, report = await outcome(await quiet.start(indexed.job(verify="complete")))
    assert state == "complete", report
    assert report["verification"] == {"scanned": 400, "behind": 0}
    assert report["index"]["exactly"] == 400
    assert "sample" not in report["index"]
    indexed.assert_exact(report)


async def test_what_changes_while_the_index_is_filled_is_written_again(
    quiet: Stack, make_table: Make, search_proxy: SearchFaultProxy, search: str
) -> None:
    indexed = Indexed(make_table, search_proxy, search, rows=600)
    handle = await quiet.start(indexed.job(verify="complete", limits=SLOW))
    await until(handle, lambda seen: seen["tally"]["updated"] > 100)
    table = indexed.table
    for number in range(0, 600, 60):
        table.put({**made_up_key(table.key, number), **content(number + 1000)})
        table.client.delete_item(TableName=table.name, Key=made_up_key(table.key, number + 1))
    await handle.execute_update("set_limits", FAST)
    state, report = await outcome(handle)
    assert report["verification"]["scanned"] > 500
    [made] = list(ask(search, "GET", f"/{indexed.alias}-*")[1])
    kinds = {difference.kind for difference in indexed.judged(made)}
    # Documents of records that were deleted after they were read are counted, and name no record.
    assert kinds <= {"extraneous"}
    if kinds:
        assert (state, report["index"]["moved"]) == ("Incomplete", False), report
    else:
        assert (state, report["index"]["moved"]) == ("complete", True), report


async def test_an_index_that_somebody_has_damaged_is_made_whole_first(
    quiet: Stack, make_table: Make, search_proxy: SearchFaultProxy, search: str
) -> None:
    indexed = Indexed(make_table, search_proxy, search, rows=300)
    handle = await quiet.start(indexed.job(verify="complete", limits=SLOW))
    await until(handle, lambda seen: seen["tally"]["updated"] > 100)
    await handle.signal("pause")
    await until(handle, lambda seen: seen["state"] == "paused")
    [made] = list(ask(search, "GET", f"/{indexed.alias}-*")[1])
    ask(search, "POST", f"/{made}/_refresh")
    hits = ask(search, "POST", f"/{made}/_search", {"size": 7, "version": True})[1]["hits"]["hits"]
    for hit in hits:
        at = f"version={hit['_version']}&version_type=external_gte"
        assert ask(search, "PUT", f"/{made}/_doc/{hit['_id']}?{at}", {"id": hit["_id"]})[0] == 200
    await handle.execute_update("set_limits", FAST)
    await handle.signal("resume")
    state, report = await outcome(handle)
    assert state == "complete", report
    assert report["balanced"]
    assert report["tally"]["updated"] == 300 + len(hits)  # these counted as records of their own
    assert report["verification"] == {"scanned": 300, "behind": 0}
    assert any("7 rows written by others meanwhile" in warning for warning in report["warnings"])
    assert indexed.judged() == []


async def test_a_document_without_a_record_keeps_the_index_from_readers(
    quiet: Stack, make_table: Make, search_proxy: SearchFaultProxy, search: str
) -> None:
    indexed = Indexed(make_table, search_proxy, search, rows=300)
    handle = await quiet.start(indexed.job(verify="complete", limits=SLOW))
    await until(handle, lambda seen: seen["tally"]["updated"] > 50)
    [made] = list(ask(search, "GET", f"/{indexed.alias}-*")[1])
    assert (
        ask(search, "PUT", f"/{made}/_doc/nobody?version=5&version_type=external", {"id": "nobody"})[0] == 201
    )
    await handle.execute_update("set_limits", FAST)
    state, report = await outcome(handle)
    assert (state, report["index"]["moved"]) == ("Incomplete", False)
    assert (report["index"]["documents"], report["index"]["exactly"]) == (301, 300)
    assert indexed.behind_alias() == []


async def test_the_command_asks_for_it_and_says_what_it_is_for(
    quiet: Stack, make_table: Make, search_proxy: SearchFaultProxy, search: str
) -> None:
    indexed = Indexed(make_table, search_proxy, search, rows=30)
    asked = ("index", indexed.table.name, "--to", search, "--alias", indexed.alias, "--verify-complete")
    named = ("--workflow-id", f"job-{uuid.uuid4().hex[:8]}", "--yes")
    for more, words in (
        (("--no-verify",), "cannot be combined with --no-verify"),
        (("--dry-run",), "an index of a whole table"),
    ):
        code, _, err = await asyncio.to_thread(command, dict(quiet.environment), *asked, *named, *more)
        assert (code, words in err) == (2, True), err
    code, out, err = await asyncio.to_thread(
        command, dict(quiet.environment), *asked, *named, "--wait", "--json"
    )
    assert (code, json.loads(out)["verification"]["scanned"]) == (0, 30), err
    code, out, _ = await asyncio.to_thread(command, dict(quiet.environment), "report", named[1])
    assert (code, "30 records read consistently, each equal to its document" in out) == (0, True), out


async def test_a_followed_index_is_compared_whole_before_readers_get_it(
    quiet: Stack, make_table: Make, search_proxy: SearchFaultProxy, search: str
) -> None:
    """While writers go on: documents that lag are no differences."""
    followed = Followed(make_table, search_proxy, search, rows=300)
    writer = Writer(followed.table, 400)
    with writer.running():
        handle = await followed.start(quiet, verify="complete")
        seen = await until(handle, drained, seconds=150)
    assert followed.behind_alias() == [f"{followed.alias}-{seen['epoch']}"]
    await followed.equal()
    await handle.cancel()
    await outcome(handle)
    report = quiet.ledger().reports.find(handle.id, None)
    assert report is not None
    assert report.balanced
    assert report.comparison is not None
    counts = report.comparison.counts
    assert (counts.different, counts.missing, counts.extraneous) == (0, 0, 0)
    assert counts.equal > 100
    assert counts.other_scanned > 100


@pytest.mark.nightly
@pytest.mark.long
async def test_a_followed_index_with_a_document_of_a_stranger_stays_from_readers_until_a_rescan(
    quiet: Stack, make_table: Make, search_proxy: SearchFaultProxy, search: str
) -> None:
    followed = Followed(make_table, search_proxy, search, rows=200)
    async with ticking(followed):  # what changes shows at once that all before it is settled
        handle = await followed.start(quiet, verify="complete", limits=SLOW)
        await until(handle, lambda seen: seen["tally"]["updated"] > 50)
        [made] = list(ask(search, "GET", f"/{followed.alias}-*")[1])
        assert (
            ask(search, "PUT", f"/{made}/_doc/nobody?version=5&version_type=external", {"_order": 5})[0] == 201
        )
        await handle.execute_update("set_limits", FAST)
        await until(handle, drained, seconds=150)
        code, out, err = await asyncio.to_thread(
            command, dict(quiet.environment), "differences", handle.id, "--json"
        )
        assert code == 0, err
        found = [each for each in json.loads(out)["differences"] if each["kind"] != "moving"]
        assert [(each["kind"], each["key"]) for each in found] == [("extraneous", {"id": {"S": "nobody"}})]
        assert followed.behind_alias() == []
        await handle.execute_update("rescan", {"reason": "somebody wrote to it"})
        await until(handle, lambda seen: not seen["drained"])
        await until(handle, drained, seconds=150)
        assert followed.behind_alias() == [made]
    await handle.cancel()
    await outcome(handle)
    report = quiet.ledger().reports.find(handle.id, None)
    assert report is not None
    assert report.comparison is not None
    counts = report.comparison.counts
    assert (counts.different, counts.missing, counts.extraneous) == (0, 0, 0)
