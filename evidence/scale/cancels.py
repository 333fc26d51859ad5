"""Cancelling at any moment: the report says what the table says."""

from __future__ import annotations

import asyncio
import contextlib
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from temporalio.client import WorkflowFailureError, WorkflowHandle

import evidence.exactness.jobs
from evidence.exactness.tables import rows as rows_of
from evidence.scale.tables import fill
from reindexer.dynamo.client import make_client
from testbed.faults import Fault, FaultKind, FaultPlan
from testbed.stack import Stack, stack

_ROWS = 2500
_LATEST = 8.0  # seconds; some of the jobs are done by then
#: What is cancelled, in turn: records in batches, each on its own, deletions, a reading, a dry run.
_JOBS: tuple[dict[str, Any], ...] = (
    {},
    {"isolation": "record"},
    {"operation": {"kind": "transform", "job": "weed"}, "allow_no_recovery": True},
    {"operation": {"kind": "verify", "version": 7}},
    {"operation": {"kind": "transform", "job": "weed"}, "allow_no_recovery": True, "dry_run": True},
)
#: One write in ten fails one way or another; answers are slow enough for a job of seconds.
_FAULTS = FaultPlan(
    faults=(
        Fault(kind=FaultKind.SLOW, seconds=0.15, operations="data"),
        *(
            Fault(kind=kind, probability=0.025, operations="writes")
            for kind in (
                FaultKind.SERVER_ERROR_APPLIED,
                FaultKind.CUT_APPLIED,
                FaultKind.THROTTLE,
                FaultKind.STATEMENT_THROTTLE,
            )
        ),
    )
)


@dataclass(frozen=True)
class Try:
    """One job that was cancelled. `state` is what `progress` said at that moment."""

    job: str
    moment: float
    state: str
    table: dict[str, int]  # rows `updated` and `deleted` by the run, as the table shows
    tally: dict[str, int]  # of the report; empty: it was cancelled before it had begun
    warnings: list[str]

    @property
    def exact(self) -> bool:
        """Whether the report agrees with the table."""
        return all(self.tally.get(name, 0) == count for name, count in self.table.items())


async def cancels(folder: Path, tries: int) -> list[Try]:
    """So many jobs, each cancelled at a moment drawn from a seed; some shards have continued as new by then."""
    dice = random.Random(11)  # the same moments each time
    settings = {
        "REINDEXER_JOBS": str(Path(evidence.exactness.jobs.__file__).parent),
        "REINDEXER_ROUND_SECONDS": "1",
        "REINDEXER_CONTINUE_AFTER_EVENTS": "15",
        "REINDEXER_LOOK_SECONDS": "0.5",
    }
    with (
        stack(folder, faults=FaultPlan(), settings=settings) as servers,
        servers.surroundings(),
        servers.workers as workers,
    ):
        workers.come_up()
        return [await _one(servers, number, dice.uniform(0.0, _LATEST)) for number in range(tries)]


async def _one(servers: Stack, number: int, moment: float) -> Try:
    table, job = f"cancelled-{number}", _JOBS[number % len(_JOBS)]
    rows = 300 if job.get("isolation") else _ROWS  # each an activity of its own
    fill(make_client(lean=False), table, rows)
    servers.proxy.set_plan(_FAULTS)
    handle = await servers.start({"table": table, "total_segments": 6, **job}, f"cancel-{number}")
    while number // len(_JOBS) % 4 and await _state(handle) not in ("running", "verifying", "done"):
        await asyncio.sleep(0.05)  # three of four are past planning, however slow the machine
    await asyncio.sleep(moment)
    state = await _state(handle)
    await handle.cancel()
    with contextlib.suppress(WorkflowFailureError):  # cancelled; or done before, with rows behind
        await handle.result()
    servers.proxy.set_plan(FaultPlan())
    await asyncio.sleep(0.5)  # a write whose answer was cut may still have been on its way
    report = await asyncio.to_thread(servers.ledger().reports.find, handle.id)
    left = list(rows_of(make_client(lean=False), table))
    stamped = sum(row.get("reindexRun", {}).get("S") == (report.run if report else "") for row in left)
    return Try(
        job="dry run"
        if job.get("dry_run")
        else job.get("isolation") or job.get("operation", {"kind": "touch"})["kind"],
        moment=moment,
        state=state,
        table={"updated": stamped, "deleted": rows - len(left)},
        tally=report.tally.model_dump() if report else {},
        warnings=report.warnings if report else [],
    )


async def _state(handle: WorkflowHandle[Any, Any]) -> str:
    """What `progress` says; before its first workflow task there is nothing to be asked."""
    try:
        return str((await handle.query("progress"))["state"])
    except Exception as error:
        return type(error).__name__
