"""list: list the jobs that the Temporal server knows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.text import Text
from temporalio.client import Client, WorkflowExecution, WorkflowExecutionStatus

from activities.follows import FOLLOW_TYPE
from commands.input.json_only import emit_json
from commands.input.options import AsJson
from commands.rendering.screen import BAD, GOOD, WARN, Cell, listing, moment, note
from commands.temporal.server import JOB_TYPE, spelled, talk
from reindexer.words import duration

_STYLE = {
    WorkflowExecutionStatus.COMPLETED: GOOD,
    WorkflowExecutionStatus.FAILED: BAD,
    WorkflowExecutionStatus.TERMINATED: BAD,
    WorkflowExecutionStatus.TIMED_OUT: BAD,
    WorkflowExecutionStatus.CANCELED: WARN,
}


@dataclass(frozen=True)
class _Listed:
    """A job by its newest run. `started_at`: of the job."""

    run: WorkflowExecution
    started_at: datetime


def list_jobs(
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Number of jobs, newest first.")] = 20,
    as_json: AsJson = False,
) -> None:
    """List jobs, newest first: running ones, and closed ones within Temporal's retention."""
    jobs = talk(lambda client: _jobs(client, limit))
    if as_json:
        emit_json([_plain(job) for job in jobs])
    elif jobs:
        head = ("job", "state", "table", "operation", "started", "took")
        listing(map(_row, jobs), head, spare=(3, 2, 5, 4))  # names begin with what is done to which table
    else:
        note("no jobs; `reindexer start TABLE` starts one")


async def _jobs(client: Client, limit: int) -> list[_Listed]:
    """Each job once, by the newest of its runs: those before it have continued as new."""
    # Visibility's own order is newest first; other orders are refused on some stores.
    types = f"'{JOB_TYPE}', '{FOLLOW_TYPE}'"
    found = client.list_workflows(f"WorkflowType IN ({types}) AND ExecutionStatus != 'ContinuedAsNew'")
    jobs: list[_Listed] = []
    seen = set()
    async for run in found:
        # Visibility lags: for a moment a run that has handed over is listed as running below the next one.
        if run.id in seen and run.close_time is None:
            continue
        seen.add(run.id)
        # A run that took over says in its memo when the job began.
        history_of = _moment(await run.memo_value("started_at", None))
        jobs.append(_Listed(run, history_of or run.start_time))
        if len(jobs) == limit:
            break
    return jobs


def _moment(history_of: object) -> datetime | None:
    try:
        return datetime.fromisoformat(history_of) if isinstance(history_of, str) else None
    except ValueError:
        return None


def _plain(listed: _Listed) -> dict[str, Any]:
    job = listed.run
    return {
        "job": job.id,
        "run_id": job.run_id,
        "status": job.status.name.lower() if job.status else None,
        "state": _attribute(job, "ReindexState"),
        "table": _attribute(job, "ReindexTable"),
        "operation": _attribute(job, "ReindexOperation"),
        "started_at": listed.started_at.isoformat(),
        "closed_at": job.close_time.isoformat() if job.close_time else None,
    }


def _row(listed: _Listed) -> tuple[Cell, ...]:
    job = listed.run
    running = job.status is WorkflowExecutionStatus.RUNNING
    status = spelled(job.status.name.lower()) if job.status else "?"
    state = _attribute(job, "ReindexState") or status if running else status
    style = _STYLE.get(job.status, "") if job.status else ""
    return (
        job.id,
        Text(state, style),
        _attribute(job, "ReindexTable") or "",
        _attribute(job, "ReindexOperation") or "",
        moment(listed.started_at),
        _took(listed),
    )


def _attribute(job: WorkflowExecution, name: str) -> str | None:
    """A search attribute of ours; None where `setup` has not registered it."""
    values = job.search_attributes.get(name)
    return str(values[0]) if values else None


def _took(listed: _Listed) -> str:
    return duration(((listed.run.close_time or datetime.now(UTC)) - listed.started_at).total_seconds())
