"""Whatever happens to a shard, its account is right: arbitrary faults, crashes, stops and other writers."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from reindexer.dynamo.table import TableClient
from reindexer.models import Isolated, KeyList, Progress, RecordInput, RecordResult
from reindexer.rounds.pending_write import Patience
from reindexer.table_rounds import attempt_record
from reindexer.tally import Attempts, Outcome, Tally
from tests.driving import PATIENCE, FakeContext, Life, Shard, assert_by_partition, shard, target
from tests.model_table import ModelTable, Plan
from tests.properties import ahead, check_account, check_attempts, covered, isolated_by_identity, scheduled
from tests.strategies import lives, patiences, rows, schedules, stops, troubled


def _at_target(item: dict[str, Any]) -> bool:
    version = item.get("reindexVersion", {}).get("N")
    return version is not None and float(version) >= 7


_COVERED = covered(_at_target)
_AHEAD = ahead(lambda model: model.stamped)


def _check_end(carried: Shard) -> None:
    check_account(carried)
    model, isolated = carried.model, isolated_by_identity(carried)
    assert not model.changed_twice, "changed again although it had kept its stamp"
    for identity in model.first:
        if identity not in model.disturbed:
            assert identity in isolated or _at_target(model.rows[identity]), f"{identity} was lost"


def _run(
    table: list[dict[str, Any]],
    schedule: list[Plan],
    more: list[Life],
    patience: Patience = PATIENCE,
    bad: dict[int, str] | None = None,
    check: Callable[[Shard, Progress], None] = _COVERED,
    **request: Any,
) -> Shard:
    carried = shard(scheduled(table, schedule, bad), patience, **request)
    carried.check = check
    carried.run(more)
    _check_end(carried)
    return carried


writer = st.sampled_from(["partiql", "update_item"])


@given(rows(), schedules(writers=True), lives, patiences, writer, troubled)
def test_with_other_writers_no_record_is_lost_and_none_is_counted_or_changed_twice(
    table: list[dict[str, Any]],
    schedule: list[Plan],
    more: list[Life],
    patience: Patience,
    how: str,
    bad: dict[int, str],
) -> None:
    carried = _run(table, schedule, more, patience, bad, target=target(writer=how))
    undisturbed = len(carried.model.first) - len(carried.model.disturbed)
    assert undisturbed <= carried.tally.scanned <= len(carried.model.first)


@given(rows(), schedules(writers=False), lives, patiences, writer, troubled)
def test_on_a_quiet_table_the_counts_are_exact_whatever_fails(
    table: list[dict[str, Any]],
    schedule: list[Plan],
    more: list[Life],
    patience: Patience,
    how: str,
    bad: dict[int, str],
) -> None:
    carried = _run(table, schedule, more, patience, bad, target=target(writer=how))
    model, isolated = carried.model, set(isolated_by_identity(carried))
    assert carried.tally.scanned == len(table)
    assert carried.tally[Outcome.UPDATED] == len(set(model.changed) - isolated)
    assert set(model.changed.values()) <= {1}
    assert carried.tally[Outcome.CURRENT] == sum(row.get("reindexVersion") == {"N": "7"} for row in table)
    assert carried.tally[Outcome.SUPERSEDED] == sum(row.get("reindexVersion") == {"N": "8"} for row in table)
    assert carried.tally[Outcome.VANISHED] == carried.tally[Outcome.FILTERED] == 0


@given(rows(), schedules(writers=False, killed=False), stops, patiences, writer, troubled)
def test_without_crashes_the_attempts_are_exact_too(
    table: list[dict[str, Any]],
    schedule: list[Plan],
    more: list[Life],
    patience: Patience,
    how: str,
    bad: dict[int, str],
) -> None:
    carried = _run(
        table,
        schedule,
        more,
        patience,
        bad,
        check=_AHEAD,
        target=target(writer=how),
    )
    check_attempts(carried, carried.model.changed)


@given(rows(), schedules(writers=True), lives, patiences, writer, troubled, st.integers(1, 5), st.randoms())
def test_the_partitions_tallies_are_those_of_their_rows_and_add_up_at_every_heartbeat(
    table: list[dict[str, Any]],
    schedule: list[Plan],
    more: list[Life],
    patience: Patience,
    how: str,
    bad: dict[int, str],
    partitions: int,
    draw: random.Random,
) -> None:
    table.sort(
        key=lambda row: ModelTable._order((("S", row["id"]["S"]),))
    )  # a cursor is past what is before it
    named = [f"p{draw.randrange(partitions)}" for _ in table]
    source = KeyList(keys=[{"id": row["id"]} for row in table], partitions=named)
    carried = _run(table, schedule, more, patience, bad, target=target(writer=how), source=source)
    assert_by_partition(carried.partitions, carried.tally, carried.isolated)
    assert {name: part.scanned for name, part in carried.partitions.items()} == Counter(named)
    belongs = {row["id"]["S"]: name for row, name in zip(table, named, strict=True)}
    assert [one.partition for one in carried.isolated] == [
        belongs[one.key["id"]["S"]] for one in carried.isolated
    ]


def test_a_third_of_all_calls_failing_leaves_the_counts_exact() -> None:
    draw = random.Random(1)  # any seed

    def plan(_: int) -> Plan | None:
        fault = draw.choice(
            ["500 before", "500 after", "timeout late", "throttled", "502 after", "short answer"]
        )
        return Plan(call=fault, late_by=3, strip_items=True) if draw.random() < 1 / 3 else None

    model = ModelTable([{"id": {"S": f"row-{number:05}"}} for number in range(5000)], plan=plan)
    carried = shard(model).run()
    on_their_own = [_alone(carried, one) for one in carried.isolated]
    assert carried.tally == Tally(scanned=5000, updated=5000 - len(on_their_own))
    assert {result.outcome for result in on_their_own} <= {"updated"}
    assert len(on_their_own) < 100, "a record leaves its round after five failures in a row: one of 243"
    assert len(model.changed) == 5000
    assert set(model.changed.values()) == {1}
    ambiguous = carried.attempts.ambiguous + sum(result.attempts.ambiguous for result in on_their_own)
    assert ambiguous == len(model.behind_an_error)


def _alone(carried: Shard, record: Isolated) -> RecordResult:
    """An isolated record, tried until it has its outcome."""
    attempts = Attempts()
    while True:
        request = RecordInput(target=target(), record=record)
        table = TableClient(carried.model, "t")  # type: ignore[arg-type]
        result = attempt_record(request, table, FakeContext(carried.model.clock))
        attempts, record = attempts + result.attempts, result.record
        if result.outcome:
            return result.model_copy(update={"attempts": attempts})
