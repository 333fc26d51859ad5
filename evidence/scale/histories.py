"""What the runs of a workflow's chain came to: events, signals, bytes, and how long they take to replay."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowHistory
from temporalio.worker import Replayer

from reindexer.connect import DATA_CONVERTER
from workflows.reindex_shard import ReindexShard
from workflows.reindex_table import ReindexTable

#: Bounds of every run of the root: a fifth of the events and signals at which the server refuses or terminates.
MAX_EVENTS, MAX_SIGNALS, MAX_BYTES = 10_000, 2_000, 8 * 1024 * 1024
#: Seconds in which the largest run must replay: what a worker's restart adds to a pause.
MAX_REPLAY_SECONDS = 3.0


@dataclass(frozen=True)
class RunOf:
    """One run of a chain. `bytes`: of its events as the server sends them."""

    number: int
    events: int
    signals: int
    bytes: int
    history: WorkflowHistory

    def replay_seconds(self) -> float:
        """Seconds of CPU that a worker takes which has never seen it. Raises where it does not replay.

        Of CPU, so that the figure is the same on a busy machine: a replay waits for nothing.
        """

        async def replay() -> float:
            replayer = Replayer(workflows=[ReindexTable, ReindexShard], data_converter=DATA_CONVERTER)
            began = time.process_time()
            await replayer.replay_workflow(self.history)
            return time.process_time() - began

        return asyncio.run(replay())


async def chain(client: Client, workflow_id: str, last_run_id: str) -> list[RunOf]:
    """Every run of a chain, the first one first, by what each says of the one before."""
    runs: list[RunOf] = []
    run_id = last_run_id
    while run_id:
        history = await client.get_workflow_handle(workflow_id, run_id=run_id).fetch_history()
        started = history.events[0].workflow_execution_started_event_attributes
        runs.append(
            RunOf(
                number=0,
                events=len(history.events),
                signals=sum(
                    event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED
                    for event in history.events
                ),
                bytes=sum(event.ByteSize() for event in history.events),
                history=history,
            )
        )
        run_id = started.continued_execution_run_id
    return [
        RunOf(number, run.events, run.signals, run.bytes, run.history)
        for number, run in enumerate(reversed(runs))
    ]
