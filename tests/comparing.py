"""Two tables in memory that are compared, and carrying a comparison through its rounds as the workflow does.

What a comparison should find is worked out here from two dictionaries, with none of its code.
"""

from __future__ import annotations

import hashlib
import heapq
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

from botocore.exceptions import ClientError

from reindexer.compare.segment import Bounds, compare_segment
from reindexer.dynamo.table import TableClient
from reindexer.items import key_text
from reindexer.models import KeyAttribute, OtherTable, Segment, ShardPlace, Share, Source
from reindexer.models.comparison import CompareInput, CompareResult, Comparison, FoundDifference
from reindexer.models.folding import after_comparison
from reindexer.models.shards import ShardState
from tests.driving import UNLIMITED, FakeContext, target
from tests.model_table import Clock, Killed

Item = dict[str, Any]
NOW = 1_900_000_000.0
_BOUNDS = Bounds()


class Rows:
    """A table that scans in an order of its own and answers in pages of random length, sometimes not at all.

    `before`: called before each call with its number; it may write, raise, or kill.
    """

    def __init__(
        self,
        rows: Sequence[Item],
        salt: str = "",
        page: int = 1000,
        before: Callable[[int], None] = lambda _: None,
        unprocessed: int = 0,
    ) -> None:
        self.rows = {identity(row): row for row in rows}
        self.calls, self.read = 0, 0
        self._orders: dict[Any, str] = {}
        self._salt, self._page, self._before, self._unprocessed = salt, page, before, unprocessed

    def _order(self, key: Any) -> str:
        if key not in self._orders:
            text = f"{self._salt}{key}".encode()
            self._orders[key] = hashlib.sha256(text).hexdigest() if self._salt else str(key)
        return self._orders[key]

    def _begin(self) -> None:
        self.calls += 1
        self._before(self.calls)

    def scan(self, *, Limit: int, ExclusiveStartKey: Item | None = None, **asked: Any) -> Item:
        assert asked["ConsistentRead"]
        self._begin()
        segment, total = asked.get("Segment", 0), asked.get("TotalSegments", 1)
        after = self._order(identity(ExclusiveStartKey)) if ExclusiveStartKey else ""
        most = min(Limit, self._page)
        mine = (key for key in self.rows if total == 1 or segment_of(key, total) == segment)
        keys = heapq.nsmallest(most + 1, (key for key in mine if self._order(key) > after), self._order)
        page = keys[:most]
        items = [dict(self.rows[key]) for key in page]
        self.read += len(items)
        more = {"LastEvaluatedKey": {"id": items[-1]["id"]}} if len(page) < len(keys) else {}
        return {"Items": items, "ScannedCount": len(items), **more, **_units(len(items))}

    def batch_get_item(self, *, RequestItems: Item, **_: Any) -> Item:
        self._begin()
        [(table, asked)] = RequestItems.items()
        assert asked["ConsistentRead"]
        wanted = [identity(key) for key in asked["Keys"]]
        assert len(wanted) == len(set(wanted)) <= 100
        left = asked["Keys"][len(wanted) - (self._unprocessed if len(wanted) > self._unprocessed else 0) :]
        found = [self.rows[key] for key in wanted[: len(wanted) - len(left)] if key in self.rows]
        self.read += len(found)
        return {
            "Responses": {table: [dict(row) for row in found]},
            "UnprocessedKeys": {table: {"Keys": left}} if left else {},
            "ConsumedCapacity": [_units(len(wanted))["ConsumedCapacity"]],
        }


def _units(rows: int) -> Item:
    return {"ConsumedCapacity": {"CapacityUnits": float(max(1, rows))}}


def identity(row: Item) -> str | Decimal:
    [(kind, content)] = row["id"].items()
    return Decimal(content) if kind == "N" else str(content)


def segment_of(key: str | Decimal, total: int) -> int:
    return int.from_bytes(hashlib.sha256(str(key).encode()).digest()[:8]) % total


def throttled() -> ClientError:
    answer: Any = {"Error": {"Code": "ThrottlingException", "Message": "no"}}
    answer["ResponseMetadata"] = {"HTTPStatusCode": 400}
    return ClientError(answer, "Scan")


@dataclass
class Comparing:
    """A shard's comparison. `kept`: what the ledger has, by number."""

    table: Rows
    other: Rows
    bounds: Bounds = _BOUNDS
    share: Share = UNLIMITED
    seconds: float = 30.0
    left_out: tuple[str, ...] = ()
    expiries: tuple[str, ...] = ()
    kind: Literal["S", "N"] = "S"  # of the key
    state: ShardState = field(default_factory=ShardState)
    chunks: int = 0
    kept: dict[int, list[FoundDifference]] = field(default_factory=dict)
    clock: Clock = field(default_factory=Clock)
    rounds: int = 0
    last: CompareResult | None = None
    keeps: bool = True  # what is found; else it is only counted
    stale: bool = False  # another attempt may be at work
    source: Source = field(default_factory=lambda: Segment(segment=0, total=1))
    lag: float = 0.0

    @property
    def request(self) -> CompareInput:
        left_out, expiries = list(self.left_out), list(self.expiries)
        other = OtherTable(
            table="o", table_arn="arn:o", table_id="id", region="", left_out=left_out, expiries=expiries,
            lag_seconds=self.lag,
        )  # fmt: skip
        key = [KeyAttribute(name="id", type=self.kind)]
        return CompareInput(
            target=target(other=other, key=key), source=self.source, cursor=self.state.cursor,
            chunks=self.state.chunks, share=self.share, seconds=self.seconds,
            place=ShardPlace(job="job", run="run", index=0),
        )  # fmt: skip

    def one_round(
        self, kill_at: int | None = None, stop_at: int | None = None, delivered_each: int = 1
    ) -> None:
        """One activity: its result is folded, or what the server has of a lost one."""
        self.rounds += 1
        context = FakeContext(
            self.clock, kill_at=kill_at, stop_at=stop_at, deliver=lambda n: n % delivered_each == 0
        )
        context._look = self._look  # type: ignore[assignment]
        context.frozen = self.stale
        tables = (TableClient(self.table, "t"), TableClient(self.other, "o"))  # type: ignore[arg-type]
        try:
            result = compare_segment(
                self.request, tables, context, self._keep, bounds=self.bounds, clock=lambda: NOW
            )
        except Killed:
            self.last = None
            if context.delivered:
                self._fold(CompareResult.model_validate(context.delivered.model_dump(mode="json")))
            return
        self.last = CompareResult.model_validate(result.model_dump(mode="json"))
        self._fold(self.last)

    def run(self, most: int = 500) -> Comparing:
        """Round after round until it is done or there is a fault."""
        while self.last is None or not (self.last.done or self.last.fault):
            assert self.rounds < most, "it does not come to an end"
            self.one_round()
            self.clock.now += 1.0
        return self

    @property
    def counts(self) -> Comparison:
        return self.state.compared

    @property
    def found(self) -> dict[str, str]:
        """The kind of each key that differs, by its text: what the ledger has of the chunks that count."""
        every = [difference for number in range(self.state.chunks) for difference in self.kept[number]]
        named = {key_text(difference.key): difference.kind.value for difference in every}
        assert len(named) == len(every), "a key is named twice"
        return named

    def _keep(self, number: int, differences: Sequence[FoundDifference]) -> None:
        assert differences
        assert number <= max(self.kept, default=-1) + 1, "a gap"
        self.kept[number] = list(differences) if self.keeps else []

    def _fold(self, result: CompareResult) -> None:
        self.state = after_comparison(self.state, result)

    def _look(self, reached: CompareResult) -> None:
        assert reached.counts.balanced, "a heartbeat out of balance"
        assert not reached.done, "the tables are still to be checked"
        if not self.keeps:
            return
        covered = sum(len(self.kept[number]) for number in range(reached.chunks))
        assert covered == sum((self.state.compared + reached.counts).differences.values()), "not all are kept"


def expected(
    table: Rows, other: Rows, same: Callable[[Item, Item], bool]
) -> tuple[Counter[str], dict[str, str]]:
    """(how many keys of each outcome, the kind of each that differs), of tables that hold still."""
    counts: Counter[str] = Counter()
    named: dict[str, str] = {}
    for key in table.rows.keys() | other.rows.keys():
        one, two = table.rows.get(key), other.rows.get(key)
        if two is None:
            kind = "missing"
        elif one is None:
            kind = "extraneous"
        else:
            kind = "equal" if same(one, two) else "different"
        counts[kind] += 1
        if kind != "equal":
            row = one or two or {}
            named[key_text({"id": row["id"]})] = kind
    return counts, named
