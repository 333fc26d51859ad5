"""A round that writes records again into a replica, beside a follow; of partitions also what only that has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reindexer.dynamo.table import TableClient
from reindexer.items import GONE, ORDER
from reindexer.models import (
    KeyAttribute,
    KeyList,
    OtherTable,
    PartitionRange,
    PartitionRanges,
    PartitionScope,
    RefreshReplica,
    RoundInput,
    RoundResult,
    Share,
    Stop,
    Target,
)
from reindexer.sources.either import with_replica
from reindexer.sources.partitions import PartitionSource
from reindexer.streams.order import FAR, floor_of
from reindexer.table_rounds import Second, make_round
from reindexer.tally import Tally
from reindexer.throttle import Budget
from tests.driving import PATIENCE, FakeContext, target
from tests.model_conditions import condition
from tests.model_partitions import ModelPartitions
from tests.model_replica import ModelReplica, unnamed
from tests.model_table import Clock, Item, ModelTable, Plan
from tests.test_refresh_round import BEGINNINGS, CALLS, FLOOR, KEY, NAMED, SCRIPTS, World, interleavings, row

KEYS = ("id", "sort")


def aimed(**more: Any) -> Target:
    """At the replica of the model table, whose epoch is 7."""
    other = OtherTable(table="r", table_arn="arn:r", table_id="id", region="", ttl="until", **more)
    operation = RefreshReplica.model_validate({"kind": "refresh", "to": {"table": "r"}})
    return target(operation=operation, other=other)


def refreshed(
    table: ModelTable,
    replica: ModelTable,
    source: KeyList | PartitionRanges,
    at: Target | None = None,
    epoch: int = 7,
) -> RoundResult:
    request = RoundInput(target=at or aimed(), source=source)
    calls, second = (TableClient(one, one.name) for one in (table, replica))  # type: ignore[arg-type]
    where = Second(second, epoch=lambda: epoch)
    return make_round(request, calls, FakeContext(table.clock), PATIENCE, second=where).run()


class ReplicaWorld(World):
    """The same with a replica in place of an index."""

    def __init__(self, script: Sequence[str], ticks: Sequence[int], stored: int | None, *, there: bool) -> None:
        calls = SimpleNamespace(clock=Clock(), plan=self._plan, others=lambda _: None)
        self.replica = ModelReplica([], calls)  # type: ignore[arg-type]
        super().__init__(script, ticks, stored, there=there)

    def _plan(self) -> Plan:
        self.before()
        return Plan()

    def round(self) -> RoundResult:
        return refreshed(self.table, self.replica, NAMED)

    @property
    def stored(self) -> tuple[int, int | None] | None:
        found = next(iter(self.replica.rows.values()), None)
        if found is None:
            return None
        return int(found[ORDER]["N"]), None if GONE in found else int(found["n"]["N"])

    def purge(self) -> None:
        self.replica.rows.clear()

    def store(self, order: int, item: Mapping[str, Any] | None) -> None:
        self.replica.rows[self.replica.identity(KEY)] = at_order(item or {**KEY, GONE: {"N": "5"}}, order)


def at_order(item: Mapping[str, Any], order: int) -> Item:
    return {**item, ORDER: {"N": str(order)}}


@CALLS
@pytest.mark.parametrize("script", SCRIPTS, ids=", ".join)
@pytest.mark.parametrize(("stored", "there"), BEGINNINGS)
def test_no_interleaving_hides_a_newer_change(
    script: tuple[str, ...], stored: int | None, there: bool, calls: int
) -> None:
    for ticks in interleavings(len(script), calls):
        world = ReplicaWorld(script, ticks, stored, there=there)
        result = world.refreshed()
        assert (result.stop, result.progress.tally.scanned) == (Stop.DONE, 1), ticks
        assert result.progress.tally.settled == 1, ticks
        assert world.equal, ticks


def named(*names: str) -> KeyList:
    return KeyList(keys=[{"id": {"S": name}} for name in names])


def replica_of(*rows: Item, key: tuple[str, ...] = ("id",), plan: Iterable[str | None] = ()) -> ModelReplica:
    met = iter(plan)
    calls = SimpleNamespace(clock=Clock(), plan=lambda: Plan(call=next(met, None)), others=lambda _: None)
    made = ModelReplica([], calls)  # type: ignore[arg-type]
    made.key_names = key
    made.rows = {made.identity(one): dict(one) for one in rows}
    return made


def test_an_item_keeps_its_order_and_gets_what_the_row_is_now() -> None:
    spoilt = {"id": {"S": "foreign"}, "n": {"N": "9"}}  # of somebody who put it over ours: it has no order
    replica = replica_of(
        at_order({**KEY, "n": {"N": "1"}}, FLOOR + 9), at_order({"id": {"S": "b"}}, FLOOR), spoilt
    )
    table = ModelTable([row(2), {"id": {"S": "c"}}, {"id": {"S": "foreign"}, "n": {"N": "3"}}])
    progress = refreshed(table, replica, named("a", "b", "c", "d", "foreign")).progress
    assert progress.tally == Tally(scanned=5, updated=3, vanished=2)
    rows = {item["id"]["S"]: unnamed(item) for item in replica.rows.values()}
    assert rows["a"] == at_order(row(2), FLOOR + 9)
    assert rows["c"] == at_order({"id": {"S": "c"}}, FLOOR)
    assert rows["foreign"] == at_order({"id": {"S": "foreign"}, "n": {"N": "3"}}, FLOOR)
    assert [rows[name][ORDER] for name in ("b", "d")] == [{"N": str(FLOOR)}] * 2
    assert all({GONE, "until"} <= rows[name].keys() for name in ("b", "d"))


@pytest.mark.parametrize("fault", ["timeout after", "500 after", "timeout before", "short answer"])
def test_a_write_whose_answer_was_lost_is_sent_again_and_counts_once(fault: str) -> None:
    replica = replica_of(at_order({**KEY, "n": {"N": "1"}}, FLOOR + 9), plan=[None, fault, fault])
    progress = refreshed(ModelTable([row(2), {"id": {"S": "c"}}]), replica, named("a", "c")).progress
    assert progress.tally == Tally(scanned=2, updated=2)
    assert unnamed(replica.rows[replica.identity(KEY)]) == at_order(row(2), FLOOR + 9)


def test_an_order_that_no_change_of_ours_can_have_is_another_writers() -> None:
    result = refreshed(ModelTable([row(1)]), replica_of(at_order(row(0), FLOOR + FAR + 1)), named("a"))
    assert result.fault is not None
    assert (result.stop, result.fault.code) == (Stop.FAULT, "NotTheOnlyWriter")


def test_a_record_that_a_later_epoch_has_written_keeps_that_order() -> None:
    """A rescan has begun since the refresh was planned, more than a minute after the scan before."""
    replica = replica_of(at_order(row(0), floor_of(7 + 70_000)))
    result = refreshed(ModelTable([row(1)]), replica, named("a"), epoch=7 + 70_000)
    assert result.progress.tally == Tally(scanned=1, updated=1)
    assert unnamed(replica.rows[replica.identity(KEY)]) == at_order(row(1), floor_of(7 + 70_000))


# ── Partitions ─────────────────────────────────────────────────────────────────────────────────────────────


class Side(ModelPartitions):
    """It leaves out what a filter does, after it has made the page."""

    def query(self, **asked: Any) -> Item:
        answer = super().query(**asked)
        holds = condition(asked, "FilterExpression")
        whole = {(row["id"]["S"], row["sort"]["N"]): row for row in self.rows}
        answer["Items"] = [row for row in answer["Items"] if holds(whole[row["id"]["S"], row["sort"]["N"]])]
        return answer


PARTITIONS = ("a", "b", "c", "d")
SIDES = st.sets(st.tuples(st.sampled_from(PARTITIONS[:3]), st.integers(-4, 4)), max_size=14)


def within(*ranges: PartitionRange) -> tuple[Target, PartitionRanges]:
    scope = PartitionScope(
        partition=KeyAttribute(name="id", type="S"), sort=KeyAttribute(name="sort", type="N")
    )
    key = [KeyAttribute(name="id", type="S"), KeyAttribute(name="sort", type="N")]
    at = aimed(same_partitions=True).model_copy(update={"within": scope, "key": key})
    return at, PartitionRanges(ranges=list(ranges))


def in_partitions(keys: Iterable[tuple[str, int]], **more: Any) -> list[Item]:
    return [{"id": {"S": name}, "sort": {"N": str(number)}, **more} for name, number in keys]


@given(SIDES, SIDES, SIDES, st.tuples(st.integers(1, 4), st.integers(1, 4)), st.lists(st.integers(0, 5)))
def test_what_either_has_is_named_once_in_order_wherever_reading_stops(
    here: set[tuple[str, int]],
    there: set[tuple[str, int]],
    gone: set[tuple[str, int]],
    pages: tuple[int, int],
    stops: list[int],
) -> None:
    """Partition b is cut into two ranges; of d neither has anything."""
    at, ranges = within(
        PartitionRange(value="a"),
        PartitionRange(value="b", before="1"),
        PartitionRange(value="b", first="1"),
        *(PartitionRange(value=value) for value in ("c", "d")),
    )
    replica_rows = in_partitions(there - gone) + in_partitions(gone, **{GONE: {"N": "5"}})
    sides = Side(in_partitions(here), KEYS, page_rows=pages[0]), Side(replica_rows, KEYS, page_rows=pages[1])
    table, replica = (TableClient(side, "t") for side in sides)  # type: ignore[arg-type]
    context, found, cursor = FakeContext(Clock()), list[tuple[str, int]](), None
    assert at.within is not None
    while True:
        named = PartitionSource(table, at.within, ranges, at.key, KEYS, {}, context, consistent=True)
        source = with_replica(named, ranges, at, replica, context)
        budget = Budget(Share(), context)
        for page in source.pages(cursor, len(found), budget):
            rows = [(row["id"]["S"], int(row["sort"]["N"])) for row in page.rows]
            assert {name for name, _ in rows} <= {page.partition}
            stop = stops.pop() if stops else len(rows)
            found += rows[: stop + 1]
            if stop < len(rows):
                cursor = page.cursor_after(stop)
                break
            cursor = page.next_cursor
        else:
            break
    assert found == sorted(here | (there - gone))


def test_of_a_partition_what_only_the_replica_has_goes_there() -> None:
    at, ranges = within(PartitionRange(value="a"))
    [shared, extra, other] = in_partitions([("a", 1), ("a", 2), ("b", 1)])
    table = PartitionedTable([{**shared, "n": {"N": "5"}}], KEYS)
    replica = replica_of(*(at_order(item, FLOOR + 9) for item in (shared, extra, other)), key=KEYS)
    replica.query = Side(list(replica.rows.values()), KEYS).query  # type: ignore[attr-defined]
    progress = refreshed(table, replica, ranges, at).progress
    assert progress.tally == Tally(scanned=2, updated=1, vanished=1)
    rows = [replica.rows[replica.identity(item)] for item in (shared, extra, other)]
    assert [GONE in item for item in rows] == [False, True, False]
    assert {item[ORDER]["N"] for item in rows} == {str(FLOOR + 9)}


class PartitionedTable(ModelTable):
    """One that answers Query."""

    def query(self, **asked: Any) -> Item:
        return Side(list(self.rows.values()), self.key_names).query(**asked)
