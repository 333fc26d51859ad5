"""A cancelled job's counts agree with the stamps in the table, wherever its rounds ended."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reindexer.checks.last_look import count_ahead
from reindexer.dynamo.table import TableClient
from reindexer.items import from_json_key
from reindexer.models import ClosingInput, Isolated, KeyList, Segment, Share, Stop
from reindexer.tally import Outcome, Tally
from tests.driving import SEGMENT, FakeContext, Life, Shard, assert_by_partition, shard, target
from tests.model_table import ModelTable, Plan
from tests.strategies import lives, patiences, rows, schedules, stops, troubled
from tests.test_totals_properties import KEY, NAMES, SOURCE, WITHIN, PartitionedTable, tenants
from tests.written_jobs import aim, offer, write_job

some_lives = lives.filter(bool)


def _cancelled(carried: Shard, more: list[Life]) -> Shard:
    """So many rounds and no more; what was sent has arrived by the time of the look."""
    for life in more:
        if carried.last is None or carried.last.stop is not Stop.DONE:
            carried.one_round(life)
    carried.model.land()
    carried.closed()
    left = {carried.model.identity(from_json_key(one.key)) for one in carried.isolated}
    assert not left & carried.model.stamped, "carries the stamp, and counts as not settled"
    assert carried.tally[Outcome.UPDATED] == len(carried.model.stamped)
    return carried


def _model(
    table: list[dict[str, Any]], schedule: list[Plan], bad: dict[int, str], kind: type[ModelTable] = ModelTable,
    key: tuple[str, ...] = ("id",),
) -> Any:  # fmt: skip
    model = kind(table, key, plan=lambda n: schedule[n - 1] if n <= len(schedule) else None, page_rows=17)
    for number, fault in bad.items():
        identity = sorted(model.first)[number % len(table)]
        if fault == "poison":
            model.poison.add(identity)
        else:
            model.failing[identity] = fault
    return model


writer = st.sampled_from(["partiql", "update_item"])


@given(rows(), schedules(writers=False), some_lives, patiences, writer, troubled)
def test_of_a_scan_whatever_was_settled_out_of_order_is_counted(
    table: list[dict[str, Any]], schedule: list[Plan], more: list[Life], patience: Any, how: str,
    bad: dict[int, str],
) -> None:  # fmt: skip
    carried = shard(_model(table, schedule, bad), patience, target=target(writer=how))
    _cancelled(carried, more)
    assert carried.tally.scanned <= len(table)


@given(rows(), schedules(writers=False), some_lives, writer, troubled, st.integers(1, 45))
def test_of_a_sample_no_more_than_its_limit_is_counted(
    table: list[dict[str, Any]], schedule: list[Plan], more: list[Life], how: str, bad: dict[int, str],
    limit: int,
) -> None:  # fmt: skip
    source = Segment(segment=0, total=1, limit=limit)
    carried = shard(_model(table, schedule, bad), target=target(writer=how), source=source)
    _cancelled(carried, more)
    assert carried.tally.scanned <= limit


@given(rows(), schedules(writers=False), some_lives, writer, troubled, st.integers(0, 5), st.randoms())
def test_of_named_keys_each_is_counted_to_its_partition(
    table: list[dict[str, Any]], schedule: list[Plan], more: list[Life], how: str, bad: dict[int, str],
    partitions: int, draw: random.Random,
) -> None:  # fmt: skip
    names = [f"p{draw.randrange(partitions)}" for _ in table] if partitions else []
    source = KeyList(keys=[{"id": row["id"]} for row in table], partitions=names)
    carried = shard(_model(table, schedule, bad), target=target(writer=how), source=source)
    _cancelled(carried, more)
    if not names:
        assert carried.partitions == {}
        return
    assert_by_partition(carried.partitions, carried.tally, carried.isolated)
    of = {row["id"]["S"]: name for row, name in zip(table, names, strict=True)}
    stamped = Counter(of[carried.model.rows[identity]["id"]["S"]] for identity in carried.model.stamped)
    assert +Counter({name: tally[Outcome.UPDATED] for name, tally in carried.partitions.items()}) == stamped


@given(tenants(), schedules(writers=False), some_lives, writer, troubled)
def test_of_partitions_each_row_is_counted_to_its_own(
    table: list[dict[str, Any]], schedule: list[Plan], more: list[Life], how: str, bad: dict[int, str]
) -> None:
    model = _model(table, schedule, bad, PartitionedTable, ("id", "sort"))
    carried = shard(model, source=SOURCE, target=target(writer=how, key=KEY, within=WITHIN))
    _cancelled(carried, more)
    assert_by_partition(carried.partitions, carried.tally, carried.isolated)
    for name in NAMES:
        stamped = sum(model.rows[identity]["id"]["S"] == name for identity in model.stamped)
        assert carried.partitions.get(name, Tally())[Outcome.UPDATED] == stamped


@given(rows(), schedules(writers=False, killed=False), stops.filter(bool), writer, st.booleans())
def test_deletions_that_landed_are_counted_as_such(
    tmp_path_factory: pytest.TempPathFactory,
    table: list[dict[str, Any]],
    schedule: list[Plan],
    more: list[Life],
    how: str,
    named: bool,
) -> None:
    job = write_job(
        tmp_path_factory.mktemp("job"), "def transform(item, params):\n    return Delete()\n", "weed"
    )
    source: Any = KeyList(keys=[{"id": row["id"]} for row in table]) if named else SEGMENT
    with pytest.MonkeyPatch.context() as patch:
        offer(patch, job)
        carried = _cancelled(
            shard(_model(table, schedule, {}), source=source, target=aim(job, writer=how)), more
        )
    assert (carried.tally[Outcome.DELETED], carried.tally[Outcome.VANISHED]) == (
        len(table) - len(carried.model.rows),
        0,
    )


# ── One case at a time ─────────────────────────────────────────────────────────────────────────────────────

STAMPED = {"reindexVersion": {"N": "7"}, "reindexRun": {"S": "run-1"}}


def _table(rows: int, ours: Any = ()) -> ModelTable:
    model = ModelTable([{"id": {"S": f"row-{number:05}"}} for number in range(rows)])
    for place, identity in enumerate(sorted(model.rows, key=model._order)):
        if place in ours:
            model.rows[identity] = {**model.rows[identity], **STAMPED}
    return model


def look(model: ModelTable, context: Any = None, **fields: Any) -> Any:
    request = ClosingInput.model_validate({"target": target(), "source": SEGMENT, **fields})
    return count_ahead(request, TableClient(model, "t"), context or FakeContext(model.clock))  # type: ignore[arg-type]


def test_where_nothing_can_be_ahead_nothing_is_read() -> None:
    model = _table(10)
    assert look(model) == look(model, isolated=[])
    assert model.calls == 0


def test_without_a_lost_attempt_it_reads_as_far_as_is_said_and_a_page_without_any() -> None:
    model = _table(5000, ours=[3, 1500, 4000])
    found = look(model, ahead=1600)
    assert (found.tally, model.log) == (Tally(scanned=2, updated=2), ["scan"] * 3)
    assert look(_table(5000, ours=range(2500)), ahead=1).tally[Outcome.UPDATED] == 2500


def test_after_a_lost_attempt_a_long_stretch_without_any_is_no_end() -> None:
    model = _table(30_000, ours=[8000, 25_000])
    found = look(model, doubt=True)
    assert found.tally == Tally(scanned=1, updated=1)
    assert len(model.log) < 20


def test_an_isolated_record_is_settled_if_it_carries_the_stamp_or_its_deletion_landed() -> None:
    model = _table(3, ours=[0])
    [ours, other, _] = sorted(model.rows, key=model._order)
    keys = [{"id": {"S": identity[0][1]}} for identity in (ours, other)] + [{"id": {"S": "gone"}}] * 2
    isolated = [
        Isolated(key=keys[0], unknown=True), Isolated(key=keys[1], unknown=True, deleting=True),
        Isolated(key=keys[2], unknown=True, deleting=True), Isolated(key={"id": {"S": "gone too"}}),
    ]  # fmt: skip
    found = look(model, isolated=isolated)
    assert (found.tally, found.attempts.ambiguous) == (Tally(updated=1, deleted=1), 2)
    assert found.isolated == [isolated[1], isolated[3]]


def test_a_busy_service_is_waited_for_and_a_denied_one_is_a_fault() -> None:
    busy = _table(50, ours=range(5))
    busy.plan = lambda n: Plan(call="throttled") if n < 4 else None
    assert look(busy, ahead=5).tally[Outcome.UPDATED] == 5
    silent = _table(5)
    silent.plan = lambda _: Plan(call="500 before")
    found = look(silent, ahead=5)
    assert (found.complete, found.fault) == (False, None)
    denied = _table(5)
    denied.denied_from = 1
    found = look(denied, ahead=5)
    assert (found.complete, found.fault and found.fault.code) == (False, "AccessDeniedException")


def test_it_ends_when_its_time_is_over_with_what_it_has() -> None:
    model = _table(4000, ours=range(4000))
    found = look(model, ahead=4000, share=Share(read_units=100), seconds=10.0)
    assert not found.complete
    assert 1000 <= found.tally[Outcome.UPDATED] < 4000
    assert model.clock.now - 1000 < 12


def test_asked_to_stop_it_returns_what_it_has() -> None:
    model = _table(5000, ours=range(5000))
    found = look(model, FakeContext(model.clock, stop_at=3), ahead=5000)
    assert not found.complete
    assert 0 < found.tally[Outcome.UPDATED] < 5000
