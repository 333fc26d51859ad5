"""A job of two shards that changes nothing: a stand-in for the root, to try commands on the runs of a chain.

Shard 0 is done at once, shard 1 runs until the root cycles or ends.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.exceptions import ApplicationError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from reindexer.models import (
    Attributes,
    Carried,
    Counts,
    HandBack,
    JobProgress,
    KeyAttribute,
    Limits,
    Looked,
    Plan,
    Progress,
    RunCarried,
    Segment,
    ShardCarried,
    ShardSummary,
    Situation,
    TableFacts,
    Target,
)
from reindexer.operations.touch import TOUCH
from reindexer.tally import Tally
from tests.reports import a_report

RUN = "stamp00001"
#: Records per second that `set_limits` rejects, and that a job's first run never answers.
WRONG, SLOW = 13, 1
#: Cycles after which a root ends by itself, where no one tells it to.
MAX_CYCLES = 200
ARN = "arn:aws:dynamodb:us-east-1:123456789012:table/cities"


def a_plan(run: str = RUN) -> Plan:
    target = Target(
        table="cities",
        table_arn=ARN,
        table_id="id",
        key=[KeyAttribute(name="id", type="S")],
        attributes=Attributes(),
        version=7,
        stamp=run,
        writer="partiql",
    )
    return Plan(
        run=run,
        target=target,
        verb=TOUCH,
        facts=TableFacts(account="123456789012", region="us-east-1", items=500, size_bytes=1),
        limits=Limits(),
        isolation="batch",
        sources=[Segment(segment=0, total=2), Segment(segment=1, total=2)],
    )


def an_account(scanned: int) -> ShardSummary:
    return ShardSummary(counts=Counts(tally=Tally(scanned=scanned, updated=scanned)))


@activity.defn(name="make_plan")
async def make_plan(run: str) -> Plan:
    return a_plan(run)


@activity.defn(name="reindex_round")
async def reindex_round(_index: int) -> None:
    while True:
        activity.heartbeat(Progress(tally=Tally(scanned=7, updated=7)))
        await asyncio.sleep(0.1)


@workflow.defn(name="ReindexShard")
class Shard:
    def __init__(self) -> None:
        self._yielded = False

    @workflow.signal
    def control(self) -> None:
        self._yielded = True

    @workflow.run
    async def run(self, index: int) -> HandBack:
        """Index 0 has nothing left to do."""
        if index == 0:
            return HandBack(how="done", summary=an_account(100))
        workflow.upsert_memo({"shard": Situation(summary=an_account(20)).model_dump(mode="json")})
        round_ = workflow.start_activity(
            "reindex_round",
            index,
            start_to_close_timeout=timedelta(minutes=5),
            heartbeat_timeout=timedelta(seconds=5),
        )
        await workflow.wait_condition(lambda: self._yielded)
        round_.cancel()
        return HandBack(how="yielded", summary=an_account(27))


@workflow.defn(name="ReindexTable")
class Root:
    """Its input: `run`, the stamp; `shards`, whether it has any; `seconds`, after which it cycles by itself."""

    @workflow.init
    def __init__(self, asked: dict[str, Any], carried: Carried | None = None) -> None:
        self._asked = asked
        self._plan = carried.run.plan if carried else None
        self._cycle = carried.run.cycle if carried else 0
        self._started_at = carried.run.started_at if carried else workflow.info().workflow_start_time
        self._paused = carried.run.paused_for if carried else ""
        limits = carried.run.limits.model_dump(exclude_unset=True) if carried else {}
        self._limits: dict[str, Any] = limits
        self._cycles = self._ends = False

    @workflow.signal
    def cycle(self) -> None:
        self._cycles = True

    @workflow.signal
    def finish(self) -> None:
        self._ends = True

    @workflow.signal
    def pause(self, given: dict[str, Any]) -> None:
        self._paused = given["reason"]

    @workflow.update(unfinished_policy=workflow.HandlerUnfinishedPolicy.ABANDON)
    async def set_limits(self, change: dict[str, Any]) -> dict[str, Any]:
        if change.get("records_per_second") == SLOW and self._cycle == 0:
            await workflow.sleep(timedelta(minutes=1))
        self._limits |= change
        return {**self._limits, "cycle": self._cycle}

    @set_limits.validator
    def _check(self, change: dict[str, Any]) -> None:
        if change.get("records_per_second") == WRONG:
            raise ValueError("records_per_second: not so many")

    @workflow.query
    def progress(self, *looked: Any) -> JobProgress:
        seen = Looked.model_validate(looked[0]).shards.values() if looked else []
        live = sum((one.situation.summary.counts + one.running for one in seen), Counts())
        return JobProgress(
            state="paused" if self._paused else "running",
            reason=self._paused,
            tally=live.tally,
            limits=Limits(**self._limits),
            cycle=self._cycle,
            started_at=self._started_at.isoformat(),
        )

    @workflow.run
    async def run(self, asked: dict[str, Any], carried: Carried | None = None) -> dict[str, Any]:
        if self._plan is None:
            self._plan = await workflow.execute_activity(
                "make_plan",
                asked.get("run", RUN),
                result_type=Plan,
                start_to_close_timeout=timedelta(seconds=9),
            )
        shards = {shard.index: shard for shard in carried.run.shards} if carried else {}
        wanted = [index for index in range(2) if asked.get("shards")]
        children = {n: await self._start(n) for n in wanted if not (n in shards and shards[n].done)}
        seconds = asked.get("seconds")
        with contextlib.suppress(asyncio.TimeoutError):
            await workflow.wait_condition(lambda: self._cycles or self._ends, timeout=seconds)
        for index, child in children.items():
            with contextlib.suppress(ApplicationError):  # it has ended
                await child.signal("control")
            back = await child
            shards[index] = ShardCarried(
                index=index, phase="running", summary=back.summary, done=back.how == "done"
            )
        if not self._ends and self._cycle < MAX_CYCLES:
            workflow.continue_as_new(args=[asked, self._carried(list(shards.values()))])
        return a_report(job=workflow.info().workflow_id, run=self._plan.run).model_dump(mode="json")

    async def _start(self, index: int) -> workflow.ChildWorkflowHandle[Any, HandBack]:
        assert self._plan is not None
        return await workflow.start_child_workflow(
            Shard.run, index, id=f"{workflow.info().workflow_id}/{self._plan.run}/shard-{index:03d}"
        )

    def _carried(self, shards: list[ShardCarried]) -> Carried:
        assert self._plan is not None
        return Carried(
            run=RunCarried(
                cycle=self._cycle + 1,
                started_at=self._started_at,
                plan=self._plan,
                limits=Limits(**self._limits),
                phase="running",
                control_seq=0,
                paused_for=self._paused,
                shards=shards,
            )
        )


@asynccontextmanager
async def working(client: Client, queue: str) -> AsyncIterator[None]:
    """A worker for stand-ins, in this process."""
    async with Worker(
        client,
        task_queue=queue,
        workflows=[Root, Shard],
        activities=[make_plan, reindex_round],
        workflow_runner=UnsandboxedWorkflowRunner(),
        max_heartbeat_throttle_interval=timedelta(seconds=0.2),
        graceful_shutdown_timeout=timedelta(seconds=0),
    ):
        yield
