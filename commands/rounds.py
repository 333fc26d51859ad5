"""The rounds that are running, as their heartbeats show them: what makes a job's progress live."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError
from temporalio.api.workflow.v1 import PendingActivityInfo
from temporalio.client import Client, WorkflowExecutionDescription
from temporalio.service import RPCError

from reindexer.models import Progress
from reindexer.tally import Attempts, Tally

#: Shards that are asked at the same time for their heartbeats.
_AT_ONCE = 16


@dataclass(frozen=True)
class Round:
    """A running round as its pending activity shows it."""

    shard: str
    attempt: int
    seconds: float  # since this attempt began
    progress: Progress
    failure: str

    def as_json(self) -> dict[str, Any]:
        """For `--json`: the counts of this round alone."""
        return {
            "shard": self.shard,
            "attempt": self.attempt,
            "seconds": round(self.seconds, 1),
            "tally": self.progress.tally.model_dump(),
            "last_failure": self.failure or None,
        }


async def running_rounds(client: Client, description: WorkflowExecutionDescription) -> list[Round]:
    gate = asyncio.Semaphore(_AT_ONCE)
    children = description.raw_description.pending_children

    async def of(workflow_id: str, run_id: str) -> list[Round]:
        async with gate:
            try:
                child = await client.get_workflow_handle(workflow_id, run_id=run_id or None).describe()
            except RPCError:
                return []  # it has just ended
        pending = child.raw_description.pending_activities
        found = [
            await _round(client, workflow_id, activity)
            for activity in pending
            if activity.activity_type.name == "reindex_round"
        ]
        return [entry for entry in found if entry]

    answers = await asyncio.gather(*(of(child.workflow_id, child.run_id) for child in children))
    return [entry for several in answers for entry in several]


async def _round(client: Client, shard: str, activity: PendingActivityInfo) -> Round | None:
    details = activity.heartbeat_details.payloads
    try:
        progress = (await client.data_converter.decode(details, [Progress]))[0] if details else Progress()
    except (ValidationError, RuntimeError):
        return None  # of a worker newer than this program: better no live number than no status
    begun = activity.last_started_time.ToDatetime(tzinfo=UTC)
    return Round(
        shard=shard,
        attempt=activity.attempt,
        # An attempt that waits for a worker has not begun.
        seconds=max(0.0, (datetime.now(UTC) - begun).total_seconds()) if begun.timestamp() else 0.0,
        progress=progress,
        failure=activity.last_failure.message,
    )


def overlay(reported: Mapping[str, Any], rounds: Iterable[Progress]) -> dict[str, Any]:
    """What was reported, which covers finished rounds only, plus what the running ones have done so far."""
    live = dict(reported)
    tally, attempts, isolated = Tally(), Attempts(), 0
    for progress in rounds:
        tally, attempts = tally + progress.tally, attempts + progress.attempts
        isolated += len(progress.isolated)
    live["tally"] = _sum(reported.get("tally"), tally.model_dump())
    live["attempts"] = _sum(reported.get("attempts"), attempts.model_dump())
    live["isolated"] = int(reported.get("isolated") or 0) + isolated
    if reported.get("remaining") is not None:
        live["remaining"] = max(0, int(reported["remaining"]) - tally.scanned)
    return live


def _sum(reported: Mapping[str, int] | None, more: Mapping[str, int]) -> dict[str, int]:
    return {**(reported or {}), **{name: int((reported or {}).get(name) or 0) + n for name, n in more.items()}}


def speed_of(progress: Mapping[str, Any], rounds: Iterable[Round]) -> float | None:
    """Records a second by the heartbeats, since reports come at the end of rounds only."""
    # An inherited heartbeat counts an earlier attempt's records too, in none of this one's time.
    first = [entry for entry in rounds if entry.attempt == 1 and entry.progress.tally.scanned]
    if not first:
        told = progress.get("records_per_second")
        return None if told is None else float(told)
    return sum(entry.progress.tally.settled / max(entry.seconds, 0.5) for entry in first)
