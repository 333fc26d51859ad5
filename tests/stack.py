"""The stack as tests want it: quick to notice what happens, behind the fault proxy."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from temporalio.client import WorkflowHandle

from testbed.faults import FaultPlan
from testbed.stack import QUICK, Stack, stack
from tests import forked

CHECKOUT = Path(__file__).resolve().parent.parent

SETTINGS = {
    **QUICK,
    "REINDEXER_GRACEFUL_SHUTDOWN_SECONDS": "5",  # of the 25 that a stop may take
    "REINDEXER_LOOK_SECONDS": "0.5",  # what `progress` says is no older
}


def quick_stack(
    folder: Path,
    queue: str,
    settings: Mapping[str, str] | None = None,
    *,
    faults: FaultPlan | None = FaultPlan(),  # noqa: B008 – frozen
    **options: Any,
) -> AbstractContextManager[Stack]:
    """`testbed.stack.stack` with the settings of tests, and a proxy unless `faults` is None."""
    chosen = {**SETTINGS, "REINDEXER_TASK_QUEUE": queue, **(settings or {})}
    return stack(folder, settings=chosen, faults=faults, command=forked.start, **options)


async def events(handle: WorkflowHandle[Any, Any]) -> AsyncIterator[Any]:
    """The events of one run's history."""
    async for event in handle.fetch_history_events():
        yield event
