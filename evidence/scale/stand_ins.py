"""What replaces DynamoDB and the ledger in a simulation of days: the root is the real one.

Its shards take the time they are given, hand back and acknowledge as real ones do, and say where they are to a
world that the stand-in of `look` reads. Nothing is written anywhere.
"""

from __future__ import annotations

import contextlib
import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from temporalio import activity, workflow
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from reindexer.operations.touch import TOUCH

with workflow.unsafe.imports_passed_through():
    from reindexer.models import (
        Attributes,
        Behind,
        BehindInput,
        ClearKeptInput,
        Control,
        Counts,
        CycleBounds,
        HandBack,
        KeyAttribute,
        Limits,
        LockInput,
        Looked,
        LookInput,
        Plan,
        PlanInput,
        ReportInput,
        Seen,
        Segment,
        ShardInput,
        ShardReport,
        ShardState,
        ShardSummary,
        Situation,
        TableFacts,
        Target,
        Verification,
    )
    from reindexer.tally import Tally

#: Records a shard changes a second, and reads a second when it verifies.
_RATE = 100


@dataclass
class World:
    """How the simulated shards do. `seconds`: of work for each; `throttles`: when a shard is throttled."""

    shards: int
    seconds: float
    in_flight: int
    throttles: str = "none"
    places: dict[str, Counts] = field(default_factory=dict)
    begun: dict[str, float] = field(default_factory=dict)
    dice: random.Random = field(default_factory=lambda: random.Random(7))  # the same ones each time

    def throttled(self, index: int, now: float) -> bool:
        """Half of them in turn, all of them every other hour, or a few at random."""
        if self.throttles == "in turn":
            return int(now / 3 + index) % 2 == 0
        if self.throttles == "all by the hour":
            return int(now / 3600) % 2 == 0
        if self.throttles == "at random":
            return self.dice.random() < 0.3
        return False


WORLD: dict[str, World] = {}  # by workflow id of the job


@workflow.defn(name="ReindexShard")
class StandIn:
    """A shard that takes its time."""

    @workflow.init
    def __init__(self, request: ShardInput) -> None:
        self._request, self._control = request, request.control
        self._acknowledged = -1

    @workflow.signal
    def control(self, *args: Any) -> None:
        """As of a real shard."""
        control = Control.model_validate(args[0])
        if control.seq > self._control.seq:
            self._control = control

    @property
    def _leaving(self) -> bool:
        return self._control.stop or self._control.cycle > self._request.cycle

    @workflow.run
    async def run(self, request: ShardInput) -> HandBack:
        """Works for its seconds, not counting pauses."""
        world = WORLD[request.job]
        done = float(request.state.rounds)  # seconds of work so far
        whole = world.seconds * (0.5 + (request.index * 37 % 100) / 100)  # skewed, as segments are
        while done < whole and not self._leaving:
            if self._control.paused:
                await self._acknowledge()
                continue
            began = workflow.time()
            self._say(done)
            with contextlib.suppress(TimeoutError):
                await workflow.wait_condition(
                    lambda: self._leaving or self._control.paused, timeout=timedelta(seconds=whole - done)
                )
            done += workflow.time() - began
        self._say(done)
        counts = self._counts(done)
        state = ShardState(
            tally=counts.tally, checked=counts.checked, rounds=int(done), done=done >= whole, cursor=_KEY
        )
        how = "done" if state.done else "cancelled" if self._control.stop else "yielded"
        summary = ShardSummary(counts=counts, rounds=int(done))
        WORLD[request.job].begun.pop(self._name, None)
        return HandBack(how=how, summary=summary, state=None if state.done else state)

    async def _acknowledge(self) -> None:
        if self._acknowledged != self._control.paused_since:
            self._acknowledged = self._control.paused_since
            report = ShardReport(
                index=self._request.index,
                acknowledged=self._acknowledged,
                situation=Situation(state="paused"),
            )
            parent = workflow.info().parent
            assert parent is not None
            await workflow.get_external_workflow_handle(parent.workflow_id).signal("shard_report", report)
        seq = self._control.seq
        await workflow.wait_condition(lambda: self._leaving or self._control.seq != seq)

    @property
    def _name(self) -> str:
        return workflow.info().workflow_id.rsplit("/", 1)[-1]

    def _counts(self, done: float) -> Counts:
        records = int(done) * _RATE
        if self._request.verifying:
            return Counts(checked=Verification(scanned=records))
        return Counts(tally=Tally(scanned=records, updated=records))

    def _say(self, done: float) -> None:
        if not workflow.unsafe.is_replaying():
            world = WORLD[self._request.job]
            world.places[self._name] = self._counts(done)
            world.begun[self._name] = workflow.time()


_KEY = {"id": {"S": "row-000000000001"}}


class StandInActivities:
    """All that the root calls. Time is the environment's: `now` gives it."""

    def __init__(self, now: Any) -> None:
        self._now = now

    @activity.defn(name="make_plan")
    async def make_plan(self, request: PlanInput) -> Plan:
        """Of a table of as many segments as the world has shards."""
        world = WORLD[request.workflow_id]
        arn = "arn:aws:dynamodb:eu-central-1:000000000000:table/simulated"
        rows = int(world.shards * world.seconds * _RATE)
        return Plan(
            run=request.run,
            target=Target(
                table="simulated",
                table_arn=arn,
                table_id="id",
                key=[KeyAttribute(name="id", type="S")],
                attributes=Attributes(),
                version=7,
                stamp=request.run,
                writer="partiql",
            ),
            verb=TOUCH,
            facts=TableFacts(account="0", region="eu-central-1", items=rows, size_bytes=rows * 500),
            limits=Limits(
                read_units_per_second=4000.0,
                write_units_per_second=8000.0,
                records_per_second="unlimited",
                shards_in_flight=world.in_flight,
            ),
            isolation="batch",
            sources=[Segment(segment=number, total=world.shards) for number in range(world.shards)],
            cycle=CycleBounds(),
        )

    @activity.defn(name="registered_search_attributes")
    async def registered_search_attributes(self) -> list[str]:
        """None."""
        return []

    @activity.defn(name="look")
    async def look(self, request: LookInput) -> Looked:
        """As the real one, of the world."""
        if request.seconds and activity.info().attempt == 1:
            delay = timedelta(seconds=request.seconds)
            benign = ApplicationErrorCategory.BENIGN
            raise ApplicationError("later", type="NotYet", next_retry_delay=delay, category=benign)
        world, now = WORLD[request.job], await self._now()
        shards = {}
        for index, name in request.names.items():
            if name not in world.begun:
                continue
            seconds = max(0.0, now - world.begun[name])
            throttled = world.throttled(index, now)
            records = int(seconds * (_RATE // 10 if throttled else _RATE))
            state = "throttled" if throttled else "running"
            shards[index] = Seen(
                situation=Situation(state=state, summary=ShardSummary(counts=world.places[name])),
                running=Counts(
                    tally=Tally(scanned=records, updated=records),
                    read_units=records / 8,
                    write_units=float(records),
                ),
            )
        return Looked(at=datetime.fromtimestamp(now, UTC), shards=shards)

    @activity.defn(name="take_lock")
    async def take_lock(self, request: LockInput) -> None:
        """Free."""

    @activity.defn(name="release_lock")
    async def release_lock(self, request: LockInput) -> None:
        """Given back."""

    @activity.defn(name="record_version")
    async def record_version(self, request: ReportInput) -> None:
        """Kept nowhere."""

    @activity.defn(name="write_report")
    async def write_report(self, request: ReportInput) -> None:
        """Kept nowhere."""

    @activity.defn(name="collect_behind")
    async def collect_behind(self, request: BehindInput) -> Behind:
        """Nothing was behind."""
        return Behind(kept=0, lists=[])

    @activity.defn(name="clear_kept")
    async def clear_kept(self, request: ClearKeptInput) -> None:
        """Nothing was kept."""

    @property
    def all(self) -> list[Any]:
        return [
            self.make_plan,
            self.registered_search_attributes,
            self.look,
            self.take_lock,
            self.release_lock,
            self.record_version,
            self.write_report,
            self.collect_behind,
            self.clear_kept,
        ]
