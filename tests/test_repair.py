"""Repairing: what makes a row equal, what refuses a write, and what rounds know of each other."""

from __future__ import annotations

from typing import Any

import pytest

from reindexer.compare.repair import needed
from reindexer.compare.rows import Rules
from reindexer.items import Write
from reindexer.models import Difference, FoundDifference, KeptDifferences, KeyList, Unconfirmed
from reindexer.sinks.repairing import outcome_of
from reindexer.sources.differences import DifferenceSource
from reindexer.tally import Outcome, Tally
from reindexer.throttle import Budget
from tests.driving import UNLIMITED, FakeContext, Life
from tests.model_table import Clock, Plan
from tests.repairing import TwoTables, repairing

KEY = {"id": {"S": "row"}}
ROW = (("S", "row"),)
ONE: dict[str, Any] = {"n": {"N": "1"}}
TWO: dict[str, Any] = {"n": {"N": "2"}, "more": {"SS": ["a", "b"]}}
GONE = {"reindexGone": {"N": "5"}}


def _needed(
    first: dict[str, Any] | None, other: dict[str, Any] | None, left_out: tuple[str, ...] = ()
) -> Write | None:
    rules = Rules(left_out, ["until"])
    items = [None if item is None else {**KEY, **item} for item in (first, other)]
    return needed(items[0], items[1], rules, {"id"}, rules.present(1_900_000_000.0))


@pytest.mark.parametrize(
    ("first", "other"),
    [
        (None, None), (ONE, ONE), (ONE, {"n": {"N": "1.0"}}), (ONE, {**ONE, "reindexOrder": {"N": "9"}}),
        (None, {**ONE, **GONE}), ({**ONE, **GONE}, None), ({**ONE, "until": {"N": "1899999999"}}, None),
        (None, {**ONE, "until": {"N": "1899999999"}}), ({}, {}), (ONE, {**ONE, "left": {"S": "out"}}),
        (TWO, {**TWO, "more": {"SS": ["b", "a"]}}),
    ],
)  # fmt: skip
def test_rows_that_are_equal_or_count_as_not_there_need_nothing(
    first: dict[str, Any] | None, other: dict[str, Any] | None
) -> None:
    assert _needed(first, other, ("left",)) is None


def test_a_missing_row_is_created_without_what_is_left_out() -> None:
    write = _needed({**TWO, "left": {"S": "out"}, "reindexOrder": {"N": "1"}}, None, ("left",))
    assert write == Write(sets=TWO, bare=True, create=True)
    assert _needed({}, None) == Write(bare=True, create=True)


def test_an_extraneous_row_is_removed_as_it_was_read_with_all_that_it_has() -> None:
    other = {**TWO, "left": {"S": "out"}, "reindexOrder": {"N": "1"}}
    assert _needed(None, other, ("left",)) == Write(guards=other, delete=True, bare=True)
    assert _needed({**ONE, **GONE}, ONE) == Write(guards=ONE, delete=True, bare=True)


def test_a_row_is_changed_in_what_differs_and_only_where_that_is_as_it_was_read() -> None:
    other = {"n": {"N": "2"}, "same": {"S": "x"}, "goes": {"BOOL": True}, "left": {"S": "out"}}
    write = _needed({"n": {"N": "1"}, "same": {"S": "x"}, "new": {"NULL": True}}, other, ("left",))
    assert write is not None
    assert (write.sets, write.removes) == ({"n": {"N": "1"}, "new": {"NULL": True}}, ("goes",))
    assert write.guards == {"n": {"N": "2"}, "new": None, "goes": {"BOOL": True}}
    assert (write.bare, outcome_of(write)) == (True, Outcome.REPLACED)


def test_the_order_of_a_copy_is_compared_by_the_write_and_stays() -> None:
    write = _needed(ONE, {"n": {"N": "2"}, "reindexOrder": {"N": "9"}})
    assert write is not None
    assert (write.sets, write.removes) == (ONE, ())
    assert write.guards == {"n": {"N": "2"}, "reindexOrder": {"N": "9"}}


@pytest.mark.parametrize("other", [{**ONE, **GONE}, {"n": {"N": "2"}, "until": {"N": "1899999999"}}])
def test_a_row_that_counted_as_not_there_is_created_though_an_item_is_changed(other: dict[str, Any]) -> None:
    write = _needed(ONE, other)
    assert write is not None
    assert not write.create
    assert outcome_of(write) is Outcome.CREATED
    assert set(write.removes) == set(other) - set(ONE)


# ── The cursor of what a comparison found ───────────────────────────────────────────────────────────────────


def _differences(count: int) -> list[FoundDifference]:
    return [FoundDifference(kind=Difference.MISSING, key={"id": {"S": f"{n:03}"}}) for n in range(count)]


def _names(source: DifferenceSource, cursor: dict[str, Any] | None) -> list[str]:
    budget = Budget(UNLIMITED, FakeContext(Clock()))
    return [row["id"]["S"] for page in source.pages(cursor, 0, budget) for row in page.rows]


def test_from_each_cursor_the_source_goes_on_with_the_next_difference() -> None:
    chunks = [_differences(250), [], _differences(320)[250:], _differences(321)[320:]]
    every = [difference.key["id"]["S"] for chunk in chunks for difference in chunk]
    source = DifferenceSource(KeptDifferences(job="j", run="r", shard=0, chunks=4), lambda n: chunks[n])
    assert _names(source, None) == every
    passed, last = 0, None
    for page in source.pages(None, 0, Budget(UNLIMITED, FakeContext(Clock()))):
        assert len(page.rows) <= 100
        assert len(page.differences) == len(page.rows)
        for position in (0, 1, len(page.rows) - 1):
            assert _names(source, page.cursor_after(position)) == every[passed + position + 1 :]
        passed, last = passed + len(page.rows), page.next_cursor
        if last is not None:
            assert _names(source, last) == every[passed:]
    assert (passed, last) == (321, None)


# ── What refuses a write, and what rounds know of each other ────────────────────────────────────────────────


def _writers(*at: tuple[int, str, int]) -> list[Plan]:
    """Before these calls someone writes; number 0: to the table, 1: to the other one."""
    plans = [Plan() for _ in range(max(call for call, _, _ in at))]
    for call, what, number in at:
        plans[call - 1] = Plan(writers=(*plans[call - 1].writers, (what, number)))
    return plans


@pytest.fixture(params=["partiql", "update_item"])
def how(request: pytest.FixtureRequest) -> str:
    return str(request.param)


#: Calls of a round that repairs one row: the ledger's, reads of the other table and of the table, the write.
_LEDGER, _OTHER, _TABLE, _WRITE = 1, 2, 3, 4


def test_what_both_tables_get_between_the_two_reads_is_not_taken_back(how: str) -> None:
    pair = TwoTables([{**KEY, **ONE}], [{**KEY, **TWO}], _writers((_TABLE, "same version", 0)))
    carried = repairing(pair, how=how).run()
    assert carried.tally == Tally(scanned=1, current=1)
    assert pair.other.rows[ROW] == pair.table.rows[ROW] == {**KEY, "n": {"S": "theirs 1"}}
    assert pair.wrong == []


@pytest.mark.parametrize("what", ["touch", "replace", "delete", "bump"])
@pytest.mark.parametrize(("first", "other"), [(ONE, None), (ONE, TWO), (None, TWO)])
def test_a_write_is_refused_by_what_came_after_the_read_and_made_from_what_is_there_now(
    how: str, first: dict[str, Any] | None, other: dict[str, Any] | None, what: str
) -> None:
    rows = [[] if item is None else [{**KEY, **item}] for item in (first, other)]
    pair = TwoTables(rows[0], rows[1], _writers((_WRITE, what, 1)))
    carried = repairing(pair, how=how).run()
    assert pair.wrong == []
    assert carried.tally.scanned == carried.tally.settled == 1
    found, wanted = pair.other.rows.get(ROW), pair.table.rows.get(ROW)
    if what == "bump" and (first and other):  # an attribute that nothing was to be done about
        assert found == {**KEY, **ONE, "x1": {"S": "theirs 1"}}
    else:
        assert found == wanted


def test_a_row_that_someone_else_has_created_just_so_is_not_counted_as_created(how: str) -> None:
    pair = TwoTables([{**KEY, **ONE}], [])
    carried = repairing(pair, how=how)
    pair.other.put(ROW, None)
    original = pair.other._others

    def create(plan: Plan) -> None:
        if pair.calls == _WRITE:
            pair.other.put(ROW, {**KEY, **ONE})
        original(plan)

    pair.other._others = create  # type: ignore[method-assign]
    carried.run()
    assert carried.tally == Tally(scanned=1, current=1)
    assert not pair.other.done[ROW]


@pytest.mark.parametrize("lost", [False, True])
@pytest.mark.parametrize(
    ("first", "other", "outcome"), [(ONE, None, "created"), (ONE, TWO, "replaced"), (None, TWO, "removed")]
)
def test_a_write_of_an_earlier_round_that_lands_just_before_the_next_one_counts_as_what_it_was(
    how: str, first: dict[str, Any] | None, other: dict[str, Any] | None, outcome: str, lost: bool
) -> None:
    """The first round is not answered; its write lands after the second one has read the row."""
    rows = [[] if item is None else [{**KEY, **item}] for item in (first, other)]
    late = Plan(call="killed late" if lost else "timeout late", late_by=100)
    pair = TwoTables(rows[0], rows[1], [Plan(), Plan(), Plan(), late])
    carried = repairing(pair, how=how)
    carried.one_round(Life() if lost else Life(stop_at=5))
    assert carried.tally.scanned == 0
    first_call = pair.calls
    original = pair.other._others

    def land(plan: Plan) -> None:
        if pair.calls == first_call + _WRITE:
            pair.other.land()
        original(plan)

    pair.other._others = land  # type: ignore[method-assign]
    carried.run()
    assert carried.tally == Tally(scanned=1, **{outcome: 1})
    assert pair.other.done[ROW] == [outcome]


def test_a_record_that_fails_for_ever_keeps_the_doubt_of_an_earlier_round() -> None:
    keys = [{"id": {"S": f"row-{number}"}} for number in range(3)]
    pair = TwoTables(
        [{**key, **ONE} for key in keys], [], [Plan(), Plan(), Plan(), Plan(call="timeout before")]
    )
    carried = repairing(pair)
    carried.one_round(Life(stop_at=5))
    assert len(carried.running.state.unconfirmed) == 3
    pair.other.failing[(("S", "row-1"),)] = "invalid"
    carried.run()
    [isolated] = carried.isolated
    assert (isolated.unknown, isolated.creating, isolated.given_up) == (True, True, True)
    assert carried.tally == Tally(scanned=3, created=2)


@pytest.mark.parametrize(
    ("sent", "outcome"), [({"creation": True}, "created"), ({"deletion": True}, "removed"), ({}, "replaced")]
)
def test_a_redrive_knows_what_was_sent_to_a_record_that_is_equal_by_its_turn(
    sent: dict[str, bool], outcome: str
) -> None:
    """It differs when the redrive begins; what was sent before lands before the record's own activity."""
    pair = TwoTables([{**KEY, **ONE}], [{**KEY, **TWO}])
    source = KeyList(keys=[KEY], unconfirmed=[Unconfirmed(key=KEY, **sent)])
    carried = repairing(pair, source=source, isolation="record")
    carried.running.state = carried.running.state.model_copy(update={"unconfirmed": source.unconfirmed})
    carried.run()
    assert len(carried.isolated) == 1
    pair.other.put(ROW, {**KEY, **ONE})
    carried.alone()
    assert carried.tally == Tally(scanned=1, **{outcome: 1})


def test_after_a_lost_attempt_named_records_are_judged_by_what_both_tables_hold() -> None:
    keys = [{"id": {"S": f"row-{number}"}} for number in range(3)]
    pair = TwoTables([{**key, **ONE} for key in keys], [{**keys[0], **ONE}])
    carried = repairing(pair, source=KeyList(keys=keys))
    carried.running.state = carried.running.state.model_copy(update={"timed_out": True, "ahead": 2})
    carried.run()
    assert carried.tally == Tally(scanned=3, current=1, created=2)


def test_a_key_alone_is_created_and_removed(how: str) -> None:
    keys = [{"id": {"S": f"row-{number}"}} for number in range(2)]
    pair = TwoTables([keys[0]], [keys[1]])
    assert repairing(pair, how=how).run().tally == Tally(scanned=2, created=1, removed=1)
    assert list(pair.other.rows.values()) == [keys[0]]


def _wide(by: int) -> dict[str, Any]:
    return {f"attribute {number:03}": {"N": str(number + by)} for number in range(250)}


@pytest.mark.parametrize("call", range(4, 10))
@pytest.mark.parametrize("fault", ["killed before", "killed after", "timeout late", "500 after"])
@pytest.mark.parametrize(
    ("first", "other", "outcome"), [(0, 1, "replaced"), (None, 1, "removed"), (0, None, "created")]
)
def test_a_row_with_more_attributes_than_a_write_can_compare_is_written_in_parts_and_counted_once(
    how: str, first: int | None, other: int | None, outcome: str, fault: str, call: int
) -> None:
    rows = [[] if by is None else [{**KEY, **_wide(by)}] for by in (first, other)]
    pair = TwoTables(rows[0], rows[1], [*[Plan()] * (call - 1), Plan(call=fault, late_by=2)])
    carried = repairing(pair, how=how).run()
    assert carried.tally == Tally(scanned=1, **{outcome: 1})
    assert pair.other.rows.get(ROW) == pair.table.rows.get(ROW)
    assert (pair.wrong, len(pair.other.done[ROW])) == ([], 1 if outcome == "created" else 3)


@pytest.mark.parametrize("call", [4, 5, 6])
@pytest.mark.parametrize("what", ["replace", "delete", "touch"])
@pytest.mark.parametrize("first", [0, None])
def test_what_others_write_between_the_parts_is_seen(how: str, first: int | None, what: str, call: int) -> None:
    rows = [[] if by is None else [{**KEY, **_wide(by), "n": {"N": "1"}}] for by in (first, 1)]
    pair = TwoTables(rows[0], rows[1], _writers((call, what, 1)))
    carried = repairing(pair, how=how).run()
    assert carried.tally.scanned == carried.tally.settled == 1
    assert pair.wrong == []
    found, wanted = pair.other.rows.get(ROW), pair.table.rows.get(ROW)
    if what == "touch" and first is not None:  # of an attribute that was equal, and is not written
        assert found == {**(wanted or {}), "n": {"S": "theirs 1"}}
    else:
        assert found == wanted
