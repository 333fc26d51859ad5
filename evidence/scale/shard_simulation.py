"""One real shard for days, in Temporal's time-skipping environment: its rounds and the ledger are stand-ins.

Its keys are as long as DynamoDB's may be, so that its state never fits what a shard hands back by itself.
"""

from __future__ import annotations

import base64
import time
from dataclasses import dataclass, field
from typing import Any

from temporalio import activity
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from evidence.scale.histories import RunOf, chain
from reindexer.connect import DATA_CONVERTER
from reindexer.models import (
    Attributes,
    Control,
    HandBack,
    Isolated,
    KeepInput,
    Kept,
    KeyAttribute,
    Progress,
    QuarantineInput,
    RecordInput,
    RecordResult,
    RoundInput,
    RoundResult,
    Segment,
    ShardInput,
    ShardState,
    Stop,
    Target,
    Unconfirmed,
)
from reindexer.tally import Attempts, Tally
from testbed.obtain import obtain
from workflows.reindex_shard import ReindexShard

_QUEUE = "shard-simulation"
_RECORDS = 3000  # a round, 100 a second
_NAME = "simulated/run/shard-000"


@dataclass
class Ledger:
    """Replaces rounds, records and the ledger.

    Every 50th round finds no capacity, every 20th isolates five records, of which one is given up.
    """

    env: WorkflowEnvironment
    rounds: int
    done: int = 0
    kept: dict[int, ShardState] = field(default_factory=dict)

    @activity.defn(name="reindex_round")
    async def reindex_round(self, request: RoundInput) -> RoundResult:
        """Takes its time slice."""
        await self.env.sleep(request.seconds)
        self.done += 1
        cursor = _key(self.done)
        if self.done % 50 == 0:
            attempts = Attempts(throttled=25)
            progress = Progress(cursor=request.cursor, attempts=attempts)
            return RoundResult(progress=progress, stop=Stop.THROTTLED, throttle="partition")
        isolated = [_isolated(self.done, n) for n in range(5)] if self.done % 20 == 0 else []
        tally = Tally(scanned=_RECORDS, updated=_RECORDS - len(isolated))
        stop = Stop.DONE if self.done >= self.rounds else Stop.SLICE
        sent = Unconfirmed(key=_key(10**9 + self.done))
        progress = Progress(cursor=cursor, tally=tally, isolated=isolated, unconfirmed=[sent])
        return RoundResult(progress=progress, stop=stop)

    @activity.defn(name="reindex_record")
    async def reindex_record(self, request: RecordInput) -> RecordResult:
        """Goes through, but for one in five."""
        if "4" in request.record.message:
            return RecordResult(outcome=None, record=request.record.model_copy(update={"given_up": True}))
        return RecordResult(outcome="updated", record=request.record)

    @activity.defn(name="quarantine_record")
    async def quarantine_record(self, request: QuarantineInput) -> RecordResult:
        """Listed nowhere."""
        return RecordResult(outcome="quarantined", record=request.record)

    @activity.defn(name="keep_state")
    async def keep_state(self, request: KeepInput) -> None:
        """In memory."""
        self.kept[request.kept.number] = request.state

    @activity.defn(name="load_state")
    async def load_state(self, kept: Kept) -> ShardState:
        """From there."""
        return self.kept[kept.number]

    @property
    def all(self) -> list[Any]:
        return [
            self.reindex_round,
            self.reindex_record,
            self.quarantine_record,
            self.keep_state,
            self.load_state,
        ]


@dataclass(frozen=True)
class SimulatedShard:
    """What became of it. `kept`: how often its state went through the ledger."""

    days: float
    seconds: float
    rounds: int
    kept: int
    back: HandBack
    runs: list[RunOf] = field(repr=False)


async def simulate_shard(days: float, round_seconds: float = 30.0) -> SimulatedShard:
    """A shard of this many days of rounds."""
    path = obtain("test-server").command[0]
    async with await WorkflowEnvironment.start_time_skipping(
        test_server_existing_path=path, data_converter=DATA_CONVERTER
    ) as env:
        ledger = Ledger(env, rounds=int(days * 86_400 / round_seconds))
        async with Worker(env.client, task_queue=_QUEUE, workflows=[ReindexShard], activities=ledger.all):
            began, first = time.monotonic(), await env.get_current_time()
            handle = await env.client.start_workflow(
                ReindexShard.run, _request(round_seconds), id=_NAME, task_queue=_QUEUE
            )
            back = await handle.result()
            last = await env.client.get_workflow_handle(_NAME).describe()
            runs = await chain(env.client, _NAME, last.run_id)
            took = ((await env.get_current_time()) - first).total_seconds() / 86_400
    return SimulatedShard(took, time.monotonic() - began, ledger.done, len(ledger.kept), back, runs)


def _request(round_seconds: float) -> ShardInput:
    return ShardInput(
        job="simulated",
        run="run",
        index=0,
        target=Target(
            table="simulated",
            table_arn="arn:aws:dynamodb:eu-central-1:000000000000:table/simulated",
            table_id="id",
            key=[KeyAttribute(name="tenant", type="B"), KeyAttribute(name="place", type="B")],
            attributes=Attributes(),
            version=7,
            stamp="run",
            writer="partiql",
        ),
        source=Segment(segment=0, total=1),
        isolation="batch",
        heartbeat_timeout=60.0,  # rounds do not heartbeat here
        control=Control(),
        rounds_queue=_QUEUE,
        round_seconds=round_seconds,
    )


def _key(number: int) -> dict[str, dict[str, str]]:
    """2,048 and 1,024 bytes: DynamoDB's longest."""
    long, short = number.to_bytes(8, "big") * 256, number.to_bytes(8, "big") * 128
    return {
        "tenant": {"B": base64.b64encode(long).decode()},
        "place": {"B": base64.b64encode(short).decode()},
    }


def _isolated(round_: int, number: int) -> Isolated:
    return Isolated(key=_key(round_ * 100 + number), error="Hot", message=f"record {number} is hot")
