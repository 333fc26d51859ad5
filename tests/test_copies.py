"""What is written of a record that a replica has: an update, where the names there are known."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reindexer.items import GONE, NAMES, ORDER, Put, WireItem
from reindexer.sinks.copies import Copies
from reindexer.tally import Outcome
from tests.model_replica import aimed
from tests.model_table import ModelTable

pytestmark = pytest.mark.unit

KEY = {"id": {"S": "a"}}
MARK = {GONE: {"N": "5"}, "until": {"N": "5"}}
_bodies = st.dictionaries(st.sampled_from("abcd"), st.builds(lambda n: {"N": str(n)}, st.integers(0, 9)))


def copies(epoch: int = 7) -> Copies:
    return Copies("r", aimed().model_copy(update={"version": epoch}))


def put(order: int, body: WireItem | None, old: WireItem | None = None) -> Put:
    return Put(order, body, Outcome.UPDATED, old=None if old is None else (*KEY, *old))


def made(statement: dict[str, Any] | None, there: WireItem) -> WireItem | None:
    """The item after it; None: it is refused."""
    assert statement is not None
    table = ModelTable([there])
    [answer] = table.batch_execute_statement(Statements=[statement])["Responses"]
    return None if "Error" in answer else table.rows[table.identity(there)]


@given(_bodies, _bodies, _bodies | st.none(), st.integers(1, 3))
def test_an_update_makes_of_a_copy_what_a_put_would_or_is_refused(
    there: WireItem, old: WireItem, new: WireItem | None, order: int
) -> None:
    writes, change = copies(), put(order, new, old)
    mark = MARK if new is None else {}
    after = made(writes.update(KEY, change, mark), writes.item(KEY, put(2, there)))
    lands = there.keys() == old.keys() and order > 2
    assert after == (writes.item(KEY, change) | mark if lands else None)


def test_a_copy_of_an_earlier_epoch_is_put_whole() -> None:
    """What others have added to it would outlive a rescan."""
    there = copies(6).item(KEY, put(2, {"a": {"N": "1"}})) | {"stray": {"S": "x"}}
    change = put(3, {"a": {"N": "2"}}, {"a": {"N": "1"}})
    assert made(copies(6).update(KEY, change, {}), there) is not None
    assert made(copies(7).update(KEY, change, {}), there) is None


def test_only_a_whole_item_takes_the_place_of_a_tombstone() -> None:
    writes = copies()
    gone = writes.item(KEY, put(2, None)) | MARK
    assert made(writes.update(KEY, put(3, {}, {}), {}), gone) is None


def test_what_a_copy_leaves_out_is_none_of_its_names() -> None:
    writes = copies()
    old = {"reindexVersion": {"N": "7"}, ORDER: {"N": "9"}, NAMES: {"S": "x"}, "n": {"N": "1"}}
    assert made(
        writes.update(KEY, put(3, {"n": {"N": "2"}}, old), {}), writes.item(KEY, put(2, {"n": {"N": "1"}}))
    )


@pytest.mark.parametrize(
    "names", [["with a space"], ["a.b"], ['a"b'], ["ü"], ["", "a"], [f"a{n}" for n in range(101)], ["n" * 9000]]
)
def test_what_a_statement_cannot_name_for_certain_is_put_whole(names: list[str]) -> None:
    item: WireItem = {name: {"N": "1"} for name in names}
    assert copies().update(KEY, put(3, item, {}), {}) is None
    assert copies().update(KEY, put(3, {}, item), {}) is None
