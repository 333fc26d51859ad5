"""What a job does to the table, and what it never does: on the real stack, beside other writers."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from testbed.faults import Fault, FaultKind, FaultPlan
from testbed.job import outcome, progress
from testbed.stack import Stack
from tests.tables import Table

Make = Callable[..., Table]


@contextmanager
def busy(work: Callable[[int], None]) -> Iterator[list[int]]:
    """Calls `work` with 0, 1, 2 … on a thread of its own; yields the list of calls made."""
    done: list[int] = []
    stop = threading.Event()

    def run() -> None:
        while not stop.is_set():
            work(len(done))
            done.append(len(done))

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield done
    finally:
        stop.set()
        thread.join()


async def test_nothing_but_the_two_attributes_changes(quiet: Stack, make_table: Make) -> None:
    table = make_table()
    keys = table.fill(
        100,
        text={"S": ""},
        number={"N": "12345678901234567890123456789012345678"},
        binary={"B": b"\x00\xff"},
        tags={"SS": ["a", "b"]},
        nested={"M": {"list": {"L": [{"NULL": True}, {"BOOL": False}, {"M": {}}]}}},
    )
    before = {str(key): table.get(key) for key in keys}

    kind, report = await outcome(await quiet.start({"table": table.name}))

    assert kind == "complete"
    for key in keys:
        item = table.get(key)
        assert item is not None
        assert item.pop("reindexVersion") == {"N": str(report["version"])}
        assert item.pop("reindexRun") == {"S": report["run"]}
        item["tags"]["SS"] = sorted(item["tags"]["SS"])
        assert item == before[str(key)]


async def test_a_concurrent_writer_loses_no_update(quiet: Stack, make_table: Make) -> None:
    table = make_table()
    keys = table.fill(400)

    def count_up(number: int) -> None:
        table.client.update_item(
            TableName=table.name,
            Key=keys[number % len(keys)],
            UpdateExpression="ADD hits :one",
            ExpressionAttributeValues={":one": {"N": "1"}},
        )

    with busy(count_up) as done:
        kind, report = await outcome(await quiet.start({"table": table.name, "total_segments": 4}))

    assert (kind, report["tally"]["updated"]) == ("complete", 400)
    hits = sum(int(item.get("hits", {"N": "0"})["N"]) for item in table.items())
    assert hits == len(done) > 0


async def test_rows_deleted_and_put_again_meanwhile_are_each_counted_once(
    quiet: Stack, make_table: Make
) -> None:
    table = make_table()
    keys = table.fill(1500)
    # 15 calls a shard of 0.4 s: the job is still writing when the others stop, and verifies after them.
    quiet.proxy.set_plan(FaultPlan(faults=(Fault(kind=FaultKind.SLOW, seconds=0.4, operations="writes"),)))

    def churn(number: int) -> None:
        key = keys[(number * 7) % len(keys)]
        table.client.delete_item(TableName=table.name, Key=key)
        if number % 2:
            table.client.put_item(TableName=table.name, Item=key)

    with busy(churn):
        handle = await quiet.start({"table": table.name, "total_segments": 4})
        await asyncio.sleep(2)
    assert (await progress(handle))["state"] in ("planning", "running")
    quiet.proxy.set_plan(FaultPlan())
    kind, report = await outcome(handle)

    assert kind == "complete"
    assert report["balanced"] is True
    assert report["verification"]["behind"] == 0, "what others put back was swept"
    assert {item["reindexVersion"]["N"] for item in table.items()} == {str(report["version"])}


async def test_an_item_collection_may_hold_most_of_the_table(quiet: Stack, make_table: Make) -> None:
    table = make_table(range_type="N")
    padding = {"S": "x" * 900}
    big = [{"id": {"S": "big"}, "sort": {"N": str(n)}, "padding": padding} for n in range(2500)]
    small = [{"id": {"S": f"small-{n}"}, "sort": {"N": "0"}, "padding": padding} for n in range(100)]
    table.put(*big, *small)  # the collection is 2.3 MB: more than two pages of one segment

    kind, report = await outcome(await quiet.start({"table": table.name, "total_segments": 5}))

    assert (kind, report["tally"]["updated"], report["verification"]["behind"]) == ("complete", 2600, 0)


async def test_without_partiql_the_job_writes_one_by_one_and_says_so(quiet: Stack, make_table: Make) -> None:
    table = make_table()
    table.fill(120)
    quiet.proxy.set_plan(FaultPlan(faults=(Fault(kind=FaultKind.PARTIQL_DENIED),)))

    kind, report = await outcome(await quiet.start({"table": table.name}))

    assert (kind, report["tally"]["updated"], report["writer"]) == ("complete", 120, "update_item")
    assert any("UpdateItem" in warning for warning in report["warnings"])
    assert quiet.proxy.truth().changed_twice(report["run"]) == []


async def test_verify_alone_counts_what_is_behind_and_writes_nothing(quiet: Stack, make_table: Make) -> None:
    table = make_table()
    table.fill(30)
    table.put({"id": {"S": "ahead"}, "reindexVersion": {"N": "9"}})

    kind, report = await outcome(
        await quiet.start({"table": table.name, "operation": {"kind": "verify", "version": 9}})
    )

    assert kind == "Incomplete"
    assert report["verification"] == {"scanned": 31, "behind": 30}
    assert sum("reindexRun" in item for item in table.items()) == 0


@pytest.mark.parametrize("inputs", [[], [{"table": "a"}, {"table": "b"}]])
async def test_no_input_or_two_fail_with_a_sentence(quiet: Stack, inputs: list[Any]) -> None:
    client = await quiet.connect()
    handle = await client.start_workflow(
        "ReindexTable", args=inputs, id=f"wrong-{len(inputs)}", task_queue=quiet.queue
    )

    kind, refusal = await outcome(handle, seconds=20)

    assert kind == "BadInput"
    assert "exactly one" in refusal["message"]
