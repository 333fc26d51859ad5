"""Whatever happens to a shard that removes stamps, its account is right, though no row tells of it."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reindexer.models import KeyList, Progress, ShardState, Unconfirmed, Unstamp
from reindexer.rounds.pending_write import Patience
from reindexer.tally import Outcome, Tally
from tests.driving import PATIENCE, Life, Shard, shard, target
from tests.model_table import ModelTable, Plan
from tests.properties import ahead, check_account, check_attempts, covered, isolated_by_identity, scheduled
from tests.strategies import ROWS, lives, patiences, schedules, stops, troubled

#: What records carry: nothing, either attribute or both, of any run and type, a delete mark among them.
STAMPS: list[dict[str, Any]] = [
    {}, {},
    {"reindexVersion": {"N": "7"}, "reindexRun": {"S": "run-1"}},
    {"reindexVersion": {"N": "3"}, "reindexRun": {"S": "other"}},
    {"reindexVersion": {"N": "8"}, "reindexRun": {"S": "other/delete"}},
    {"reindexVersion": {"N": "6.5"}},
    {"reindexVersion": {"M": {"a": {"S": "b"}}}, "reindexRun": {"N": "1"}},
    {"reindexRun": {"S": "other"}},
]  # fmt: skip
writer = st.sampled_from(["partiql", "update_item"])
carried = st.sampled_from(STAMPS)
tables = (st.lists(carried, min_size=1, max_size=ROWS) | st.lists(carried, min_size=ROWS, max_size=ROWS)).map(
    lambda drawn: [
        {"id": {"S": f"row-{number:03}"}, "n": {"N": "1"}, **stamp} for number, stamp in enumerate(drawn)
    ]
)


def _bare(item: dict[str, Any]) -> bool:
    return "reindexVersion" not in item and "reindexRun" not in item


_COVERED = covered(_bare)
_AHEAD = ahead(lambda model: model.unstamped)


def _begun(
    table: list[dict[str, Any]],
    schedule: list[Plan],
    patience: Patience = PATIENCE,
    bad: dict[int, str] | None = None,
    check: Callable[[Shard, Progress], None] = _COVERED,
    how: str = "partiql",
    **request: Any,
) -> Shard:
    aimed = target(operation=Unstamp(kind="unstamp"), version=0, stamp="run-2", writer=how)
    begun = shard(scheduled(table, schedule, bad), patience, target=aimed, **request)
    begun.check = check
    return begun


def _check_end(carried: Shard) -> None:
    check_account(carried)
    model, isolated = carried.model, isolated_by_identity(carried)
    for identity, row in model.rows.items():
        if identity not in model.disturbed:
            assert identity in isolated or _bare(row), f"{identity} keeps its stamp"
            assert row["n"] == {"N": "1"}, "nothing else is changed"


@given(tables, schedules(writers=False), lives, patiences, writer, troubled)
def test_on_a_quiet_table_the_counts_are_exact_whatever_fails(
    table: list[dict[str, Any]],
    schedule: list[Plan],
    more: list[Life],
    patience: Patience,
    how: str,
    bad: dict[int, str],
) -> None:
    carried = _begun(table, schedule, patience, bad, how=how).run(more)
    _check_end(carried)
    model, isolated = carried.model, set(isolated_by_identity(carried))
    assert carried.tally.scanned == len(table)
    assert carried.tally[Outcome.UPDATED] == len(set(model.unstamped) - isolated)
    assert carried.tally[Outcome.UPDATED] == sum(
        not _bare(row) and model.identity(row) not in isolated for row in table
    )
    assert carried.tally[Outcome.CURRENT] == sum(map(_bare, table))
    assert set(model.unstamped.values()) <= {1}
    assert carried.tally[Outcome.VANISHED] == carried.tally[Outcome.FILTERED] == 0


@pytest.mark.parametrize("inserted", [0, 3, 40])
def test_records_that_inserted_ones_push_to_a_later_page_are_still_known(inserted: int) -> None:
    """A pause on a growing table: the next round meets what was settled beyond the cursor further on."""
    table = [{"id": {"S": f"row-{number:03}"}, "n": {"N": "1"}, **STAMPS[3]} for number in range(17)]
    waiting = [Plan(), Plan(statements={0: "throttle"}), *[Plan(call="throttle")] * 30]
    begun = _begun(table, waiting, check=lambda *_: None)
    begun.one_round(Life(stop_at=3))
    model = begun.model
    assert (begun.running.state.ahead, begun.running.state.timed_out) == (17, False)
    model.plan = lambda _: None
    first, last = min(map(model._order, model.first)), max(map(model._order, model.first))
    names = (f"new-{number}" for number in range(100_000))
    between = (name for name in names if first < model._order((("S", name),)) < last)
    for name in islice(between, inserted):
        model.rows[(("S", name),)] = {"id": {"S": name}, "n": {"N": "1"}}
    carried = begun.run()
    assert carried.tally == Tally(scanned=17 + inserted, updated=17, current=inserted)
    assert set(model.unstamped.values()) == {1}


@given(tables, schedules(writers=True), lives, patiences, writer, troubled)
def test_with_other_writers_no_record_is_lost_and_none_is_counted_twice(
    table: list[dict[str, Any]],
    schedule: list[Plan],
    more: list[Life],
    patience: Patience,
    how: str,
    bad: dict[int, str],
) -> None:
    carried = _begun(table, schedule, patience, bad, how=how).run(more)
    _check_end(carried)
    model, isolated = carried.model, isolated_by_identity(carried)
    quiet = [row for row in table if model.identity(row) not in model.disturbed]
    assert len(quiet) <= carried.tally.scanned <= len(table)
    changed = [row for row in quiet if not _bare(row) and model.identity(row) not in isolated]
    assert len(changed) <= carried.tally[Outcome.UPDATED] <= len(changed) + len(model.disturbed)


@given(tables, schedules(writers=False, killed=False), stops, patiences, writer, troubled)
def test_without_crashes_the_attempts_are_exact_too(
    table: list[dict[str, Any]],
    schedule: list[Plan],
    more: list[Life],
    patience: Patience,
    how: str,
    bad: dict[int, str],
) -> None:
    carried = _begun(table, schedule, patience, bad, _AHEAD, how).run(more)
    _check_end(carried)
    check_attempts(carried, carried.model.unstamped)


@given(tables, schedules(writers=False), lives, st.integers(0, 4), writer)
def test_where_it_is_cancelled_what_it_had_done_beyond_the_cursor_is_counted(
    table: list[dict[str, Any]], schedule: list[Plan], more: list[Life], rounds: int, how: str
) -> None:
    carried = _begun(table, schedule, how=how)
    for life in [*more, Life(), Life()][:rounds]:
        carried.one_round(life)
        if carried.stops and carried.stops[-1] == "done":
            break
    carried.model.land()
    carried.closed()
    isolated = set(isolated_by_identity(carried))
    assert carried.tally[Outcome.UPDATED] == len(set(carried.model.unstamped) - isolated)
    assert not isolated & set(carried.model.unstamped)


@given(tables, schedules(writers=False), lives, writer)
def test_named_records_are_counted_as_exactly(
    table: list[dict[str, Any]], schedule: list[Plan], more: list[Life], how: str
) -> None:
    table.sort(key=lambda row: ModelTable._order((("S", row["id"]["S"]),)))
    source = KeyList(keys=[{"id": row["id"]} for row in [*table, {"id": {"S": "missing"}}]])
    carried = _begun(table, schedule, how=how, check=lambda _shard, _progress: None, source=source).run(more)
    _check_end(carried)
    isolated = set(isolated_by_identity(carried))
    assert carried.tally[Outcome.VANISHED] == 1
    assert carried.tally[Outcome.CURRENT] == sum(map(_bare, table))
    assert carried.tally[Outcome.UPDATED] == len(set(carried.model.unstamped) - isolated)


def test_a_row_that_was_stamped_since_it_was_read_is_read_again_before_it_loses_its_stamp() -> None:
    table = [{"id": {"S": "row"}, "n": {"N": "1"}, **STAMPS[3]}]
    carried = _begun(table, [Plan(), Plan(writers=(("bump", 0),))]).run()
    assert (carried.tally[Outcome.UPDATED], carried.attempts.conflicts) == (1, 1)
    assert carried.model.log == ["scan", "write", "write"]
    assert _bare(carried.model.rows[("S", "row"),])


def test_a_write_that_arrives_late_does_not_remove_a_stamp_that_came_after_it() -> None:
    table = [{"id": {"S": "row"}, "n": {"N": "1"}, **STAMPS[3]}]
    carried = _begun(table, [Plan(), Plan(call="timeout late", late_by=100)]).run()
    assert (carried.tally[Outcome.UPDATED], carried.attempts.ambiguous) == (1, 0)
    carried.model.other_writer("bump", (("S", "row"),))
    carried.model.land()
    assert carried.model.rows[("S", "row"),]["reindexVersion"] == {"N": "8"}


def test_what_another_writer_removed_after_it_was_read_counts_as_updated_once() -> None:
    table = [{"id": {"S": "row"}, "n": {"N": "1"}, **STAMPS[3]}]
    carried = _begun(table, [Plan(), Plan(writers=(("replace", 0),))]).run()
    assert carried.tally == Tally(scanned=1, updated=1)
    assert not carried.model.unstamped


def test_a_redrive_counts_a_removal_that_its_run_was_not_answered_and_no_other_record() -> None:
    """Of the first one it is known that it was read with a stamp, of the second that nothing was written."""
    keys = [{"id": {"S": name}} for name in ("unanswered", "refused")]
    model = ModelTable([{**key, "n": {"N": "1"}} for key in keys])
    aimed = target(operation=Unstamp(kind="unstamp"), version=0)
    source = KeyList(keys=keys, unconfirmed=[Unconfirmed(key=keys[0])])
    state = ShardState(unconfirmed=source.unconfirmed)
    carried = shard(model, target=aimed, source=source, isolation="record", state=state).run()
    assert carried.tally == Tally(scanned=2, updated=1, current=1)
    assert carried.attempts.ambiguous == 1
