"""The state of a job: as its workers answer, given a fresh look at its shards; else as the server knows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from temporalio.client import Client, WorkflowExecutionDescription
from temporalio.service import RPCError

from activities.look import look_at, open_shards
from commands.input.exits import Exit
from commands.temporal.ending import Ending, ending
from commands.temporal.from_history import from_history
from commands.temporal.server import describe, is_halted, is_open, progress_of, workers_poll
from reindexer.models import JobProgress, Looked, ShardsDone


@dataclass(frozen=True)
class JobStatus:
    """The state of a job. `progress` is the answer of the query of that name, or as much of it as is known."""

    job: str
    run_id: str  # of the run that was asked; the job may be in another by now
    status: str  # Temporal's word: running, completed, failed, canceled, terminated …
    started_at: datetime  # of the job
    progress: JobProgress
    workers: bool | None  # whether they answered; False: counts are from histories; None: not asked
    ending: Ending | None = None
    in_flight: list[dict[str, Any]] = field(default_factory=list)  # open shards, and their running rounds

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
        return {**self.progress.model_dump(mode="json"), **extra}


async def job_status(client: Client, job: str) -> JobStatus:
    """Ask for everything once. Raises `BadInput` where there is no such job."""
    description = await describe(client, job)
    if is_open(description):
        return await _open(client, job, description)
    end = await ending(client, job)
    return JobStatus(
        job=job,
        run_id=description.run_id,
        status=_status(description),
        started_at=end.report.started_at if end.report else description.start_time,
        progress=_of_ending(description, end),
        workers=None,
        ending=end,
    )


async def _open(client: Client, job: str, description: WorkflowExecutionDescription) -> JobStatus:
    names, looked = await _look(client, description)
    answer, halted = None, is_halted(description)
    there = await workers_poll(client)
    if there and not halted:
        arguments = [] if looked is None else [looked.model_dump(mode="json")]
        answer = await progress_of(client.get_workflow_handle(job), *arguments)
    progress = answer or await from_history(client, description, names, looked)
    if halted:
        progress = progress.model_copy(update={"reason": _why_halted(job, description)})
    started_at = datetime.fromisoformat(progress.started_at) if progress.started_at else description.start_time
    return JobStatus(
        job=job,
        run_id=description.run_id,
        status=_status(description),
        started_at=started_at,
        progress=progress,
        workers=there if halted else answer is not None,
        in_flight=_rounds(names, looked),
    )


def _status(description: WorkflowExecutionDescription) -> str:
    """Temporal's own word."""
    return description.status.name.lower() if description.status else "unknown"


def _why_halted(job: str, description: WorkflowExecutionDescription) -> str:
    """Why a workflow that Temporal itself has halted does not continue, and what to do."""
    status = _status(description)
    if status != "paused":
        return f"Temporal reports the workflow as {status}; running shards keep writing"
    return (
        "Temporal itself has paused this workflow, not its shards: they keep writing, and the job accepts no "
        f"commands; run `temporal workflow unpause -w {job}`, then `reindexer pause {job}` to stop the writes"
    )


async def _look(
    client: Client, description: WorkflowExecutionDescription
) -> tuple[dict[int, str], Looked | None]:
    """Names of the open shards by index, and what was seen of them; None where the server did not answer."""
    run, names = open_shards(description)
    if not names:
        return {}, Looked()
    try:
        return names, await look_at(client, description.id, run, names)
    except RPCError:  # as when many are asked and calls are limited: older figures are better than none
        return names, None


def _rounds(names: Mapping[int, str], looked: Looked | None) -> list[dict[str, Any]]:
    """For `--json`: each open shard, with the counts of its running round alone."""
    seen = looked.shards if looked else {}
    return [
        {
            "shard": names[index],
            "state": one.situation.state,
            "reason": one.situation.reason or None,
            "tally": one.running.tally.model_dump(),
            "checked": one.running.checked.model_dump(),
        }
        for index, one in sorted(seen.items())
    ]


def _of_ending(description: WorkflowExecutionDescription, end: Ending) -> JobProgress:
    since, report = (description.close_time or datetime.now(UTC)).isoformat(), end.report
    if report is None:
        return JobProgress(state="done", reason=end.sentence, since=since)
    return JobProgress(
        state="done",
        reason=report.state,
        since=since,
        tally=report.tally,
        attempts=report.attempts,
        remaining=0 if report.state == "complete" else None,
        in_flight=0,
        shards=ShardsDone(total=report.shards),
        records_per_second=report.tally.scanned / report.seconds if report.seconds else None,
        run=report.run,
        verification=report.verification,
        comparison=report.comparison.counts if report.comparison else None,
        started_at=report.started_at.isoformat(),
        as_of=report.as_of.isoformat() if report.as_of else None,
    )
