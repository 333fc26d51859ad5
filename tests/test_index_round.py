"""A round that fills a search index: the stored order says what became of each document."""

from __future__ import annotations

import pytest

from reindexer.models import Indexed, KeyList, Stop
from reindexer.search.documents import GONE, ORDER
from reindexer.streams.order import FAR, floor_of
from reindexer.tally import Attempts, Tally
from tests.driving import FakeContext
from tests.model_index import INDEX, ModelIndex, index_round, index_target
from tests.model_table import Killed, ModelTable

pytestmark = pytest.mark.unit

FLOOR = floor_of(7)  # the epoch of the model's target
ROWS = 40


def table(rows: int = ROWS) -> ModelTable:
    return ModelTable([{"id": {"S": f"row-{number:03}"}, "n": {"N": str(number)}} for number in range(rows)])


def test_each_row_is_written_once_at_the_floor_and_read_consistently() -> None:
    model, index = table(), ModelIndex()
    result = index_round(model, index)
    assert (result.stop, result.progress.tally) == (Stop.DONE, Tally(scanned=ROWS, updated=ROWS))
    assert set(index.accepted.values()) == {1}
    assert index.stored_documents["row-003"] == {ORDER: FLOOR, "id": "row-003", "n": 3}
    assert model.consistent_scans == [True]


def test_a_write_whose_answer_was_lost_is_settled_by_its_own_order() -> None:
    index = ModelIndex({0: "cut, applied"}.get)  # type: ignore[arg-type]
    progress = index_round(table(), index).progress
    assert progress.tally == Tally(scanned=ROWS, updated=ROWS)
    assert progress.attempts == Attempts(timeouts=ROWS, ambiguous=ROWS)
    assert set(index.accepted.values()) == {1}


def test_a_refusal_that_does_not_name_the_order_is_looked_up() -> None:
    index = ModelIndex({0: "unsaid"}.get)  # type: ignore[arg-type]
    index.stored_documents["row-001"] = {ORDER: FLOOR}  # ours, of an attempt that was lost
    index.stored_documents["row-002"] = {ORDER: FLOOR + 1}
    progress = index_round(table(), index).progress
    assert progress.tally == Tally(scanned=ROWS, updated=ROWS - 1, superseded=1)
    assert index.looks == 1
    assert index.accepted.keys() == {f"row-{number:03}" for number in range(ROWS) if number not in (1, 2)}


def test_a_document_that_has_gone_since_it_refused_the_write_is_written() -> None:
    index = ModelIndex({0: "unsaid"}.get)  # type: ignore[arg-type]
    index.stored_documents["row-001"] = {ORDER: FLOOR}
    look = index.stored

    def removed(alias: str, ids: list[str]) -> object:
        index.stored_documents.clear()
        return look(alias, ids)

    index.stored = removed  # type: ignore[method-assign,assignment]
    progress = index_round(table(2), index).progress
    assert progress.tally == Tally(scanned=2, updated=2)
    assert (index.accepted["row-001"], progress.attempts.conflicts) == (1, 1)


def test_an_order_that_no_change_of_ours_can_have_is_another_writers() -> None:
    index = ModelIndex()
    index.stored_documents["row-001"] = {ORDER: FLOOR + FAR + 1}
    result = index_round(table(), index)
    assert result.stop is Stop.FAULT
    assert result.fault is not None
    assert result.fault.code == "NotTheOnlyWriter"


def test_a_row_that_is_gone_leaves_a_tombstone_which_nothing_older_passes() -> None:
    index = ModelIndex()
    keys = KeyList(keys=[{"id": {"S": "row-001"}}, {"id": {"S": "gone"}}])
    progress = index_round(table(), index, source=keys).progress
    assert progress.tally == Tally(scanned=2, updated=1, vanished=1)
    assert GONE in index.stored_documents["gone"]
    assert index.stored_documents["gone"][ORDER] == FLOOR


def test_a_row_that_was_written_before_it_was_gone_counts_as_written() -> None:
    index = ModelIndex()
    index.stored_documents["gone"] = {ORDER: FLOOR, "id": "gone"}
    progress = index_round(table(), index, source=KeyList(keys=[{"id": {"S": "gone"}}])).progress
    assert progress.tally == Tally(scanned=1, updated=1)
    assert GONE not in index.stored_documents["gone"]


def test_what_a_rescan_leaves_out_of_its_documents_loses_the_one_of_an_earlier_epoch() -> None:
    """Of a scan nothing is written for it: the document is found by its order, and its record read again."""
    left_out = {"id": {"S": "row-000"}, "reindexGone": {"S": "a tombstone"}}
    model, index = ModelTable([left_out, {"id": {"S": "row-001"}}]), ModelIndex()
    older = {ORDER: FLOOR - 1, "id": "row-000"}
    index.stored_documents["row-000"] = dict(older)
    again = index_target().model_copy(update={"search": INDEX.model_copy(update={"refilled": True})})
    assert index_round(model, index, target=again).progress.tally == Tally(scanned=2, updated=1, filtered=1)
    assert index.stored_documents["row-000"] == older
    keys = KeyList(keys=[{"id": {"S": "row-000"}}])
    assert index_round(model, index, target=again, source=keys).progress.tally == Tally(scanned=1, filtered=1)
    assert index.stored_documents["row-000"][ORDER] == FLOOR
    assert GONE in index.stored_documents["row-000"]


def test_whoever_comes_after_a_crash_counts_what_it_left() -> None:
    model, index = table(), ModelIndex({0: "killed, applied"}.get)  # type: ignore[arg-type]
    context = FakeContext(model.clock)
    with pytest.raises(Killed):
        index_round(model, index, context)
    before = context.delivered
    assert before.tally == Tally()
    result = index_round(model, index, cursor=before.cursor)
    assert result.progress.tally == Tally(scanned=ROWS, updated=ROWS)
    assert set(index.accepted.values()) == {1}


def test_an_answer_for_half_of_the_documents_settles_none_of_them() -> None:
    index = ModelIndex({0: "half"}.get)  # type: ignore[arg-type]
    progress = index_round(table(), index).progress
    assert progress.tally == Tally(scanned=ROWS, updated=ROWS)
    assert progress.attempts.ambiguous == ROWS
    assert set(index.accepted.values()) == {1}


def test_writes_go_through_the_private_alias_of_the_index() -> None:
    assert INDEX.write_alias not in (INDEX.alias, INDEX.index)
    index = ModelIndex()
    assert index_round(table(1), index).progress.tally == Tally(scanned=1, updated=1)


def test_an_index_that_holds_less_than_was_written_is_not_complete() -> None:
    held = Indexed(index="t-7", alias="t", documents=2, expected=3)
    assert not held.complete
    assert held.model_copy(update={"documents": 3}).complete
    assert held.model_copy(update={"documents": 4}).complete  # where counts may have been lost


def test_an_index_of_which_every_record_was_compared_holds_exactly_their_documents() -> None:
    held = Indexed(index="t-7", alias="t", documents=4, expected=3, exactly=3)
    assert not held.complete
    assert held.shortfall == "the index holds 4 documents, and 3 records have one"
    assert held.model_copy(update={"documents": 3}).complete
