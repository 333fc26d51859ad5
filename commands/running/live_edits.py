"""The second half of the search demo: a follow carries live edits, each is searched for until it is found."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Any

import boto3
from temporalio.client import Client, WorkflowFailureError

from commands.input.exits import Exit
from commands.rendering.screen import GOOD, note, say, step
from commands.running.confirmed_index import compared
from commands.running.launch import begin
from reindexer.models import FollowInput, Index, SearchAddress
from reindexer.search.client import SearchClient
from reindexer.settings import aws_region
from reindexer.words import some
from testbed.cities import TABLE

FOLLOW = f"follow-index-{TABLE}"
#: Seconds for one edit to be found: a second of polling, a second until OpenSearch refreshes, and faults.
_PATIENCE = 30.0
_POLL_SECONDS = 0.1


async def live(client: Client, address: SearchAddress, url: str) -> Exit:
    """Follow the table, edit it, and end with the comparison of table and index."""
    job = FollowInput(table=TABLE, operation=Index(kind="index", to=address), backfill=False)
    handle = await begin(client, job, FOLLOW, summary="follow cities")
    step("follow", f"{FOLLOW}: carries every change to the index, from where the job began")
    table = _Table()
    found = True
    for words, edit, hits in (
        ("a new city", table.create, 1),
        ("renamed", table.rename, 1),
        ("deleted", table.delete, 0),
    ):
        name = await asyncio.to_thread(edit)
        seconds = await asyncio.to_thread(_until, lambda name=name, hits=hits: _hits(url, name) == hits)  # type: ignore[misc]
        found = found and seconds is not None
        after = "not within 30 s" if seconds is None else f"{seconds:.1f} s after the edit"
        step(words, f"“{name}”: {some(hits, 'hit')} {after}")
    left = await asyncio.to_thread(_until, lambda: not compared(url, TABLE).total())
    await handle.cancel()
    with contextlib.suppress(WorkflowFailureError):  # cancelled, as it was asked to be
        await handle.result()
    equal = left is not None
    text = "table and index are equal" if equal else "table and index DIFFER"
    say()
    note(f"{text}, by an independent reader of both", GOOD if equal else "")
    return Exit.COMPLETE if found and equal else Exit.INCOMPLETE


class _Table:
    """Edits as an application makes them, past the fault proxy; each returns the name to search for."""

    _KEY = "demo-1"

    def __init__(self) -> None:
        self._table: Any = boto3.resource("dynamodb", region_name=aws_region()).Table(TABLE)

    def create(self) -> str:
        self._table.put_item(Item={"id": self._KEY, "name": "Neustadt im Index", "population": 1})
        return "Neustadt im Index"

    def rename(self) -> str:
        self._table.update_item(
            Key={"id": self._KEY},
            UpdateExpression="SET #n = :n",
            ExpressionAttributeNames={"#n": "name"},
            ExpressionAttributeValues={":n": "Altstadt am Stream"},
        )
        return "Altstadt am Stream"

    def delete(self) -> str:
        self._table.delete_item(Key={"id": self._KEY})
        return "Altstadt am Stream"


def _hits(url: str, name: str) -> int:
    client = SearchClient(SearchAddress(search=url, alias=TABLE))
    return int(client.call("POST", f"/{TABLE}/_count", {"query": {"match_phrase": {"name": name}}})["count"])


def _until(condition: Callable[[], bool]) -> float | None:
    """Seconds until it held; None: it did not within `_PATIENCE`."""
    begun = time.monotonic()
    while time.monotonic() - begun < _PATIENCE:
        if condition():
            return time.monotonic() - begun
        time.sleep(_POLL_SECONDS)
    return None
