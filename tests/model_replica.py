"""A table in memory, its stream, and a second one in memory that rounds of `replicate` write.

Whatever the rounds are made to meet, the replica tells if a stored order falls or an order lands twice.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from reindexer.dynamo.table import TableClient
from reindexer.items import GONE, NAMES, OF_COPIES, ORDER
from reindexer.models import (
    Control,
    Lineages,
    OlderSegment,
    OtherTable,
    Replicate,
    ShardInput,
    Source,
    Target,
)
from reindexer.rounds.pending_write import Patience
from reindexer.streams.client import StreamCalls
from reindexer.streams.order import floor_of
from reindexer.table_rounds import Second
from tests.driving import PATIENCE, SEGMENT, UNLIMITED, ShardOfTwo, target
from tests.immediate_executor import ImmediateExecutor
from tests.model_conditions import Holds, condition
from tests.model_followed import ImageStream, key_of
from tests.model_statements import Statement
from tests.model_stream import KEYS, NOON, begun
from tests.model_table import Clock, Identity, Item, ModelTable, Plan
from workflows.shard.running_shard import RunningShard

FLOOR = floor_of(7)  # the epoch of the model's target
STAMP = {"reindexVersion": {"N": "7"}, "reindexRun": {"S": "an-earlier-run"}}
LEFT_OUT = (*STAMP, *OF_COPIES)
SWEEP = OlderSegment(segment=0, total=1)


@dataclass
class Placed(Statement):
    """A whole item, under a condition."""

    holds: Holds = lambda _: True


class ModelReplica(ModelTable):
    """It takes items, and updates of them."""

    def __init__(self, rows: Iterable[Item], world: Replicated) -> None:
        super().__init__(rows, name="r", clock=world.clock, plan=lambda _: world.plan(), page_rows=17)
        self.world = world
        self._one_by_one = threading.Lock()  # calls come side by side, and each write is atomic
        self.unspoken = set[Identity]()  # items that no statement of a batch takes
        self.landed: Counter[tuple[Identity, int]] = Counter()
        self.wrong: list[str] = []

    def put_item(self, **request: Any) -> Item:
        item = dict(request["Item"])
        key = {name: item.pop(name) for name in self.key_names}
        statement = Placed(key, item, holds=condition(request, "ConditionExpression"))
        with self._one_by_one:
            plan = self._begin("write", "PutItem", [statement])
            error = self._one(statement, plan, plan.statements.get(0))
        if error:
            raise self._single("PutItem", error)
        return {"ConsumedCapacity": {"CapacityUnits": 1.0}}

    def batch_execute_statement(self, **request: Any) -> Item:
        with self._one_by_one:
            return super().batch_execute_statement(**request)

    def delete_item(self, **_: Any) -> Item:
        raise AssertionError("a deletion leaves a mark, which nothing older passes")

    def scan(self, **asked: Any) -> Item:
        self.filter = condition(asked, "FilterExpression")
        return super().scan(**asked)

    def _others(self, plan: Plan) -> None:
        self.world.others(plan)

    def _one(self, statement: Statement, plan: Plan, fault: str | None) -> Item | None:
        if not isinstance(statement, Placed) and self.identity(statement.key) in self.unspoken:
            return {"Code": "ValidationError", "Message": "Statement wasn't well formed"}
        return super()._one(statement, plan, fault)

    def _apply(self, statement: Statement, *, answered: bool = False) -> bool:
        identity = self.identity(statement.key)
        before = self.rows.get(identity)
        if isinstance(statement, Placed):
            lands = statement.holds(before or {})
        elif statement.create:
            lands = before is None
        else:
            assert not statement.delete, "a deletion leaves a mark"
            lands = before is not None and self._holds(statement, before)
        if not lands:
            return False
        kept = {} if isinstance(statement, Placed) or statement.create else before or {}
        left = {name: value for name, value in kept.items() if name not in statement.removes}
        self.rows[identity] = {**left, **statement.key, **statement.sets}
        order = order_in(self.rows[identity])
        if before is not None and order_in(before) >= order:
            self.wrong.append(f"{identity} had order {order_in(before)}, and now {order}")
        self.landed[identity, order] += 1
        if not answered:
            self.behind_an_error.add(identity)
        return True


class _Read(ModelTable):
    """The table itself. Who writes to it while it is read is in its stream."""

    def __init__(self, rows: Iterable[Item], world: Replicated) -> None:
        super().__init__(rows, clock=world.clock, plan=lambda _: world.plan(), page_rows=17)
        self.world = world

    def _others(self, plan: Plan) -> None:
        self.world.others(plan)


class Replicated:
    """`schedule`: what each call meets, of either table."""

    def __init__(
        self,
        rows: Iterable[Item],
        there: Iterable[Item] = (),
        schedule: Sequence[Plan] = (),
        *,
        images: bool = True,
    ) -> None:
        self.clock, self._schedule, self.calls, self.written = Clock(), list(schedule), 0, 0
        self.table, self.replica = _Read(rows, self), ModelReplica(there, self)
        self.epoch = 7  # the last that the replica has had
        self.stream = ImageStream(carries_images=images)
        self.lineages = Lineages(stream_arn="arn", opened_at=NOON, reading=begun(self.stream).reading)

    def plan(self) -> Plan:
        """What the next call meets."""
        self.calls += 1
        return self._schedule[self.calls - 1] if self.calls <= len(self._schedule) else Plan()

    def meets(self, *calls: str | None) -> None:
        """Faults of the calls to come."""
        self._schedule = [Plan()] * self.calls + [Plan(call=call) for call in calls]

    def others(self, plan: Plan) -> None:
        """What other writers do to the table before a call."""
        for what, number in plan.writers:
            if what == "delete":
                self.delete(number % KEYS)
            else:
                self.put(number % KEYS)

    def put(self, key: int) -> None:
        """Each value is written once."""
        self.written += 1
        self._changed(key, row(key, self.written))

    def delete(self, key: int) -> None:
        """Of what is not there DynamoDB's stream says nothing."""
        if self.table.identity(key_of(key)) in self.table.rows:
            self._changed(key, None)

    def _changed(self, key: int, image: Item | None) -> None:
        identity = self.table.identity(key_of(key))
        self.stream.change(key, self.table.rows.pop(identity, None), image)
        if image is not None:
            self.table.rows[identity] = image

    @property
    def second(self) -> Second:
        client = TableClient(self.replica, "r")  # type: ignore[arg-type]
        return Second(
            client, stream=StreamCalls(self.stream, "arn", ImmediateExecutor()), epoch=lambda: self.epoch
        )

    def shard(
        self, source: Source = SEGMENT, patience: Patience = PATIENCE, how: str = "partiql"
    ) -> ReplicatingShard:
        """At its beginning: of the scan, of the sweep, or of the stream."""
        fields: dict[str, Any] = {
            "job": "job", "run": "run-1", "index": 0, "target": aimed(how), "isolation": "batch",
            "source": source, "heartbeat_timeout": 10.0, "control": Control(share=UNLIMITED),
        }  # fmt: skip
        running = RunningShard(ShardInput(**fields))
        seconds = 5.0 if isinstance(source, Lineages) else 30.0  # of following: it never ends by itself
        return ReplicatingShard(self.replica, running, patience, seconds, table=self.table, world=self)

    def differing(self) -> list[Identity]:
        """Keys of which the replica does not show what the table holds."""
        shown = {name: stripped(item) for name, item in self.replica.rows.items() if GONE not in item}
        held = {name: stripped(item) for name, item in self.table.rows.items()}
        return [name for name in sorted(shown.keys() | held.keys()) if shown.get(name) != held.get(name)]


@dataclass(kw_only=True)
class ReplicatingShard(ShardOfTwo):
    """A shard of the scan, of the sweep or of the stream."""

    world: Replicated

    @property
    def second(self) -> Second:
        return self.world.second


def aimed(how: str = "partiql") -> Target:
    """At the replica, at epoch 7."""
    left_out = list(STAMP)
    other = OtherTable(table="r", table_arn="arn:r", table_id="id", region="", left_out=left_out, ttl="until")
    operation = Replicate.model_validate({"kind": "replicate", "to": {"table": "r"}})
    return target(operation=operation, other=other, writer=how)


def row(key: int, n: int = 0) -> Item:
    """Of the table, with what earlier jobs have left in it. One written later may have other attributes."""
    others = [{}, {}, {}, {"odd": {"S": "o"}}, {"even": {"S": "e"}}][min(n, 3 + n % 2)]
    return {**key_of(key), "n": {"N": str(n)}, **others, **STAMP}


def copied(key: int, order: int | None, n: int = -1, *, gone: bool = False) -> Item:
    """A row that the replica has."""
    body: Item = {GONE: {"N": "5"}, "until": {"N": "5"}} if gone else {"n": {"N": str(n)}}
    return {**key_of(key), **body, **({} if order is None else {ORDER: {"N": str(order)}})}


def order_in(item: Item) -> int:
    """-1: none."""
    return int(item[ORDER]["N"]) if ORDER in item else -1


def unnamed(item: Item) -> Item:
    """Without the digest of its names."""
    return {name: value for name, value in item.items() if name != NAMES}


def stripped(item: Item) -> Item:
    """What of a row has to be equal."""
    return {name: value for name, value in item.items() if name not in LEFT_OUT}
