"""Jobs with a search index whose histories are recorded, each with an OpenSearch of its own."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Any

from temporalio.client import WorkflowHandle

from testbed.job import outcome, until
from testbed.search import SearchServer
from testbed.stack import Stack
from tests.recording import keep, table
from tests.tables import Table


async def indexed(stack: Stack, client: Any) -> None:
    """An index of a table, with a document that is refused; then a redrive of it."""
    made = table(client, 200, stream="NEW_IMAGE")
    made.put({"id": {"S": "row-000007"}, "n": {"S": "no number"}})
    with SearchServer(logs=Path(tempfile.mkdtemp(prefix="histories-"))) as server:
        operation = index_into(server, {"properties": {"n": {"type": "double"}}})
        handle = await stack.start({"table": made.name, "operation": operation, "total_segments": 2})
        _, report = await outcome(handle)
        assert report["tally"]["quarantined"] == 1, report
        await keep("indexed", stack, handle)
        made.put({"id": {"S": "row-000007"}})
        scope = {"kind": "quarantined", "job": report["job"], "run": report["run"]}
        handle = await stack.start({"table": made.name, "operation": operation, "scope": scope})
        _, report = await outcome(handle)
        assert report["index"]["moved"], report
        await keep("indexed-redriven", stack, handle)


async def verified(stack: Stack, client: Any) -> None:
    """An index whose documents are all compared: what is behind is written again, and compared once more."""
    made = table(client, 200)
    with SearchServer(logs=Path(tempfile.mkdtemp(prefix="histories-"))) as server:
        job = {"table": made.name, "operation": index_into(server), "total_segments": 2, "verify": "complete"}
        handle = await stack.start({**job, "limits": {"records_per_second": 50}})
        await until(handle, lambda p: p["tally"]["updated"] >= 100)
        await handle.signal("pause")
        await until(handle, lambda p: p["state"] == "paused")
        for number in range(200):
            made.put({"id": {"S": f"row-{number:06}"}, "again": {"BOOL": True}})
        await handle.execute_update("set_limits", {"records_per_second": "unlimited"})
        await handle.signal("resume")
        _, report = await outcome(handle)
        assert report["verification"] == {"scanned": 200, "behind": 0}, report
        assert report["tally"]["updated"] > 200, report
        await keep("verified", stack, handle, "shard-000", "verify-002", "shard-003", "verify-004")


async def compared_index(stack: Stack, client: Any) -> None:
    """A comparison of an index with its table, which has changed since."""
    made = table(client, 200)
    with SearchServer(logs=Path(tempfile.mkdtemp(prefix="histories-"))) as server:
        await outcome(await stack.start({"table": made.name, "operation": index_into(server)}))
        made.put({"id": {"S": "row-000007"}, "again": {"BOOL": True}})
        beside = {"search": server.url, "alias": "recorded"}
        operation = {"kind": "compare", "with": beside}
        job = {"table": made.name, "operation": operation, "total_segments": 2}
        handle = await stack.start({**job, "limits": {"read_units_per_second": 40}})
        _, report = await outcome(handle)
        assert report["comparison"]["counts"]["different"] == 1, report
        await keep("compared-index", stack, handle, "compare-000", "compare-002")


async def refreshed(stack: Stack, client: Any) -> None:
    """Named documents, written again: of a record that has changed, and of one that is gone."""
    made = table(client, 20)
    with SearchServer(logs=Path(tempfile.mkdtemp(prefix="histories-"))) as server:
        await outcome(await stack.start({"table": made.name, "operation": index_into(server)}))
        made.put({"id": {"S": "row-000007"}, "again": {"BOOL": True}})
        made.client.delete_item(TableName=made.name, Key={"id": {"S": "row-000008"}})
        operation = {"kind": "refresh", "to": index_into(server)["to"]}
        scope = {"kind": "keys", "values": ["row-000007", "row-000008"]}
        job = {"table": made.name, "operation": operation, "scope": scope, "isolation": "batch"}
        handle = await stack.start(job)
        _, report = await outcome(handle)
        assert (report["tally"]["updated"], report["tally"]["vanished"]) == (1, 1), report
        await keep("refreshed", stack, handle)


async def confirmed(stack: Stack, client: Any) -> None:
    """A touch that waits until a follow of its table has carried it."""
    made = table(client, 40, stream="NEW_AND_OLD_IMAGES")
    with SearchServer(logs=Path(tempfile.mkdtemp(prefix="histories-"))) as server:
        follow = await follow_into(server, stack, made, f"confirmed-{made.name}")
        await until(follow, lambda p: bool(p.get("drained")), seconds=120)
        handle = await stack.start({"table": made.name, "confirm": True})
        _, report = await outcome(handle)
        assert report["arrival"]["confirmed"], report
        await keep("confirmed", stack, handle)
        await follow.cancel()
        await outcome(follow)


async def followed(stack: Stack, client: Any) -> None:
    """A follow over several runs of its root: backfill, changes, a pause, drained, cancelled."""
    made = table(client, 300, stream="NEW_AND_OLD_IMAGES")
    with SearchServer(logs=Path(tempfile.mkdtemp(prefix="histories-"))) as server:
        handle = await follow_into(server, stack, made, f"followed-{made.name}")
        await until(handle, lambda p: p["cycle"] >= 1)
        await handle.signal("pause", {"reason": "recording"})
        await until(handle, lambda p: p["state"] == "paused")
        await handle.signal("resume")
        for number in range(40):  # a second apart: the last ones are behind the scan's end
            made.put({"id": {"S": f"row-{number:06}"}, "again": {"BOOL": True}})
            await asyncio.sleep(0.25)
        await until(handle, lambda p: bool(p["drained"]), seconds=120)
        await handle.cancel()
        await outcome(handle)
        await keep("followed", stack, handle)


async def rescanned(stack: Stack, client: Any) -> None:
    """A follow that scans its table again, finds documents without a record, and is drained."""
    made = table(client, 40, stream="NEW_AND_OLD_IMAGES")
    lineages = stack.proxy.lineages(stream_of(made))
    with SearchServer(logs=Path(tempfile.mkdtemp(prefix="histories-"))) as server:
        handle = await follow_into(server, stack, made, f"rescanned-{made.name}")
        first = await until(handle, lambda p: p["tally"]["scanned"] >= 80)
        await handle.signal("pause")
        await until(handle, lambda p: p["state"] == "paused")
        made.client.delete_item(TableName=made.name, Key={"id": {"S": "row-000007"}})
        lineages.trim()
        await handle.signal("resume", {"rescan": True})
        await until(handle, lambda p: p["epoch"] > first["epoch"] and bool(p["drained"]), seconds=120)
        await handle.cancel()
        await outcome(handle)
        await keep("rescanned", stack, handle)


def stream_of(made: Table) -> str:
    return str(made.client.describe_table(TableName=made.name)["Table"]["LatestStreamArn"])


def index_into(server: SearchServer, mapping: dict[str, Any] | None = None) -> dict[str, Any]:
    to = {"search": server.url, "alias": "recorded"}
    return {"kind": "index", "to": to, **({"mapping": mapping} if mapping else {})}


async def follow_into(server: SearchServer, stack: Stack, made: Table, name: str) -> WorkflowHandle[Any, Any]:
    """A follow of the table into an index, from a backfill on."""
    job = {"table": made.name, "operation": index_into(server), "total_segments": 2}
    client = await stack.connect()
    return await client.start_workflow("FollowTable", job, id=name, task_queue=stack.queue)
