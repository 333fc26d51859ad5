"""Recorded histories of real runs replay on today's workflow code: an upgrade breaks no running job."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from temporalio.client import WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer

from workflows.reindex_shard import ReindexShard
from workflows.reindex_table import ReindexTable

HISTORIES = sorted((Path(__file__).parent / "histories").glob("*.json"))


async def replay(text: str) -> None:
    """Raises where today's workflow code would have done something else."""
    replayer = Replayer(workflows=[ReindexTable, ReindexShard], data_converter=pydantic_data_converter)
    started = json.loads(text)["events"][0]["workflowExecutionStartedEventAttributes"]
    await replayer.replay_workflow(WorkflowHistory.from_json(started["workflowId"], text))


@pytest.mark.parametrize("path", HISTORIES, ids=lambda path: path.stem)
async def test_a_recorded_history_replays(path: Path) -> None:
    await replay(path.read_text())


async def test_a_job_that_once_went_on_with_a_resume_nobody_could_read_still_does() -> None:
    """As it did before such a signal was refused; that history has no mark of the change."""
    history = json.loads((Path(__file__).parent / "histories" / "paused-and-killed.json").read_text())
    signals = [event.get("workflowExecutionSignaledEventAttributes", {}) for event in history["events"]]
    [resume] = [signal for signal in signals if signal.get("signalName") == "resume"]
    unread = {"metadata": {"encoding": b64(b"json/plain")}, "data": b64(b'{"code": 5}')}
    resume["input"] = {"payloads": [unread]}
    await replay(json.dumps(history))


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def test_the_histories_cover_what_workflows_do() -> None:
    """Each is worth its place: a pause, a cancel, a lost worker, a quarantine, a continue-as-new."""
    text = {path.stem: path.read_text() for path in HISTORIES}
    everything = "".join(text.values())
    for sign in (
        "EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW",
        "EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED",
        "EVENT_TYPE_ACTIVITY_TASK_CANCEL_REQUESTED",
        "EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED",
        "quarantine_record",
        "verify_segment",
    ):
        assert sign in everything, sign
