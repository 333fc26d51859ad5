"""A touch on the real servers, and the command that says when a follow has carried all of it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from reindexer.streams.order import floor_of
from testbed.faults.search import SearchFaultProxy
from testbed.job import outcome, until
from testbed.stack import Stack
from tests.cli import command
from tests.planted import Make
from tests.searching import ask
from tests.tables import made_up_key
from tests.test_follow_end_to_end import Followed, drained, seen_index, ticking

pytest_plugins = ["tests.search_proxied"]


async def confirmed(stack: Stack, job: str, seconds: int) -> tuple[int, dict[str, Any], str]:
    """(exit code, its answer, stderr)."""
    asked = ("confirm", job, "--timeout", str(seconds), "--json")
    code, out, err = await asyncio.to_thread(command, dict(stack.environment), *asked)
    return code, json.loads(out) if out else {}, err


async def test_a_job_waits_at_its_end_until_its_follow_has_carried_all_of_it(
    quiet: Stack, make_table: Make, search_proxy: SearchFaultProxy, search: str
) -> None:
    followed = Followed(make_table, search_proxy, search, rows=50)
    # Who makes the stream move on removes the stamp of a record.
    asked = {"table": followed.table.name, "confirm": True, "verify": False}
    kind, refused = await outcome(await quiet.start(asked))
    assert (kind, f"no follow of {followed.table.name} runs" in refused["message"]) == ("BadInput", True)
    assert not any("reindexRun" in item for item in followed.table.items())

    mapping = {"properties": {"size": {"type": "double"}}}
    handle = await followed.start(quiet, operation={"mapping": mapping})
    async with ticking(followed):
        seen = await until(handle, drained, seconds=150)
        state, report = await outcome(await quiet.start(asked))
    [follow] = report["arrival"]["follows"]
    assert (state, report["arrival"]["confirmed"], follow["why"]) == ("complete", True, ""), report
    assert follow["follow"] == handle.id
    ask(search, "POST", f"/{followed.alias}/_refresh")
    carried = {"query": {"range": {"_order": {"gt": floor_of(seen["epoch"])}}}}
    assert ask(search, "POST", f"/{followed.alias}/_count", carried)[1]["count"] == 50

    await handle.signal("pause")
    job = await quiet.start(asked)
    await until(job, lambda seen: "waits until follows" in (seen["reason"] or ""))
    await job.cancel()
    assert (await outcome(job))[0] == "CancelledError"
    await handle.cancel()
    await outcome(handle)


@pytest.mark.nightly  # both changes of the record are tried for three quarters of a minute
@pytest.mark.long
async def test_a_job_whose_follow_gives_a_record_up_is_not_confirmed(
    quiet: Stack, make_table: Make, search_proxy: SearchFaultProxy, search: str
) -> None:
    followed = Followed(make_table, search_proxy, search, rows=50)
    asked = {"table": followed.table.name, "confirm": True, "verify": False}
    handle = await followed.start(quiet, operation={"mapping": {"properties": {"size": {"type": "double"}}}})
    async with ticking(followed):
        await until(handle, drained, seconds=150)
        assert (await outcome(await quiet.start(asked)))[0] == "complete"
        followed.table.put({**made_up_key(followed.table.key, 7), "size": {"S": "large"}})
        state, report = await outcome(await quiet.start(asked), seconds=300)
    [follow] = report["arrival"]["follows"]
    assert (state, report["arrival"]["confirmed"]) == ("Incomplete", False)
    assert "1 record given up there" in follow["why"]
    code, out, _ = await asyncio.to_thread(command, dict(quiet.environment), "report", report["job"])
    assert (code, "1 record given up there" in " ".join(out.split())) == (1, True), out
    await handle.cancel()
    await outcome(handle)


async def test_a_touch_is_confirmed_once_its_follow_has_carried_all_of_it(
    quiet: Stack, make_table: Make, search_proxy: SearchFaultProxy, search: str
) -> None:
    followed = Followed(make_table, search_proxy, search, rows=50)
    mapping = {"properties": {"size": {"type": "double"}}}
    handle = await followed.start(quiet, operation={"mapping": mapping})
    async with ticking(followed):
        seen = await until(handle, drained, seconds=150)
    touch = await quiet.start({"table": followed.table.name})
    state, report = await outcome(touch)
    assert (state, report["tally"]["updated"]) == ("complete", 50)

    code, found, _ = await confirmed(quiet, touch.id, 0)
    [follow] = found["follows"]
    assert (code, found["confirmed"], follow["confirmed"]) == (1, False, False)
    assert "it has not come that far" in follow["why"]
    async with ticking(followed):
        code, found, err = await confirmed(quiet, touch.id, 100)
    [follow] = found["follows"]
    assert (code, found["confirmed"], follow["why"]) == (0, True, ""), err
    assert (follow["follow"], follow["index"]) == (handle.id, seen_index(followed, seen))
    assert follow["settled_through"] > found["until"][:19]

    followed.table.put({**made_up_key(followed.table.key, 7), "size": {"S": "large"}})
    await until(handle, lambda seen: seen["isolated"] == 1)
    code, found, _ = await confirmed(quiet, touch.id, 5)
    [follow] = found["follows"]
    assert (code, follow["isolated"]) == (1, 1)
    assert "1 record still being tried again" in follow["why"]

    await handle.cancel()
    await outcome(handle)
    code, _, err = await confirmed(quiet, touch.id, 0)
    assert (code, f"no follow of {followed.table.name} runs" in err) == (2, True), err
