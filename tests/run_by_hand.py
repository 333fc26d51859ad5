"""A run of the root that is not run: its clock and its history are set by hand."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, Self

import pytest
from temporalio import workflow

from reindexer.models import FollowInput, Limits
from tests.stand_in import a_plan
from workflows.job.running_job import RunningJob

BEGAN = datetime(2026, 11, 21, tzinfo=UTC)


class Run:
    """What a workflow asks of Temporal."""

    def __init__(self) -> None:
        self.now, self.events, self.bytes, self.suggested = BEGAN, 10, 1000, False

    @classmethod
    def by_hand(cls, patch: pytest.MonkeyPatch) -> Self:
        """In the place of Temporal, until the patch is undone."""
        made = cls()
        patch.setattr(workflow, "now", lambda: made.now)
        patch.setattr(workflow, "info", made.info)
        return made

    def info(self) -> Any:
        return SimpleNamespace(
            workflow_id="reindex-cities",
            first_execution_run_id="first",
            workflow_start_time=BEGAN,
            start_time=BEGAN,
            get_current_history_length=lambda: self.events,
            get_current_history_size=lambda: self.bytes,
            is_continue_as_new_suggested=lambda: self.suggested,
        )


def a_job(run: Run, **plan: Any) -> RunningJob:
    """One that is planned and has begun. `plan`: what is other than in `a_plan`."""
    job = RunningJob(Limits(), None)
    job.plan = a_plan().model_copy(update=plan)
    return job


def a_follow(run: Run) -> RunningJob:
    """The same of a follow into an index, since `BEGAN`."""
    job = a_job(run)
    to = {"search": "http://127.0.0.1:9200", "alias": "cities"}
    job.input = FollowInput.model_validate({"table": "cities", "operation": {"kind": "index", "to": to}})
    job.started_at = BEGAN
    return job
