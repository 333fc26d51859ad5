"""Follows of a table: which of them run, and how far they have carried what a job wrote."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from temporalio.service import RPCError, RPCStatusCode

from reindexer.ledger import Ledger
from reindexer.models import FollowArrival, JobProgress, Report
from reindexer.words import some

if TYPE_CHECKING:
    from temporalio.client import Client

FOLLOW_TYPE = "FollowTable"
#: Seconds between two questions: each looks at the follow's open shards, a handful once its scan is done.
_LOOK = 1.0
#: Transient errors: a server that restarts is asked again until time is up.
_PASSING = frozenset((RPCStatusCode.UNAVAILABLE, RPCStatusCode.DEADLINE_EXCEEDED, RPCStatusCode.CANCELLED))


@dataclass(frozen=True)
class Follow:
    """One that runs. `index`: what it writes to."""

    job: str
    run: str
    index: str


@dataclass(frozen=True)
class FollowSeen:
    """What is known of a follow now. `progress` None: no worker answers."""

    progress: JobProgress | None
    ended: bool = False


#: What asks for the state of a follow.
Ask = Callable[[], Awaitable[FollowSeen]]


async def follows_of(client: Client, ledger: Ledger, table: str, table_arn: str) -> list[Follow]:
    """Those of the table that run and have begun, by what the ledger knows of them.

    Raises `RPCError`, and what the ledger raises.
    """
    # Visibility's own order is newest first, so that a run that has handed over comes after the next one.
    listed = client.list_workflows(f"WorkflowType = '{FOLLOW_TYPE}' AND ExecutionStatus != 'ContinuedAsNew'")
    found, seen = list[Follow](), set[str]()
    async for run in listed:
        if run.id in seen:
            continue
        seen.add(run.id)
        # Without search attributes, which `setup` registers, the ledger alone says which table it is.
        names = run.search_attributes.get("ReindexTable") or [table]
        if run.close_time is not None or names[0] != table:
            continue
        report = await asyncio.to_thread(ledger.reports.find, run.id)
        if report is not None and report.state == "running" and report.table_arn == table_arn:
            found.append(Follow(run.id, report.run, _written(report)))
    return found


def _written(report: Report) -> str:
    """What a follow writes to: an index, or a replica."""
    if report.index is not None:
        return report.index.index
    to = report.operation.get("to", {})
    alias = to.get("alias")  # readers do not have its index yet: a first one is called by its epoch
    return f"{alias}-{report.version}" if alias else str(to.get("table", report.operation.get("kind")))


async def watched(
    ask: Ask, follow: Follow, until: datetime, seconds: float, heartbeat: Callable[[], None] = lambda: None
) -> FollowArrival:
    """Whether all that changed up to then is settled there within that many seconds, and readers have it.

    `heartbeat` is called before each question. Records that were given up are not looked for: they are in the
    ledger. Raises `RPCError`.
    """
    begun, passed, last, answered = time.monotonic(), False, "", False
    why, isolated = "no worker answers", 0
    while True:
        heartbeat()
        seen = await _asked(ask)
        if seen is not None and seen.ended:
            why = "it has ended"
            break
        if seen is not None and seen.progress is not None:
            answered, progress = True, seen.progress
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


async def _asked(ask: Ask) -> FollowSeen | None:
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
