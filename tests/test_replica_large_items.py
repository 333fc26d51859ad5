"""Items near DynamoDB's limit on real servers: what the order pushes beyond it is named, all else is copied."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from reindexer.models import QuarantineEntry
from reindexer.values import MAX_ITEM_BYTES, item_size
from testbed.job import outcome
from testbed.stack import Stack
from tests.planted import Make
from tests.tables import made_up_key
from tests.test_index_end_to_end import FAST
from tests.test_refresh_replica_end_to_end import refresh
from tests.test_replicate_end_to_end import Replicated, until_drained

#: What a copy has besides: an order of 19 digits, two of them a byte and one more; a digest of 8 characters.
_OWN_BYTES = len("reindexOrder") + 11 + len("reindexNames") + 8


def sized(replicated: Replicated, number: int, size: int) -> dict[str, Any]:
    """An item of that many bytes."""
    item = {**made_up_key(replicated.table.key, number), "text": {"S": ""}}
    item["text"] = {"S": "x" * (size - item_size(item))}
    assert item_size(item) == size
    return item


def copied(replicated: Replicated, item: dict[str, Any]) -> dict[str, Any]:
    """Its copy without what only a copy has; {}: none."""
    found = replicated.replica.get({name: item[name] for name in ("id",)}) or {}
    return {name: value for name, value in found.items() if name not in ("reindexOrder", "reindexNames")}


async def _listed(stack: Stack, job: str, run: str, records: int) -> list[QuarantineEntry]:
    """As `reindexer failures` lists them: none waits for the end of a round at rest."""
    deadline = time.monotonic() + 15  # seconds; such a round takes 40
    while True:
        entries = stack.ledger().failures.open(job, run)
        if len(entries) >= records or time.monotonic() > deadline:
            return entries
        await asyncio.sleep(0.2)


@pytest.mark.nightly
async def test_what_the_order_makes_too_large_is_named_by_a_scan_and_by_a_follow(
    quiet: Stack, make_table: Make
) -> None:
    replicated = Replicated(make_table, rows=40)
    largest = MAX_ITEM_BYTES - _OWN_BYTES
    fits = [
        sized(replicated, 100, 399 * 1024),
        sized(replicated, 101, 399 * 1024),
        sized(replicated, 102, largest),
    ]
    beyond = sized(replicated, 103, MAX_ITEM_BYTES)
    replicated.table.put(*fits)
    replicated.table.put(beyond)
    handle = await replicated.follow(quiet, limits=FAST)
    seen = await until_drained(replicated, handle)
    assert seen["tally"]["quarantined"] == 2, "by the scan, and by the change of the minute before"
    assert [copied(replicated, item) for item in fits] == fits
    assert copied(replicated, beyond) == {}
    grown = sized(replicated, 100, MAX_ITEM_BYTES)
    replicated.table.put(grown)
    entries = await _listed(quiet, handle.id, seen["run"], 2)
    assert copied(replicated, grown) == fits[0], "the earlier one"
    assert {entry.key["id"]["S"] for entry in entries} == {"row-000100", "row-000103"}
    for entry in entries:
        assert "reindexOrder and reindexNames make its copy" in entry.message
        assert replicated.replica.name in entry.message
    assert len(replicated.differing()) == 2
    for number in (100, 103):
        replicated.table.put(sized(replicated, number, largest))
    await replicated.equal()
    await handle.cancel()
    await outcome(handle)


async def test_a_refresh_names_it_too(quiet: Stack, make_table: Make) -> None:
    replicated = Replicated(make_table, rows=2)
    assert (await outcome(await quiet.start(replicated.job())))[0] == "complete"
    replicated.table.put(sized(replicated, 0, MAX_ITEM_BYTES))
    keys = [made_up_key(replicated.table.key, number)["id"]["S"] for number in (0, 1)]
    state, report = await outcome(await quiet.start(refresh(replicated, {"kind": "keys", "values": keys})))
    assert (state, report["tally"]["quarantined"], report["tally"]["updated"]) == ("Incomplete", 1, 1)
    [entry] = quiet.ledger().failures.open(report["job"], report["run"], None)
    assert "reindexOrder and reindexNames make its copy" in entry.message
