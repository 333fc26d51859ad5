"""Where a job stands: what its workers answer, made live by heartbeats; else what the server knows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from temporalio.client import (
    Client,
    WorkflowExecutionDescription,
    WorkflowExecutionStatus,
    WorkflowQueryFailedError,
)
from temporalio.service import RPCError

from commands.exits import Exit
from commands.history import finished, told
from commands.rounds import overlay, running_rounds, speed_of
from commands.server import Ending, describe, ending, somebody_works
from reindexer.models import Report
from reindexer.tally import Attempts, Tally

#: A worker replays at most some thousand events for an answer: more than this is a worker that is not there.
_QUERY_SECONDS = 5.0


@dataclass
class Standing:
    """Where a job stands. `progress` has the fields of the query of that name; None where nobody knows."""

    job: str
    run_id: str
    status: str  # Temporal's word: running, completed, failed, canceled, terminated …
    started_at: datetime
    progress: dict[str, Any]
    workers: bool | None  # whether they answered; False: counts are the last reports'; None: not asked
    ending: Ending | None = None
    in_flight: list[dict[str, Any]] = field(default_factory=list)  # shards whose rounds are running

    @property
    def code(self) -> Exit:
        """0 complete, 1 incomplete, 2 refused, 3 still on its way."""
        return self.ending.code if self.ending else Exit.NOT_FINISHED

    def as_json(self) -> dict[str, Any]:
        """The progress, and beside it what the server says of the workflow."""
        workflow = {
            "id": self.job,
            "run_id": self.run_id,
            "status": self.status,
            "started_at": self.started_at.isoformat(),
        }
        extra: dict[str, Any] = {"workflow": workflow, "workers": self.workers, "rounds": self.in_flight}
        if self.ending:
            extra["report"] = self.ending.report.model_dump(mode="json") if self.ending.report else None
            extra["error"] = self.ending.sentence or None
        return {**self.progress, **extra}


async def standing(client: Client, job: str) -> Standing:
    """Ask for everything once. Raises `BadInput` where there is no such job."""
    description = await describe(client, job)
    base = Standing(
        job=job,
        run_id=description.run_id,
        status=description.status.name.lower() if description.status else "unknown",
        started_at=description.start_time,
        progress={},
        workers=False,
    )
    if description.status is not WorkflowExecutionStatus.RUNNING:
        base.ending = await ending(client.get_workflow_handle(job, run_id=description.run_id))
        base.progress = _of_ending(description, base.ending)
        base.workers = None
        return base
    # Asked before the heartbeats: a round that ends in between is missed for a moment, never counted twice.
    answer = await _ask(client, description)
    rounds = await running_rounds(client, description)
    base.workers = answer is not None
    reported = answer if answer is not None else await _from_server(client, description)
    base.progress = overlay(reported, [entry.progress for entry in rounds])
    if base.workers:
        base.progress["records_per_second"] = speed_of(base.progress, rounds)
        base.progress["eta_seconds"] = _eta(base.progress)
    base.in_flight = [entry.as_json() for entry in rounds]
    return base


async def _ask(client: Client, description: WorkflowExecutionDescription) -> dict[str, Any] | None:
    """The `progress` query. None: nobody answers."""
    if not await somebody_works(client):
        return None
    handle = client.get_workflow_handle(description.id, run_id=description.run_id)
    try:
        answer: dict[str, Any] = await handle.query("progress", rpc_timeout=timedelta(seconds=_QUERY_SECONDS))
    except (RPCError, WorkflowQueryFailedError):
        return None
    return answer


def _eta(progress: Mapping[str, Any]) -> float | None:
    remaining, speed = progress.get("remaining"), progress.get("records_per_second")
    if not remaining or not speed or progress.get("state") not in ("running", "throttled"):
        told = progress.get("eta_seconds")
        return None if told is None else float(told)
    return float(remaining) / float(speed)


# ── Without workers ────────────────────────────────────────────────────────────────────────────────────────


async def _from_server(client: Client, description: WorkflowExecutionDescription) -> dict[str, Any]:
    """Progress as far as the server can tell, from what the histories hold."""
    known = await told(client, description)
    states = list(known.states.values())
    children = len(description.raw_description.pending_children)
    state = description.search_attributes.get("ReindexState")
    tally = sum((s.tally for s in states), Tally())
    plan = known.plan
    expected = plan.expected if plan else None
    return {
        **_nothing_known(
            description,
            str(state[0]) if state else "running" if plan else "planning",
            "no worker answers; this is what the server knows",
        ),
        "tally": tally.model_dump(),
        "attempts": sum((s.attempts for s in states), Attempts()).model_dump(),
        "isolated": sum(len(s.isolated) for s in states),
        "remaining": None if expected is None else max(0, expected - tally.settled),
        "shards": {
            "total": max(len(states), len(plan.sources)) if plan else None,
            "done": finished(states),
            "running": children,
        },
        "limits": plan.limits.model_dump() if plan else None,
    }


def _nothing_known(description: WorkflowExecutionDescription, state: str, reason: str) -> dict[str, Any]:
    """The fields of `progress`, empty."""
    return {
        "state": state,
        "reason": reason,
        "since": (description.close_time or description.start_time).isoformat(),
        "tally": None,
        "attempts": None,
        "remaining": None,
        "in_flight": None,
        "isolated": 0,
        "shards": {"total": None, "done": None, "running": 0},
        "consumed": {},
        "limits": None,
        "throttle": None,
        "records_per_second": None,
        "eta_seconds": None,
        "partitions": None,
    }


def _of_ending(description: WorkflowExecutionDescription, end: Ending) -> dict[str, Any]:
    progress = _nothing_known(description, "done", end.sentence)
    if end.report is not None:
        progress |= _of_report(end.report)
    return progress


def _of_report(report: Report) -> dict[str, Any]:
    return {
        "reason": report.state,
        "tally": report.tally.model_dump(),
        "attempts": report.attempts.model_dump(),
        "remaining": 0 if report.state == "complete" else None,
        "in_flight": 0,
        "shards": {"total": report.shards, "done": None, "running": 0},
        "records_per_second": report.tally.scanned / report.seconds if report.seconds else None,
    }
