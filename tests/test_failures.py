"""A record that fails is its own business: tried by itself, quarantined, redriven; no shard runs again."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from temporalio.api.enums.v1 import EventType

from commands.rendering.figures import done_of
from reindexer.items import key_text, to_json_key
from reindexer.models import JobProgress
from reindexer.tally import Tally
from testbed.faults import Fault, FaultKind, FaultPlan
from testbed.job import outcome, until
from testbed.stack import Stack
from tests.cli import command
from tests.faulty import inject, key
from tests.stack import events
from tests.tables import Table

Make = Callable[..., Table]
RECORDS = 300


def poison(*numbers: int, code: str = "ValidationError") -> Fault:
    """Statements that name these rows are refused, whatever their neighbours get."""
    return Fault(kind=FaultKind.STATEMENT_ERROR, code=code, keys=tuple(key(number) for number in numbers))


def tally(**counts: int) -> dict[str, int]:
    return {**Tally().model_dump(), **counts}


async def activities_of(stack: Stack, workflow_id: str) -> list[tuple[str, str, int]]:
    """(type, summary, attempts) of every activity of a workflow that ran just once."""
    client = await stack.connect()
    handle = client.get_workflow_handle(workflow_id)
    scheduled: dict[int, tuple[str, str]] = {}
    attempts: dict[int, int] = {}
    async for event in events(handle):
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED:
            begun = event.workflow_execution_started_event_attributes
            assert not begun.continued_execution_run_id
            assert begun.attempt == 1
        elif event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
            name = event.activity_task_scheduled_event_attributes.activity_type.name
            scheduled[event.event_id] = name, event.user_metadata.summary.data.decode()
        elif event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED:
            started = event.activity_task_started_event_attributes
            attempts[started.scheduled_event_id] = started.attempt
    return [(*named, attempts.get(number, 0)) for number, named in scheduled.items()]


async def shards_started(handle: Any) -> list[str]:
    """Ids of the shards ever started that change records; those that verify come afterwards."""
    kind = EventType.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED
    started = [
        event.start_child_workflow_execution_initiated_event_attributes.workflow_id
        async for event in events(handle)
        if event.event_type == kind
    ]
    return [name for name in started if "/shard-" in name]


@pytest.mark.nightly
@pytest.mark.long
async def test_a_failing_record_is_retried_alone_then_quarantined_then_redriven(
    quiet: Stack, make_table: Make
) -> None:
    table = make_table()
    table.fill(RECORDS)
    bad = key(42)
    inject(quiet.proxy, Fault(kind=FaultKind.SERVER_ERROR, operations="writes", keys=(bad,)))
    handle = await quiet.start({"table": table.name, "total_segments": 4})

    kind, report = await outcome(handle)

    assert kind == "Incomplete"
    assert report["tally"] == tally(scanned=RECORDS, updated=RECORDS - 1, quarantined=1)
    assert report["balanced"] is True
    assert report["attempts"]["server_errors"] > 0
    started = await shards_started(handle)
    assert len(started) == len(set(started)) == 4, "no shard ran a second time"
    ran = [entry for shard in started for entry in await activities_of(quiet, shard)]
    [(_, summary, attempts)] = [entry for entry in ran if entry[0] == "reindex_record"]
    assert "row-000042" in summary
    assert attempts == 12, "its own policy"
    assert len([entry for entry in ran if entry[0] == "reindex_round"]) < 12, "no one waited for it in a round"

    failures = await handle.query("failures")
    assert (failures["total"], failures["counts"]) == (1, {"InternalServerError": 1})
    assert failures["failures"][0]["key"] == bad
    [entry] = quiet.ledger().failures.open(handle.id, report["run"])
    assert (entry.key, entry.error, entry.applied) == (bad, "InternalServerError", "unknown")
    assert entry.attempts >= 12

    inject(quiet.proxy)
    scope = {"kind": "quarantined", "job": handle.id, "run": report["run"]}
    kind, redecide = await outcome(await quiet.start({"table": table.name, "scope": scope}))
    assert (kind, redecide["tally"]) == ("complete", tally(scanned=1, updated=1))
    truth = quiet.proxy.truth(wait=5)
    assert truth.key(table.name, bad).runs == {report["run"]: 1}
    assert truth.changed_twice(report["run"]) == []
    assert quiet.ledger().failures.open(handle.id, report["run"]) == []


async def test_isolated_records_are_counted_once(quiet: Stack, make_table: Make) -> None:
    table = make_table()
    table.fill(30)
    bad = tuple(key(number) for number in range(5))  # fewer than are tried at a time
    inject(quiet.proxy, Fault(kind=FaultKind.SERVER_ERROR, operations="writes", keys=bad))
    scope = {"kind": "keys", "keys": [{"id": key(number)["id"]["S"]} for number in range(30)]}
    handle = await quiet.start({"table": table.name, "scope": scope, "isolation": "record"})

    seen = await until(handle, lambda p: p["isolated"] == 5 and p["tally"]["updated"] == 25)
    assert (seen["tally"]["scanned"], seen["remaining"]) == (30, 0)
    assert done_of(JobProgress.model_validate(seen)) == "30 records"
    from_server = await asyncio.to_thread(command, quiet.environment, "status", handle.id, "--json")
    details = json.loads(from_server[1])
    assert (details["tally"]["scanned"], details["isolated"], details["remaining"]) == (30, 5, 0)

    inject(quiet.proxy)
    kind, report = await outcome(handle)
    assert (kind, report["tally"]) == ("complete", tally(scanned=30, updated=30))


async def test_a_record_that_can_never_succeed_is_not_retried(quiet: Stack, make_table: Make) -> None:
    table = make_table()
    table.fill(RECORDS)
    inject(quiet.proxy, poison(7))

    kind, report = await outcome(await quiet.start({"table": table.name, "total_segments": 4}), seconds=20)

    assert (kind, report["tally"]["quarantined"]) == ("Incomplete", 1)
    assert quiet.proxy.truth().injected["statement_error"] <= 2
    [entry] = quiet.ledger().failures.open(report["job"], report["run"])
    assert (entry.error, entry.applied) == ("ValidationError", "no")


async def test_a_version_of_another_type_is_quarantined_and_never_written(
    quiet: Stack, make_table: Make
) -> None:
    table = make_table()
    table.fill(20)
    strange = {**key(3), "reindexVersion": {"S": "v3"}}
    table.put(strange)

    kind, report = await outcome(await quiet.start({"table": table.name}))

    assert (kind, report["tally"]) == ("Incomplete", tally(scanned=20, updated=19, quarantined=1))
    assert table.get(key(3)) == strange
    assert quiet.proxy.truth().key(table.name, key(3)).forwarded == 0
    [entry] = quiet.ledger().failures.open(report["job"], report["run"])
    assert entry.error == "VersionType"


async def test_more_failures_than_the_budget_park_the_job(quiet: Stack, make_table: Make) -> None:
    table = make_table()
    table.fill(RECORDS)
    inject(quiet.proxy, poison(*range(10)))
    handle = await quiet.start({"table": table.name, "total_segments": 4, "limits": {"quarantined": 3}})

    seen = await until(handle, lambda p: p["state"] == "parked")
    assert "limits.quarantined = 3" in seen["reason"]

    await handle.signal("resume")
    await asyncio.sleep(2)
    seen = await until(handle, lambda p: p["state"] == "parked")
    assert "limits.quarantined = 3" in seen["reason"], "resume alone goes nowhere"

    await handle.execute_update("set_limits", {"quarantined": 10, "reason": "known"})
    await handle.signal("resume")
    kind, report = await outcome(handle)
    assert kind == "Incomplete"
    assert report["tally"] == tally(scanned=RECORDS, updated=RECORDS - 10, quarantined=10)
    details = [event["what"] for event in report["controls"]]
    assert (
        details.index("parked")
        < details.index("resume refused")
        < details.index("set_limits")
        < details.index("resume")
    )


async def test_a_redrive_by_class_and_by_key_runs_just_those(quiet: Stack, make_table: Make) -> None:
    table = make_table()
    table.fill(RECORDS)
    inject(quiet.proxy, poison(1, 2, 3), poison(4, 5, code="ItemCollectionSizeLimitExceeded"))
    handle = await quiet.start({"table": table.name, "total_segments": 4})
    _, report = await outcome(handle)
    run, last = report["run"], report
    assert report["tally"]["quarantined"] == 5

    async def redrive(**part: Any) -> tuple[str, dict[str, int]]:
        nonlocal last
        scope = {"kind": "quarantined", "job": handle.id, "run": run, **part}
        kind, last = await outcome(await quiet.start({"table": table.name, "scope": scope}))
        return kind, last["tally"]

    def still_open(job: str = handle.id, of: str = run) -> set[str]:
        return {key_text(entry.key) for entry in quiet.ledger().failures.open(job, of)}

    def named(*numbers: int) -> set[str]:
        return {key_text(to_json_key(key(number))) for number in numbers}

    # Still poisoned: quarantined again, and open in one place, the redrive's.
    assert await redrive(keys=[{"id": "row-000001"}]) == ("Incomplete", tally(scanned=1, quarantined=1))
    assert still_open() == named(2, 3, 4, 5)
    first = {"job": last["job"], "run": last["run"]}
    assert still_open(*first.values()) == named(1)

    inject(quiet.proxy)
    assert await redrive(error="ItemCollectionSizeLimitExceeded") == ("complete", tally(scanned=2, updated=2))
    assert still_open() == named(2, 3)
    assert await redrive(keys=[{"id": "row-000002"}]) == ("complete", tally(scanned=1, updated=1))
    assert still_open() == named(3)
    assert await redrive() == ("complete", tally(scanned=1, updated=1))
    assert still_open() == set()
    assert await redrive(**first) == ("complete", tally(scanned=1, updated=1))
    assert still_open(*first.values()) == set()
    closed = quiet.ledger().failures.page(handle.id, run, state="redriven")
    assert closed.counts == {"ValidationError": 3, "ItemCollectionSizeLimitExceeded": 2}

    truth = quiet.proxy.truth(wait=5)
    assert (truth.changed(table.name, run), truth.changed_twice(run)) == (RECORDS, [])


async def test_a_paused_record_keeps_what_is_known_of_it(quiet: Stack, make_table: Make) -> None:
    table = make_table()
    table.fill(50)
    inject(quiet.proxy, Fault(kind=FaultKind.SERVER_ERROR, operations="writes", keys=(key(8),)))
    handle = await quiet.start({"table": table.name, "total_segments": 1})
    await until(handle, lambda p: p["isolated"] == 1)
    await handle.signal("pause")
    await until(handle, lambda p: p["state"] == "paused")

    # From now on it is refused for good: yet an earlier write may have landed, and the ledger has to say so.
    quiet.proxy.set_plan(FaultPlan(faults=(poison(8),)))
    await handle.signal("resume")
    kind, report = await outcome(handle)

    assert (kind, report["tally"]) == ("Incomplete", tally(scanned=50, updated=49, quarantined=1))
    [entry] = quiet.ledger().failures.open(report["job"], report["run"])
    assert (entry.error, entry.applied) == ("ValidationError", "unknown")
