"""Two tables in memory of which one is repaired, and carrying its repair through rounds as the workflow does.

What a write needs to be right is checked when it is sent and when it lands, from the history of both tables.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from reindexer.answers import Action, CallFailed, Failure
from reindexer.dynamo.table import TableClient
from reindexer.items import from_json_key, to_json_key
from reindexer.models import (
    Control,
    FoundDifference,
    KeptDifferences,
    OtherTable,
    Repair,
    ShardInput,
    Target,
)
from reindexer.rounds.pending_write import Patience
from reindexer.table_rounds import Second
from tests.driving import PATIENCE, UNLIMITED, ShardOfTwo, target
from tests.model_statements import Statement
from tests.model_table import Clock, Identity, Item, Killed, ModelTable, Plan
from workflows.shard.running_shard import RunningShard

LEFT_OUT = ("reindexVersion", "reindexRun")
#: What only the other table has of a row: neither compared, copied nor removed.
ITS_OWN = {"reindexOrder": {"N": "1"}, "reindexVersion": {"N": "7"}}


def compared(item: Item | None) -> Item | None:
    """What of a row has to be equal; None: it counts as not there."""
    if item is None or "reindexGone" in item:
        return None
    return {name: value for name, value in item.items() if name not in (*LEFT_OUT, "reindexOrder")}


class Half(ModelTable):
    """One of the two. Its reads and every change are on one time line with the other's."""

    def __init__(self, rows: Sequence[Item], pair: TwoTables, name: str) -> None:
        super().__init__(rows, name=name, clock=pair.clock, plan=lambda _: pair.plan())
        self.pair = pair
        self.history: dict[Identity, list[tuple[int, Item | None]]] = defaultdict(lambda: [(0, None)])
        for identity, row in self.rows.items():
            self.history[identity] = [(0, row)]
        self.read_at: dict[Identity, int] = {}
        self.seen: dict[Identity, list[Item]] = defaultdict(list)
        self.done: dict[Identity, list[str]] = defaultdict(list)  # what our writes made of it

    def batch_get_item(self, *, RequestItems: Any, **more: Any) -> Item:
        assert more.get("ConsistentRead", RequestItems[self.name]["ConsistentRead"])
        answer = super().batch_get_item(RequestItems=RequestItems, **more)
        left = answer["UnprocessedKeys"].get(self.name, {}).get("Keys", [])
        for key in RequestItems[self.name]["Keys"]:
            if key not in left:
                self.read_at[self.identity(key)] = self.pair.moment
        for item in answer["Responses"][self.name]:
            self.seen[self.identity(item)].append(item)
        return answer

    def at(self, identity: Identity, since: int) -> list[Item | None]:
        """What the row was like at this moment, and ever since."""
        states = self.history[identity]
        first = max(place for place, (moment, _) in enumerate(states) if moment <= since)
        return [item for _, item in states[first:]]

    def _begin(self, what: str, operation: str, statements: list[Statement] | None = None) -> Plan:
        for statement in statements or []:
            self.pair.check_sent(self.identity(statement.key), statement)
        return super()._begin(what, operation, statements)

    def _others(self, plan: Plan) -> None:
        for what, number in plan.writers:
            self.pair.other_writer(what, number)

    def _apply(self, statement: Statement, *, answered: bool = False) -> bool:
        identity = self.identity(statement.key)
        before = self.rows.get(identity)
        applied = super()._apply(statement, answered=answered)
        after = self.rows.get(identity)
        if after is not before:
            self.pair.check_applied(identity, statement, before)
            kind = "created" if before is None else "removed" if after is None else "replaced"
            self.done[identity].append(kind)
            self.written(identity)
        return applied

    def put(self, identity: Identity, item: Item | None) -> None:
        """Another writer's."""
        self.rows.pop(identity, None)
        if item is not None:
            self.rows[identity] = item
        self.disturbed.add(identity)
        self.written(identity)

    def written(self, identity: Identity) -> None:
        """The row has changed."""
        self.pair.moment += 1
        self.history[identity].append((self.pair.moment, self.rows.get(identity)))


class TwoTables:
    """`schedule`: what each call meets, of either table and of the ledger."""

    def __init__(self, rows: Sequence[Item], others: Sequence[Item], schedule: Sequence[Plan] = ()) -> None:
        self.clock, self.moment = Clock(), 0
        self._schedule, self.calls = schedule, 0
        self.table, self.other = Half(rows, self, "t"), Half(others, self, "o")
        self.keys = sorted(self.table.rows.keys() | self.other.rows.keys())
        self.wrong: list[str] = []
        self.written = 0  # by other writers

    def plan(self) -> Plan:
        """What the next call meets."""
        self.calls += 1
        return self._schedule[self.calls - 1] if self.calls <= len(self._schedule) else Plan()

    def found(self) -> list[FoundDifference]:
        """What a comparison finds, by the order of the keys."""
        differences = []
        for identity in self.keys:
            one, two = (compared(half.rows.get(identity)) for half in (self.table, self.other))
            if one != two:
                kind = "missing" if two is None else "extraneous" if one is None else "different"
                key = to_json_key({"id": {"S": identity[0][1]}})
                differences.append(FoundDifference(kind=kind, key=key))
        return differences

    def other_writer(self, what: str, number: int) -> None:
        """Each value is written once, so that it is told apart from every other."""
        identity = self.keys[number % len(self.keys)]
        half = self.other if number // len(self.keys) % 2 else self.table
        self.written += 1
        item, new = half.rows.get(identity), {"S": f"theirs {self.written}"}
        key = {"id": {"S": identity[0][1]}}
        if what == "delete":
            half.put(identity, None)
        elif what in ("replace", "recreate"):
            if what == "replace" or item is None:
                half.put(identity, {**key, "n": new})
        elif what == "same version":  # a replication of theirs
            for each in (self.table, self.other):
                each.put(identity, {**key, "n": new})
        elif item is not None:
            half.put(identity, {**item, "n" if what == "touch" else f"x{self.written % 3}": new})

    def check_sent(self, identity: Identity, statement: Statement) -> None:
        """It makes the row what the table held after the other one was read, or at that moment."""
        if identity not in self.other.read_at:
            return  # a look whether the service is there
        for item in self.table.at(identity, self.other.read_at[identity]):
            wanted = compared(item)
            if wanted is None or statement.delete:
                if wanted is None and not statement.sets:  # a removal, or a part of it
                    return
            elif all(wanted.get(name) == value for name, value in statement.sets.items()) and not (
                wanted.keys() & set(statement.removes)
            ):
                return
        self.wrong.append(f"{identity} was sent what the table held before the other was read: {statement}")

    def check_applied(self, identity: Identity, statement: Statement, before: Item | None) -> None:
        """What it overwrites was seen. What others add to a row that is removed need not be."""
        if before is None:
            return
        seen = self.other.seen[identity]
        for name in before if statement.delete else (*statement.sets, *statement.removes):
            if name not in before or any(item.get(name) == before[name] for item in seen):
                continue
            if statement.delete and not any(name in item for item in seen):
                continue
            self.wrong.append(f"{identity} lost {name}={before[name]}, which was not read")

    def disturbed_since(self, identity: Identity) -> bool:
        """Whether either table has changed since it was read last, by whomever but us."""
        return identity in self.table.disturbed | self.other.disturbed and any(
            half.history[identity][-1][0] > half.read_at.get(identity, -1) for half in (self.table, self.other)
        )


def aimed(how: str = "partiql", **more: Any) -> Target:
    """The target of a repair of the pair."""
    other = OtherTable(table="o", table_arn="arn:o", table_id="id", region="", left_out=list(LEFT_OUT))
    operation = Repair.model_validate({"kind": "repair", "with": {"table": "o"}})
    return target(operation=operation, other=other, version=0, writer=how, **more)


@dataclass(kw_only=True)
class RepairingShard(ShardOfTwo):
    """A shard that repairs; its `model` is the other table."""

    pair: TwoTables
    chunks: list[list[FoundDifference]] = field(default_factory=list)

    @property
    def second(self) -> Second:
        return Second(TableClient(self.pair.other, "o"), self._chunk)  # type: ignore[arg-type]

    def _chunk(self, number: int) -> list[FoundDifference]:
        fault = self.pair.plan().call or ""
        if fault.startswith("killed"):
            raise Killed
        if fault.startswith(("500", "timeout")):
            raise CallFailed(Failure("Unavailable", "the ledger", Action.RETRY))
        return self.chunks[number]

    def passed(self, cursor: dict[str, int] | None) -> list[Identity]:
        """Keys that a cursor is past."""
        if not cursor:
            return []
        before = [found for chunk in self.chunks[: cursor["chunk"]] for found in chunk]
        if cursor["chunk"] < len(self.chunks):
            before += self.chunks[cursor["chunk"]][: cursor["line"]]
        return [self.pair.other.identity(from_json_key(found.key)) for found in before]


def repairing(
    pair: TwoTables, patience: Patience = PATIENCE, how: str = "partiql", together: int = 5, **more: Any
) -> RepairingShard:
    """A shard at its beginning, over what a comparison finds now. `together`: differences in a chunk."""
    found = pair.found()
    chunks = [found[start : start + together] for start in range(0, len(found), together)]
    fields: dict[str, Any] = {
        "job": "job", "run": "run-1", "index": 0, "target": aimed(how), "isolation": "batch",
        "source": KeptDifferences(job="job", run="run-1", shard=0, chunks=max(1, len(chunks))),
        "heartbeat_timeout": 10.0, "control": Control(share=UNLIMITED),
    }  # fmt: skip
    running = RunningShard(ShardInput(**(fields | more)))
    return RepairingShard(pair.other, running, patience, pair=pair, table=pair.table, chunks=chunks or [[]])


def counted(kinds: Sequence[str]) -> Counter[str]:
    """Outcomes of differences of these kinds."""
    names = {"missing": "created", "different": "replaced", "extraneous": "removed"}
    return Counter(names[kind] for kind in kinds)
