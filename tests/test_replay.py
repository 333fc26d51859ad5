"""Recorded histories of real runs replay on today's workflow code: an upgrade breaks no running job."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner, WorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from reindexer.connect import DATA_CONVERTER
from workflows.follow_table import FollowTable
from workflows.reindex_shard import ReindexShard
from workflows.reindex_table import ReindexTable

#: Recorded on Temporal 1.32, those in the folder on 1.31: a server is upgraded while jobs run.
HISTORIES = sorted((Path(__file__).parent / "histories").rglob("*.json"))
CONTINUED = "EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW"


async def replay(text: str) -> None:
    """Raises where today's workflow code would have done something else.

    Without the sandbox, which imports the workflows for each history.
    """
    await _replayer(UnsandboxedWorkflowRunner()).replay_workflow(_history(text))


def _replayer(runner: WorkflowRunner) -> Replayer:
    return Replayer(
        workflows=[ReindexTable, FollowTable, ReindexShard],
        workflow_runner=runner,
        data_converter=DATA_CONVERTER,
    )


def _history(text: str) -> WorkflowHistory:
    started = json.loads(text)["events"][0]["workflowExecutionStartedEventAttributes"]
    return WorkflowHistory.from_json(started["workflowId"], text)


@pytest.mark.parametrize("path", HISTORIES, ids=lambda path: f"{path.parent.name}-{path.stem}")
async def test_a_recorded_history_replays(path: Path) -> None:
    await replay(path.read_text())


async def test_all_of_them_replay_in_the_sandbox() -> None:
    """As workers run workflows. Those that are forked for tests let it pass our own modules, see `forked`."""

    async def every() -> AsyncIterator[WorkflowHistory]:
        for path in HISTORIES:
            yield _history(path.read_text())

    found = await _replayer(SandboxedWorkflowRunner()).replay_workflows(every(), raise_on_replay_failure=False)
    assert found.replay_failures == {}


def test_the_histories_cover_what_workflows_do() -> None:
    """Each is worth its place: a pause, a cancel, a lost worker, a quarantine, a sweep, kept states."""
    everything = "".join(path.read_text() for path in HISTORIES)
    for sign in (
        "EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED",
        "EVENT_TYPE_WORKFLOW_EXECUTION_FAILED",
        "EVENT_TYPE_ACTIVITY_TASK_CANCEL_REQUESTED",
        "EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT",
        "EVENT_TYPE_TIMER_STARTED",
        "EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED",
        '"shard_report"',
        '"look"',
        '"reindex_round"',
        '"reindex_record"',
        '"quarantine_record"',
        '"verify_segment"',
        '"compare_segment"',
        '"sample_differences"',
        '"collect_behind"',
        '"keep_state"',
        '"load_state"',
        '"partition_totals"',
        '"count_ahead"',
        '"prepare_index"',
        '"finish_index"',
        '"prepare_rescan"',
        '"collect_older"',
        '"look_at_stream"',
        '"await_arrival"',
        '"verify_segment"',
    ):
        assert sign in everything, sign


@pytest.mark.parametrize(("verb", "shard"), [("compare", "compare-000"), ("repair", "shard-003")])
def test_jobs_on_two_tables_are_among_them(verb: str, shard: str) -> None:
    """With the rounds of what they do: they compare; a repair besides writes what a comparison has kept."""
    started = [
        json.loads(path.read_text())["events"][0]["workflowExecutionStartedEventAttributes"]
        for path in HISTORIES
    ]
    roots = [one for one in started if one["workflowType"]["name"] == "ReindexTable"]
    of_tables = [one for one in roots if '"search":' not in _input(one)]
    [job] = [one["workflowId"] for one in of_tables if f'"kind":"{verb}"' in _input(one)]
    ids = [one["workflowId"] for one in started if one not in roots]
    assert shard in [name.rsplit("/", 1)[1] for name in ids if name.startswith(f"{job}/")]


def _input(started: Any) -> str:
    """The first argument of a workflow, as JSON without spaces."""
    return base64.b64decode(started["input"]["payloads"][0]["data"]).decode()


@pytest.mark.parametrize(("kind", "runs"), [("ReindexTable", 2), ("ReindexShard", 1)])
def test_runs_that_continue_as_new_are_among_them(kind: str, runs: int) -> None:
    """Of the root two in a row: what the first hands over, the second hands over again."""
    continued = []
    for path in HISTORIES:
        events = json.loads(path.read_text())["events"]
        started = events[0]["workflowExecutionStartedEventAttributes"]
        if started["workflowType"]["name"] == kind and events[-1]["eventType"] == CONTINUED:
            continued.append(started["firstExecutionRunId"])
    assert max(continued.count(first) for first in continued) >= runs
