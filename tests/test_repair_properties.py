"""Whatever happens to a repair: each difference has one outcome, nothing of other writers is lost unseen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from reindexer.models import Progress
from reindexer.rounds.pending_write import Patience
from tests.driving import Life, Shard
from tests.model_table import Identity, Plan
from tests.properties import check_account, isolated_by_identity
from tests.repairing import ITS_OWN, RepairingShard, TwoTables, compared, counted, repairing
from tests.strategies import lives, patiences, schedules

KEYS = 20  # as many numbers again name a key of the other table: half of those that `schedules` draws
Two = tuple[dict[str, Any] | None, dict[str, Any] | None]
_ONE, _TWO = {"n": {"N": "1"}}, {"n": {"N": "2"}, "more": {"SS": ["a", "b"]}}
#: A row of both tables, without its key.
ROWS: Sequence[Two] = (
    (_ONE, None), (_TWO, None), ({}, None),
    (None, _ONE), (None, _TWO), (None, {}), (None, {**_TWO, **ITS_OWN}),
    (_ONE, _TWO), (_TWO, _ONE), (_TWO, {}), ({}, _TWO), (_ONE, {**_TWO, **ITS_OWN}),
    (_ONE, {**_ONE, "reindexGone": {"N": "5"}}),
    (_ONE, _ONE), (None, {**_ONE, "reindexGone": {"N": "5"}}), (_TWO, {**_TWO, **ITS_OWN}),
)  # fmt: skip
_row = st.sampled_from(ROWS)
tables = st.lists(_row, min_size=1, max_size=KEYS) | st.lists(_row, min_size=KEYS, max_size=KEYS)
writer = st.sampled_from(["partiql", "update_item"])
together = st.integers(1, 7)
#: Records that fail for ever, as those of `strategies.troubled`.
troubled = st.dictionaries(
    st.integers(0, KEYS - 1),
    st.sampled_from(("500 before", "500 after", "500 late", "invalid", "poison")),
    max_size=3,
)


def two_tables(
    rows: Sequence[Two], schedule: Sequence[Plan] = (), bad: dict[int, str] | None = None
) -> TwoTables:
    halves: tuple[list[Any], list[Any]] = ([], [])
    for number, each in enumerate(rows):
        for half, row in zip(halves, each, strict=True):
            if row is not None:
                half.append({"id": {"S": f"row-{number:03}"}, **row})
    pair = TwoTables(*halves, schedule)
    for number, fault in (bad or {}).items():
        if fault == "poison":
            pair.other.poison.add(pair.keys[number % len(pair.keys)])
        else:
            pair.other.failing[pair.keys[number % len(pair.keys)]] = fault
    return pair


def _is_repaired(pair: TwoTables, identity: Identity) -> bool:
    return compared(pair.table.rows.get(identity)) == compared(pair.other.rows.get(identity))


def _covered(carried: Shard, progress: Progress) -> None:
    assert isinstance(carried, RepairingShard)
    isolated = {carried.model.identity(dict(one.key)) for one in (*progress.isolated, *carried.isolated)}
    for identity in carried.passed(progress.cursor):
        assert identity in isolated or _is_repaired(carried.pair, identity), f"the cursor is past {identity}"


def _check_end(carried: RepairingShard) -> None:
    check_account(carried)
    pair = carried.pair
    assert pair.wrong == []
    assert carried.tally.scanned == sum(map(len, carried.chunks))
    isolated = isolated_by_identity(carried)
    for chunk in carried.chunks:
        for found in chunk:
            identity = pair.other.identity(dict(found.key))
            if identity not in isolated and not pair.disturbed_since(identity):
                assert _is_repaired(pair, identity), f"{identity} differs still"
    for identity in pair.keys:
        if identity not in pair.table.disturbed:
            assert pair.table.rows.get(identity) == pair.table.first.get(identity), "it wrote to the table"


@given(tables, schedules(writers=False), lives, patiences, writer, troubled, together)
def test_on_quiet_tables_the_counts_are_exact_whatever_fails(
    rows: list[Two],
    schedule: list[Plan],
    more: list[Life],
    patience: Patience,
    how: str,
    bad: dict[int, str],
    together: int,
) -> None:
    pair = two_tables(rows, schedule, bad)
    carried = repairing(pair, patience, how, together)
    carried.check = _covered
    carried.run(more)
    _check_end(carried)
    carried.alone()
    _check_end(carried)
    isolated = isolated_by_identity(carried)
    settled = [
        found.kind
        for chunk in carried.chunks
        for found in chunk
        if pair.other.identity(dict(found.key)) not in isolated
    ]
    assert Counter(carried.tally.counted) == counted(settled)
    assert all(len(kinds) == 1 for kinds in pair.other.done.values()), "written twice"
    assert set(isolated) <= pair.other.failing.keys() | pair.other.poison


@given(tables, schedules(writers=True), lives, patiences, writer, troubled, together)
def test_with_other_writers_each_difference_has_one_outcome_and_nothing_of_theirs_is_lost_unseen(
    rows: list[Two],
    schedule: list[Plan],
    more: list[Life],
    patience: Patience,
    how: str,
    bad: dict[int, str],
    together: int,
) -> None:
    pair = two_tables(rows, schedule, bad)
    carried = repairing(pair, patience, how, together).run(more)
    assert isinstance(carried, RepairingShard)
    _check_end(carried)
    carried.alone()
    _check_end(carried)
