"""Keeping the histories of real runs: what every recorded job needs."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

from testbed.stack import Stack
from tests.stack import CHECKOUT
from tests.tables import Table, create_table

HISTORIES = Path(__file__).parent / "histories"
MAX_RUNS = 4  # of one workflow that are kept: the others show nothing else


def write(name: str, history: Any) -> None:
    """Without the paths of the machine it was recorded on."""
    (HISTORIES / f"{name}.json").write_text(history.to_json().replace(f"{CHECKOUT}/", ""))


async def keep(name: str, stack: Stack, handle: Any, *shards: str) -> None:
    """The root's history and those of some shards, by the ends of their ids; of each the first runs."""
    run = (await handle.query("progress"))["run"]
    await keep_runs(name, stack, handle.id)
    for shard in shards or ("shard-000",):
        await keep_runs(f"{name}-{shard}", stack, f"{handle.id}/{run}/{shard}")


async def keep_runs(name: str, stack: Stack, workflow_id: str) -> None:
    """Each run of one workflow's chain, the first one first."""
    client = await stack.connect()
    listed = [run async for run in client.list_workflows(f'WorkflowId="{workflow_id}"')]
    assert listed, workflow_id
    runs = sorted(listed, key=lambda run: run.start_time)
    for number, run in enumerate(runs[:MAX_RUNS]):
        history = await client.get_workflow_handle(run.id, run_id=run.run_id).fetch_history()
        write(f"{name}-{number}" if len(runs) > 1 else name, history)


def table(client: Any, rows: int, **how: Any) -> Table:
    made = create_table(client, **how)
    made.fill(rows)
    return made


def kill(stack: Stack) -> None:
    """Every worker process, or the one that is killed may have no round."""
    for pid in stack.workers.children():
        os.kill(pid, signal.SIGKILL)
