"""Follows of a table: which of them run, and how far they have carried what a job wrote."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from commands.temporal.history import plan_of
from commands.temporal.server import FOLLOW_TYPE
from commands.temporal.status import JobStatus, job_status
from reindexer.ledger import Ledger
from reindexer.models import FollowArrival, JobProgress, Report
from reindexer.words import some

#: Seconds between two questions: each looks at the follow's open shards, a handful once its scan is done.
_LOOK = 1.0
#: Transient errors: a server that restarts is asked again until time is up.
_PASSING = frozenset((RPCStatusCode.UNAVAILABLE, RPCStatusCode.DEADLINE_EXCEEDED, RPCStatusCode.CANCELLED))

#: What asks for the state of a job.
Ask = Callable[[], Awaitable[JobStatus]]


@dataclass(frozen=True)
class Follow:
    """One that runs. `index`: what it writes to."""

    job: str
    run: str
    index: str


async def follows_of(client: Client, report: Report) -> list[Follow]:
    """Those that run and are planned, of the table that the report is about. Raises `RPCError`."""
    # Visibility's own order is newest first, so that a run that has handed over comes after the next one.
    listed = client.list_workflows(f"WorkflowType = '{FOLLOW_TYPE}' AND ExecutionStatus != 'ContinuedAsNew'")
    found, seen = list[Follow](), set[str]()
    async for run in listed:
        if run.id in seen:
            continue
        seen.add(run.id)
        # Without search attributes, which `setup` registers, the plan alone says which table it is.
        names = run.search_attributes.get("ReindexTable") or [report.table]
        if run.close_time is not None or names[0] != report.table:
            continue
        plan = await plan_of(client, run.id)
        if plan is not None and plan.target.table_arn == report.table_arn:
            search = plan.target.search
            found.append(Follow(run.id, plan.run, search.index if search else plan.target.operation.kind))
    return found


async def arrival_at(client: Client, follow: Follow, until: datetime, seconds: float) -> FollowArrival:
    """Whether all that changed up to then is settled there within that many seconds, and readers have it.

    Records that were given up are not looked for: they are in the ledger. Raises `RPCError`.
    """
    return await watched(lambda: job_status(client, follow.job), follow, until, seconds)


async def watched(ask: Ask, follow: Follow, until: datetime, seconds: float) -> FollowArrival:
    """As `arrival_at`, by what `ask` answers."""
    begun, passed, last, answered = time.monotonic(), False, "", False
    why, isolated = "no worker answers", 0
    while True:
        status = await _asked(ask)
        if status is not None and status.ending is not None:
            why = "it has ended"
            break
        if status is not None and status.workers:
            answered, progress = True, status.progress
            # A round that has just begun does not know yet how far it is: what was known once holds.
            last = max(last, progress.settled_through or "")
            passed = passed or (last != "" and datetime.fromisoformat(last) > until)
            isolated = progress.isolated
            why = _pending(progress, passed)
        if not why or time.monotonic() - begun >= seconds:
            break
        await asyncio.sleep(_LOOK)
    return FollowArrival(
        follow=follow.job,
        run=follow.run,
        index=follow.index,
        confirmed=not why,
        waited_seconds=round(time.monotonic() - begun, 1),
        answered=answered or why == "it has ended",
        settled_through=last or None,
        isolated=isolated,
        why=why,
    )


def with_given_up(ledger: Ledger, follow: Follow, arrival: FollowArrival, since: datetime) -> FollowArrival:
    """The same, not confirmed where the follow has given up records since then that are open yet."""
    given_up = sum(entry.at >= since for entry in ledger.failures.open(follow.job, follow.run))
    if not given_up:
        return arrival
    listed = f"{some(given_up, 'record')} given up there, see `reindexer failures {follow.job}`"
    why = f"{arrival.why}, and {listed}" if arrival.why else listed
    return arrival.model_copy(update={"given_up": given_up, "confirmed": False, "why": why})


async def _asked(ask: Ask) -> JobStatus | None:
    """None: the server does not answer now."""
    try:
        return await ask()
    except RPCError as error:
        if error.status not in _PASSING:
            raise
        return None


def _pending(progress: JobProgress, passed: bool) -> str:
    """Why what was written is not confirmed yet; "" where it is."""
    state = progress.state + (f": {progress.reason}" if progress.reason else "")
    if not passed:
        return f"it has not come that far ({state})"
    if not progress.drained:
        return f"readers do not have its index yet ({state})"
    if progress.isolated:
        return f"{some(progress.isolated, 'record')} still being tried again ({state})"
    return ""
