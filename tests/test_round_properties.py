"""Whatever happens to a shard, its account is right: arbitrary faults, crashes, stops and other writers."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from reindexer.delivery import Patience
from reindexer.items import from_json_key
from reindexer.models import Progress
from reindexer.tally import Outcome
from tests.driving import PATIENCE, Life, Shard, shard, target
from tests.model_table import Identity, ModelTable, Plan
from tests.strategies import lives, patiences, rows, schedules, troubled


def _isolated(carried: Shard) -> dict[Identity, Any]:
    return {carried.model.identity(from_json_key(one.key)): one for one in carried.isolated}


def _at_target(item: dict[str, Any]) -> bool:
    version = item.get("reindexVersion", {}).get("N")
    return version is not None and float(version) >= 7


def _covered(carried: Shard, progress: Progress) -> None:
    """Every undisturbed row up to the cursor is at the target, or isolated."""
    if not progress.cursor:
        return
    model = carried.model
    isolated = set(_isolated(carried))
    isolated |= {model.identity(from_json_key(one.key)) for one in progress.isolated}
    for identity in model.upto(from_json_key(progress.cursor)):
        if identity not in model.disturbed and identity not in isolated:
            assert _at_target(model.rows[identity]), f"the cursor is past {identity}, which is not settled"


def _check_end(carried: Shard) -> None:
    model, isolated = carried.model, _isolated(carried)
    assert len(isolated) == len(carried.isolated), "a record was isolated twice"
    assert carried.tally.balanced(len(carried.isolated))
    assert not model.changed_twice, "changed again although it had kept its stamp"
    for identity in model.first:
        if identity not in model.disturbed:
            assert identity in isolated or _at_target(model.rows[identity]), f"{identity} was lost"
    for identity, one in isolated.items():
        if identity in model.unanswered:
            assert one.unknown, f"a write to {identity} was never answered, and it counts as not applied"


def _run(
    table: list[dict[str, Any]],
    schedule: list[Plan],
    more: list[Life],
    patience: Patience = PATIENCE,
    bad: dict[int, str] | None = None,
    **request: Any,
) -> Shard:
    model = ModelTable(table, plan=lambda n: schedule[n - 1] if n <= len(schedule) else None, page_rows=17)
    for number, fault in (bad or {}).items():
        identity = sorted(model.first)[number % len(table)]
        if fault == "poison":
            model.poison.add(identity)
        else:
            model.failing[identity] = fault
    carried = shard(model, patience, **request)
    carried.check = _covered
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
    model, isolated = carried.model, set(_isolated(carried))
    assert carried.tally.scanned == len(table)
    assert carried.tally.updated == len(set(model.changed) - isolated)
    assert set(model.changed.values()) <= {1}
    assert carried.tally.current == sum(row.get("reindexVersion") == {"N": "7"} for row in table)
    assert carried.tally.superseded == sum(row.get("reindexVersion") == {"N": "8"} for row in table)
    assert carried.tally.vanished == carried.tally.filtered == 0


@given(rows(), schedules(writers=False, killed=False))
def test_without_crashes_the_attempts_are_exact_too(table: list[dict[str, Any]], schedule: list[Plan]) -> None:
    carried = _run(table, schedule, [])
    applied = carried.tally.updated
    clean = applied - carried.attempts.ambiguous
    assert 0 <= clean <= applied
    assert carried.tally.settled + len(carried.isolated) == carried.model.handed_out - _again(carried)
    assert Outcome.QUARANTINED.value not in carried.tally.model_dump(exclude_defaults=True)


def _again(carried: Shard) -> int:
    """Rows that were handed out more than once, since a round stopped before it had settled them."""
    return carried.model.handed_out - carried.tally.scanned
