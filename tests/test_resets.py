"""`temporal workflow reset` of a root: never two jobs on one table, and no shards that no one steers."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import WorkflowExecutionStatus, WorkflowHandle

from testbed.faults import Fault, FaultKind, FaultPlan
from testbed.job import outcome, until
from testbed.stack import Stack
from tests.stack import events
from tests.tables import Table
from tests.test_control import has_begun
from tests.test_crashes import slow

MakeTable = Callable[..., Table]

RECORDS = 1500
TOUCH = {"kind": "touch", "version": 7}


async def reset(stack: Stack, job: str, run_id: str, after: str) -> None:
    """To the workflow task that follows the activity, or to the first one."""
    client = await stack.connect()
    place, names = None, list[str]()
    async for event in events(client.get_workflow_handle(job, run_id=run_id)):
        if event.HasField("activity_task_scheduled_event_attributes"):
            names.append(event.activity_task_scheduled_event_attributes.activity_type.name)
        if event.HasField("workflow_task_completed_event_attributes") and (not after or after in names):
            place = event.event_id
            break
    assert place is not None
    await client.workflow_service.reset_workflow_execution(
        ResetWorkflowExecutionRequest(
            namespace=client.namespace,
            workflow_execution=WorkflowExecution(workflow_id=job, run_id=run_id),
            workflow_task_finish_event_id=place,
            reason="a test",
            request_id=str(uuid.uuid4()),
        )
    )


async def running_shards(stack: Stack, job: str) -> set[str]:
    """Run stamps of shards that run now."""
    client, found = await stack.connect(), set()
    async for shard in client.list_workflows(f"WorkflowId STARTS_WITH '{job}/'"):
        described = await client.get_workflow_handle(shard.id).describe()
        if described.status is WorkflowExecutionStatus.RUNNING:
            found.add(shard.id.split("/")[-2])
    return found


async def begun(stack: Stack, table: Table, **more: Any) -> tuple[str, str, str]:
    """(workflow id, run id, run stamp) of a job that is at work, slowly."""
    stack.proxy.set_plan(slow())
    handle = await stack.start({"table": table.name, "operation": TOUCH, "total_segments": 4, **more})
    await has_begun(handle, table)
    stamp = (await until(handle, lambda seen: bool(seen["run"])))["run"]
    return handle.id, (await handle.describe()).run_id, stamp


async def waits_for_the_lock(handle: WorkflowHandle[Any, Any]) -> None:
    """Until its `take_lock` has found that the holder is closed, and waits before it takes over."""
    for _ in range(600):  # 0.05 s each: a busy machine plans in a few seconds
        pending = (await handle.describe()).raw_description.pending_activities
        if any(one.activity_type.name == "take_lock" and one.heartbeat_details.payloads for one in pending):
            return
        await asyncio.sleep(0.05)
    raise AssertionError("it does not wait for the lock")


async def ends(stack: Stack, job: str) -> tuple[str, dict[str, Any]]:
    client = await stack.connect()
    return await outcome(client.get_workflow_handle(job))


async def test_reset_to_before_its_plan_a_job_begins_again_and_its_old_shards_end(
    quiet: Stack, make_table: MakeTable
) -> None:
    table = make_table()
    table.fill(RECORDS)
    job, run_id, stamp = await begun(quiet, table)
    await reset(quiet, job, run_id, after="")
    handle = (await quiet.connect()).get_workflow_handle(job)
    now = await until(handle, lambda seen: seen["tally"]["scanned"] > 0 or seen["state"] == "done", seconds=60)
    assert now["run"] != stamp
    assert stamp not in await running_shards(quiet, job), "they were ended before the lock changed hands"
    quiet.proxy.set_plan(FaultPlan())
    kind, report = await ends(quiet, job)
    assert kind == "complete", report
    tally = report["tally"]
    assert (tally["scanned"], tally["updated"] + tally["current"]) == (RECORDS, RECORDS)
    truth = quiet.proxy.truth(wait=5)
    assert truth.changed(table.name, stamp) + truth.changed(table.name, now["run"]) == RECORDS
    assert truth.changed(table.name, now["run"]) == tally["updated"]


@pytest.mark.parametrize(
    "after",
    [
        "take_lock",
        *(pytest.param(one, marks=pytest.mark.nightly) for one in ("make_plan", "write_report", "look")),
    ],
)
async def test_reset_to_a_point_after_its_plan_a_job_goes_on_under_its_stamp(
    quiet: Stack, make_table: MakeTable, after: str
) -> None:
    table = make_table()
    table.fill(RECORDS)
    job, run_id, stamp = await begun(quiet, table, limits={"shards_in_flight": 2})
    handle = (await quiet.connect()).get_workflow_handle(job)
    await until(handle, lambda seen: seen["tally"]["updated"] > 0)  # it has looked at its shards
    await reset(quiet, job, run_id, after)
    quiet.proxy.set_plan(FaultPlan())
    kind, report = await ends(quiet, job)
    assert kind == "complete", report
    assert (report["run"], report["tally"]["updated"]) == (stamp, RECORDS)
    assert quiet.proxy.truth(wait=5).changed_twice(stamp) == []


@pytest.mark.nightly
async def test_a_job_that_had_ended_writes_nothing_after_a_reset(quiet: Stack, make_table: MakeTable) -> None:
    """Its history says that it took the lock; the ledger says who has it."""
    table = make_table()
    table.fill(RECORDS)
    first = await quiet.start({"table": table.name, "operation": TOUCH, "total_segments": 4})
    assert (await outcome(first))[0] == "complete"
    stamp, run_id = (await first.result())["run"], (await first.describe()).run_id
    second, _, _ = await begun(quiet, table, operation={"kind": "touch", "version": 8})
    await reset(quiet, first.id, run_id, after="write_report")
    handle = (await quiet.connect()).get_workflow_handle(first.id)
    reason = (await until(handle, lambda seen: seen["state"] == "parked"))["reason"]
    assert "the job does not hold its lock any more" in reason
    assert f"is held by job {second} " in reason
    quiet.proxy.set_plan(FaultPlan())
    kind, report = await ends(quiet, second)
    assert (kind, report["tally"]["updated"]) == ("complete", RECORDS)
    assert quiet.proxy.truth(wait=5).changed(table.name, stamp) == RECORDS, "no more than before"

    await handle.signal("resume")
    free = await until(handle, lambda seen: seen["state"] == "parked" and "by no one" in seen["reason"])
    assert "cancel it; start it again once the lock is free" in free["reason"]
    await handle.cancel()
    assert (await outcome(handle))[0] != "complete"


@pytest.mark.nightly
async def test_a_reset_while_its_lock_is_taken_over_keeps_the_second_job_out(
    quiet: Stack, make_table: MakeTable
) -> None:
    """Terminated, it holds the lock; someone waits to take it over; then it runs again."""
    table = make_table()
    table.fill(RECORDS)
    job, run_id, stamp = await begun(quiet, table)
    await (await quiet.connect()).get_workflow_handle(job).terminate()
    second = await quiet.start({"table": table.name, "operation": {"kind": "touch", "version": 8}})
    quiet.proxy.set_plan(
        slow(Fault(kind=FaultKind.SLOW, seconds=2, operations="writes"))
    )  # longer than the wait
    await waits_for_the_lock(second)  # for 3 s, the heartbeat timeout
    await reset(quiet, job, run_id, after="write_report")
    kind, details = await outcome(second)
    assert kind == "Locked", details
    assert f"is being worked on by job {job} " in details["message"]
    quiet.proxy.set_plan(FaultPlan())
    kind, report = await ends(quiet, job)
    assert kind == "complete", report
    assert (report["run"], report["tally"]["updated"]) == (stamp, RECORDS)


@pytest.mark.nightly
async def test_a_job_that_was_terminated_is_reset_and_starts_its_shards_again(
    quiet: Stack, make_table: MakeTable
) -> None:
    """They were terminated with it, and their ends are not in the history that is left."""
    table = make_table()
    table.fill(RECORDS)
    job, run_id, stamp = await begun(quiet, table)
    handle = (await quiet.connect()).get_workflow_handle(job)
    await until(handle, lambda seen: seen["tally"]["updated"] > 0)  # it has looked at them
    await handle.terminate()
    while await running_shards(quiet, job):
        await asyncio.sleep(0.1)
    await asyncio.sleep(1)  # until the server has tried to tell their parent
    quiet.proxy.set_plan(FaultPlan())
    await reset(quiet, job, run_id, after="look")
    seen = await until(handle, lambda seen: seen["state"] == "parked", seconds=60)
    assert "it was closed before this workflow was reset; resume starts it again" in seen["reason"]
    await until(handle, lambda seen: seen["in_flight"] == 0)
    await handle.signal("resume")
    kind, report = await ends(quiet, job)
    assert kind == "complete", report
    assert (report["run"], report["tally"]["updated"]) == (stamp, RECORDS)
    assert quiet.proxy.truth(wait=5).changed_twice(stamp) == []
