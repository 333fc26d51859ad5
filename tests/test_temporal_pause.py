"""Temporal's own pause of a workflow, and whatever else a newer server says of one."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Callable

import pytest
from temporalio.client import WorkflowExecutionStatus

from reindexer import connect
from testbed.faults import Fault, FaultKind, FaultPlan
from testbed.job import outcome
from testbed.stack import Stack
from tests.cli import command
from tests.tables import Table
from tests.test_control import has_begun

#: Half a minute's work: the commands are to find the job at it.
SLOW = FaultPlan(faults=(Fault(kind=FaultKind.SLOW, seconds=0.5, operations="writes"),))


def test_a_status_that_the_sdk_does_not_know_has_a_name() -> None:
    assert connect.SEARCH_ATTRIBUTES, "importing it is what teaches the SDK"
    assert WorkflowExecutionStatus(8).name == "PAUSED"
    assert WorkflowExecutionStatus(99).name == "STATUS_99"
    assert WorkflowExecutionStatus(99) == 99
    assert WorkflowExecutionStatus(1) is WorkflowExecutionStatus.RUNNING
    with pytest.raises(ValueError, match="is not a valid"):
        WorkflowExecutionStatus("running")  # type: ignore[arg-type]


def _temporal(stack: Stack, verb: str, workflow_id: str) -> None:
    server = stack.temporal
    options = ["workflow", verb, "--workflow-id", workflow_id, "--address", server.address]
    subprocess.run([str(server.cli), *options], env=stack.environment, check=True, capture_output=True)


@pytest.mark.long
@pytest.mark.nightly
async def test_every_command_works_while_temporal_has_paused_a_job(
    quiet: Stack, make_table: Callable[..., Table]
) -> None:
    table = make_table()
    table.fill(3000)
    quiet.proxy.set_plan(SLOW)
    handle = await quiet.start({"table": table.name, "total_segments": 2})
    await has_begun(handle, table)
    job = handle.id
    children = (await handle.describe()).raw_description.pending_children
    _temporal(quiet, "pause", job)
    _temporal(quiet, "pause", children[0].workflow_id)

    code, out, err = await _command(quiet, "status", job)
    assert (code, err) == (3, "")
    assert "Temporal itself has paused this workflow, not its shards" in " ".join(out.split())
    assert "none answers" not in out
    code, out, _ = await _command(quiet, "status", job, "--json")
    shown = json.loads(out)
    assert code == 3
    assert shown["workflow"]["status"] == "paused"
    assert shown["workers"] is True
    assert shown["state"] != "paused", "that would say that nothing is written"
    assert len(shown["rounds"]) == 2
    code, out, _ = await _command(quiet, "list", "--json")
    assert (code, [entry["status"] for entry in json.loads(out) if entry["job"] == job]) == (0, ["paused"])
    assert (await _command(quiet, "list"))[0] == 0
    code, _, err = await _command(quiet, "report", job)
    assert (code, "has not ended" in err) == (3, True)
    code, _, err = await _command(quiet, "pause", job)
    assert code == 3, err
    code, _, err = await _command(quiet, "resume", job)
    assert code == 3, err
    code, _, err = await _command(quiet, "limits", job, "--records-per-second", "5000")
    assert code == 3, err
    code, out, err = await _command(quiet, "limits", job)
    assert (code, out) == (3, ""), err
    code, _, err = await _command(quiet, "start", table.name, "--yes", "--wait")
    assert code == 2, err
    assert f"is being worked on by job {job}" in err
    with pytest.raises(subprocess.TimeoutExpired) as watching:  # it does not end: the job has not
        await asyncio.to_thread(command, quiet.environment, "watch", job, timeout=6)
    assert b"Temporal itself has paused this workflow" in (watching.value.stderr or b"")

    _temporal(quiet, "unpause", children[0].workflow_id)
    _temporal(quiet, "unpause", job)
    quiet.proxy.set_plan(FaultPlan())
    kind, report = await outcome(handle)
    assert kind == "complete", report
    assert report["tally"]["updated"] == 3000


async def _command(stack: Stack, *arguments: str) -> tuple[int, str, str]:
    code, out, err = await asyncio.to_thread(command, stack.environment, *arguments)
    assert "Traceback" not in err, err
    return code, out, err
