"""What a follow says of itself on the real servers: whom it waits for, how far it is behind, who reads."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest

from testbed.faults.search import SearchFault, SearchFaultKind, SearchFaultPlan, SearchFaultProxy
from testbed.job import outcome, until
from testbed.stack import Stack
from tests.cli import command
from tests.planted import Make, content
from tests.searching import ask
from tests.tables import made_up_key
from tests.test_follow_end_to_end import Followed, drained, seen_index, ticking
from tests.test_index_end_to_end import FAST, SLOW

pytest_plugins = ["tests.search_proxied"]

#: Every request fails, as where OpenSearch is behind a load balancer that has lost it.
AWAY = SearchFaultPlan(faults=(SearchFault(kind=SearchFaultKind.UNAVAILABLE, operations="all"),))


async def test_who_does_not_answer_is_named_the_lag_grows_and_a_pause_ends_by_itself(
    quiet: Stack, make_table: Make, search_proxy: SearchFaultProxy, search: str
) -> None:
    followed = Followed(make_table, search_proxy, search, rows=20)
    handle = await followed.start(quiet)
    environment = dict(quiet.environment)
    # Long before it is known what is settled: all that has changed since the start may be unread.
    await handle.signal("pause", {"for_seconds": 5 * 86_400})
    seen = await until(handle, lambda seen: seen["state"] == "paused" and "hours_left" in seen)
    ends = datetime.fromisoformat(seen["resumes_at"]) - datetime.fromisoformat(seen["started_at"])
    assert timedelta(hours=23) < ends < timedelta(hours=24)
    code, _, err = await asyncio.to_thread(command, environment, "pause", handle.id, "--for", "5d")
    assert (code, "the stream holds what is unread for" in err) == (2, True), err
    await handle.signal("resume")
    await until(handle, lambda seen: seen["tally"]["updated"] >= 20)
    await until(handle, lambda seen: seen["lag_seconds"] < 10)

    search_proxy.set_plan(AWAY)
    followed.table.put({**made_up_key(followed.table.key, 1), "again": {"BOOL": True}})
    seen = await until(handle, lambda seen: seen["state"] == "throttled")
    assert seen["reason"].startswith("OpenSearch does not answer, waiting ("), seen["reason"]
    first = await until(handle, lambda seen: seen["lag_seconds"] > 5)
    await until(handle, lambda seen: seen["lag_seconds"] > first["lag_seconds"] + 1)

    code, _, err = await asyncio.to_thread(command, environment, "pause", handle.id, "--for", "30h")
    assert (code, "the stream holds what is unread for" in err) == (2, True), err
    assert (await handle.query("progress"))["state"] != "paused"
    search_proxy.set_plan(SearchFaultPlan())
    code, out, err = await asyncio.to_thread(command, environment, "pause", handle.id, "--for", "3s")
    assert (code, "is paused: until 20" in out + err) == (0, True), out + err
    seen = await handle.query("progress")
    assert (seen["state"], seen["resumes_at"] is not None) == ("paused", True)
    seen = await until(handle, lambda seen: seen["state"] not in ("pausing", "paused"))
    assert "resumes_at" not in seen
    await until(handle, lambda seen: seen["tally"]["updated"] >= 21)
    await until(handle, lambda seen: seen["lag_seconds"] == 0)
    await handle.cancel()
    await outcome(handle)
    report = quiet.ledger().reports.find(handle.id, None)
    assert report is not None
    assert [event.what for event in report.controls][-3:] == ["pause", "resume", "cancel"]


@pytest.mark.nightly
async def test_the_readers_alias_moves_once_what_kept_it_has_passed(
    quiet: Stack, make_table: Make, search_proxy: SearchFaultProxy, search: str
) -> None:
    """A record given up before the index was drained; then an alias that somebody else has moved."""
    followed = Followed(make_table, search_proxy, search, rows=60)
    key = made_up_key(followed.table.key, 7)
    followed.table.put({**key, "size": {"S": "large"}})
    mapping = {"properties": {"size": {"type": "double"}}}
    handle = await followed.start(quiet, operation={"mapping": mapping}, limits=SLOW)
    await until(handle, lambda seen: seen["state"] == "backfilling")
    other = f"{followed.alias}-other"
    assert ask(search, "PUT", f"/{other}", {"aliases": {followed.alias: {}}})[0] == 200
    await handle.execute_update("set_limits", FAST)
    async with ticking(followed):
        seen = await until(handle, drained, seconds=150)
        assert f"1 record is given up; readers get it once `reindexer redrive {handle.id}`" in seen["reason"]
        assert followed.behind_alias() == [other]

        followed.table.put({**key, **content(7)})
        scope = {"kind": "quarantined", "job": handle.id, "run": seen["run"]}
        state, report = await outcome(await quiet.start({**followed.job(), "scope": scope}))
        assert state == "complete", report
        seen = await until(handle, lambda seen: "was pointed at" in (seen["reason"] or ""))
        assert f"{followed.alias} was pointed at {other} while" in seen["reason"]
        assert followed.behind_alias() == [other]

        away = {"actions": [{"remove": {"index": other, "alias": followed.alias}}]}
        assert ask(search, "POST", "/_aliases", away)[0] == 200
        await until(handle, lambda seen: not seen["reason"])
    assert followed.behind_alias() == [seen_index(followed, seen)]
    await followed.equal()
    await handle.cancel()
    await outcome(handle)


@pytest.mark.nightly
@pytest.mark.parametrize("together", [True, False], ids=["read by one shard", "read by two"])
@pytest.mark.long
async def test_a_stream_shard_that_is_always_refused_shows_although_another_has_changes(
    quiet: Stack, make_table: Make, search_proxy: SearchFaultProxy, search: str, together: bool
) -> None:
    followed = Followed(make_table, search_proxy, search, rows=20)
    lineages = quiet.proxy.lineages(followed.stream)
    if not together:
        left, _ = await asyncio.to_thread(lineages.split, lineages.root)
    handle = await followed.start(quiet)
    await until(handle, lambda seen: seen["tally"]["updated"] >= 20)
    if together:
        left, _ = await asyncio.to_thread(lineages.split, lineages.root)
    await until(handle, lambda seen: seen.get("stream_shards") == 2)
    await asyncio.to_thread(lineages.adjust, refused=[left])

    async def change(number: int) -> None:
        item = {**made_up_key(followed.table.key, number % 20), "change": {"N": str(number)}}
        await asyncio.to_thread(followed.table.put, item)

    seen: dict[str, Any] = {}
    for number in range(200):
        await change(number)
        await asyncio.sleep(0.3)
        seen = await handle.query("progress")
        if "DynamoDB Streams" in (seen["reason"] or "") and seen["lag_seconds"] > 10:
            break
    assert seen["state"] == ("throttled" if together else "catching_up"), seen
    words = (
        f"DynamoDB Streams throttles {left}, waiting" if together else "throttled by DynamoDB Streams, waiting"
    )
    assert f"{words} (LimitExceededException" in seen["reason"]
    assert "DynamoDB Streams" in seen["throttle"]["reason"]
    before = seen["tally"]["updated"]
    for number in range(20):
        await change(number)
    await until(handle, lambda seen: seen["tally"]["updated"] > before)
    await asyncio.to_thread(lineages.adjust)
    await until(handle, lambda seen: not seen["reason"] and seen["lag_seconds"] == 0, seconds=120)
    await handle.cancel()
    await outcome(handle)
