"""A round that writes documents again, beside a follow: whatever comes between, no newer change is hidden."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from reindexer.models import KeyList, RoundResult, Segment, Stop
from reindexer.search.client import Stored
from reindexer.search.documents import GONE, ORDER
from reindexer.streams.order import FAR, floor_of
from reindexer.tally import Tally
from tests.model_index import ModelIndex, index_round, refresh_target
from tests.model_table import ModelTable
from tests.written_jobs import offer, write_job

FLOOR = floor_of(7)  # the epoch of the model's target
KEY = {"id": {"S": "a"}}
NAMED = KeyList(keys=[KEY])


def row(state: int) -> dict[str, Any]:
    return {**KEY, "n": {"N": str(state)}}


class World:
    """One record, its writer, a scan and a follow. Each of their steps comes before some call of the round.

    `script`: steps in their order. "put", "delete": the writer's; "carry": the follow carries the next of them;
    "scan reads", "scan writes": of the job that fills the index; "purge": the follow removes a tombstone.
    """

    def __init__(self, script: Sequence[str], ticks: Sequence[int], stored: int | None, *, there: bool) -> None:
        """`ticks`: before which call each step happens; `stored`: the order that is there at the beginning."""
        self.steps = list(zip(script, ticks, strict=True))
        self.tick = 0
        self.table = ModelTable([row(0)] if there else [], plan=self._before_table)
        self.index = _Hooked(self.before)
        self.changes: list[dict[str, Any] | None] = []
        self.carried = 0
        self.scanned: dict[str, Any] | None = None
        if stored is not None:
            self.store(stored, row(0) if there else None)

    def round(self) -> RoundResult:
        """Of the record alone."""
        return index_round(self.table, self.index, target=refresh_target(), source=NAMED)

    def refreshed(self) -> RoundResult:
        """After all steps."""
        result = self.round()
        for step, _ in self.steps:
            self._do(step)
        self.steps = []
        return result

    @property
    def equal(self) -> bool:
        """Whether what is there is what the row is."""
        there = next(iter(self.table.rows.values()), None)
        _, shown = self.stored or (0, None)
        return shown == (None if there is None else int(there["n"]["N"]))

    @property
    def stored(self) -> tuple[int, int | None] | None:
        """(order, state; None: a tombstone); None: nothing is there."""
        found = self.index.stored_documents.get("a")
        return None if found is None else (found[ORDER], None if GONE in found else found["n"])

    def _before_table(self, _: int) -> None:
        self.before()

    def before(self) -> None:
        """A call."""
        while self.steps and self.steps[0][1] <= self.tick:
            self._do(self.steps.pop(0)[0])
        self.tick += 1

    def _do(self, step: str) -> None:
        identity = self.table.identity(KEY)
        if step == "put":
            self.changes.append(row(len(self.changes) + 1))
            self.table.rows[identity] = row(len(self.changes))
        elif step == "delete":
            self.changes.append(None)
            self.table.rows.pop(identity, None)
        elif step == "carry":
            self._land(FLOOR + 1 + self.carried + 1, self.changes[self.carried])
            self.carried += 1
        elif step == "scan reads":
            self.scanned = self.table.rows.get(identity)
        elif step == "scan writes" and self.scanned is not None:
            self._land(FLOOR, self.scanned)
        elif step == "purge" and self.stored and self.stored[1] is None:
            self.purge()

    def _land(self, order: int, item: Mapping[str, Any] | None) -> None:
        if self.stored is None or self.stored[0] < order:
            self.store(order, item)

    def purge(self) -> None:
        """The tombstone goes."""
        del self.index.stored_documents["a"]

    def store(self, order: int, item: Mapping[str, Any] | None) -> None:
        """Whatever is there."""
        content = {GONE: "2026"} if item is None else {"id": "a", "n": int(item["n"]["N"])}
        self.index.stored_documents["a"] = {ORDER: order, **content}


class _Hooked(ModelIndex):
    def __init__(self, before: Callable[[], None]) -> None:
        super().__init__()
        self._before = before

    def bulk(self, body: bytes, documents: int) -> Sequence[Mapping[str, Any]]:
        self._before()
        return super().bulk(body, documents)

    def stored(self, index: str, ids: Sequence[str]) -> list[Stored | None]:
        self._before()
        return super().stored(index, ids)


def interleavings(steps: int, calls: int) -> Iterator[tuple[int, ...]]:
    """Before which call each step happens."""
    return itertools.combinations_with_replacement(range(calls), steps)


SCRIPTS = (
    ("put", "carry"),
    ("put", "put", "carry", "carry"),
    ("put", "carry", "delete", "carry"),
    ("delete", "carry", "put", "carry"),
    ("delete", "carry", "purge", "put", "carry"),
    ("put", "delete", "carry", "carry"),
    ("scan reads", "scan writes"),
    ("scan reads", "put", "scan writes", "carry"),
    ("scan reads", "delete", "scan writes", "carry"),
    ("scan reads", "delete", "carry", "scan writes"),
)


#: What is there at the beginning, by its order, and whether the table has the record.
BEGINNINGS = ((None, True), (None, False), (FLOOR, True), (FLOOR + 1, True), (FLOOR + 1, False))
#: Of a round that is not refused before each of its four, and after them; at night of one that is refused too.
CALLS = pytest.mark.parametrize("calls", [5, pytest.param(7, marks=pytest.mark.nightly)])


@CALLS
@pytest.mark.parametrize("script", SCRIPTS, ids=", ".join)
@pytest.mark.parametrize(("stored", "there"), BEGINNINGS)
def test_no_interleaving_hides_a_newer_change(
    script: tuple[str, ...], stored: int | None, there: bool, calls: int
) -> None:
    for ticks in interleavings(len(script), calls):
        world = World(script, ticks, stored, there=there)
        result = world.refreshed()
        assert (result.stop, result.progress.tally.scanned) == (Stop.DONE, 1), ticks
        assert result.progress.tally.settled == 1, ticks
        assert world.equal, ticks


def test_without_a_follow_the_scan_keeps_what_it_has_read_later() -> None:
    world = World(("put", "scan reads", "scan writes"), (3, 3, 3), None, there=True)
    assert world.refreshed().progress.tally == Tally(scanned=1, updated=1)
    assert world.equal


def refreshed(table: ModelTable, index: ModelIndex, *names: str, **more: Any) -> RoundResult:
    keys = KeyList(keys=[{"id": {"S": name}} for name in names])
    return index_round(table, index, target=refresh_target(), source=keys, **more)


def test_a_document_keeps_its_order_and_gets_what_the_row_is_now() -> None:
    index = ModelIndex()
    index.stored_documents = {"a": {ORDER: FLOOR + 9, "id": "a", "n": 1}, "b": {ORDER: FLOOR, "n": 1}}
    table = ModelTable([row(2), {"id": {"S": "c"}}])
    progress = refreshed(table, index, "a", "b", "c", "d").progress
    assert progress.tally == Tally(scanned=4, updated=2, vanished=2)
    assert index.stored_documents["a"] == {ORDER: FLOOR + 9, "id": "a", "n": 2}
    assert index.stored_documents["c"] == {ORDER: FLOOR, "id": "c"}
    assert [index.stored_documents[name][ORDER] for name in ("b", "d")] == [FLOOR, FLOOR]
    assert all(GONE in index.stored_documents[name] for name in ("b", "d"))


def test_a_write_whose_answer_was_lost_is_sent_again_and_counts_once() -> None:
    index = ModelIndex({0: "cut, applied", 1: "cut"}.get)  # type: ignore[arg-type]
    index.stored_documents = {"a": {ORDER: FLOOR + 9, "id": "a", "n": 1}}
    progress = refreshed(ModelTable([row(2), {"id": {"S": "c"}}]), index, "a", "c").progress
    assert progress.tally == Tally(scanned=2, updated=2)
    assert index.stored_documents["a"] == {ORDER: FLOOR + 9, "id": "a", "n": 2}


def test_a_refusal_that_does_not_name_the_order_is_looked_up() -> None:
    world = World(("put", "carry"), (2, 3), FLOOR, there=True)
    world.index._plan = {0: "unsaid"}.get  # type: ignore[assignment]
    assert world.refreshed().progress.tally == Tally(scanned=1, updated=1)
    assert (world.index.looks, world.equal) == (2, True)


def test_a_record_that_is_refused_each_time_leaves_the_round_in_the_end() -> None:
    index = ModelIndex()
    write = index._write

    def refused(action: Mapping[str, Any], source: dict[str, Any], *, said: bool) -> dict[str, Any]:
        index.stored_documents["a"] = {ORDER: action["version"] + 1}
        return write(action, source, said=said)

    index._write = refused  # type: ignore[method-assign]
    progress = refreshed(ModelTable([row(1)]), index, "a").progress
    [record] = progress.isolated
    assert (record.error, progress.attempts.conflicts, progress.tally) == ("Conflict", 11, Tally(scanned=1))


def test_an_order_that_no_change_of_ours_can_have_is_another_writers() -> None:
    index = ModelIndex()
    index.stored_documents["a"] = {ORDER: FLOOR + FAR + 1}
    result = refreshed(ModelTable([row(1)]), index, "a")
    assert result.fault is not None
    assert (result.stop, result.fault.code) == (Stop.FAULT, "NotTheOnlyWriter")


def test_records_are_read_in_hundreds_and_go_on_from_any_of_them() -> None:
    names = [f"row-{number:03}" for number in range(250)]
    table, index = ModelTable([{"id": {"S": name}} for name in names]), ModelIndex()
    result = index_round(table, index, target=refresh_target(), source=Segment(segment=0, total=1))
    assert result.progress.tally == Tally(scanned=250, updated=250)
    assert index.looks == 3
    assert set(index.stored_documents) == set(names)


def test_documents_that_a_job_makes_are_made_by_it_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = write_job(tmp_path, "def document(item, params):\n    return {'twice': 2 * item['n']}")
    offer(monkeypatch, job)
    aimed = refresh_target(code=job.code)
    by_job = aimed.operation.model_copy(update={"job": job.name})
    model, index = ModelTable([row(3)]), ModelIndex()
    target = aimed.model_copy(update={"operation": by_job})
    result = index_round(model, index, target=target, source=NAMED)
    assert (result.stop, result.progress.tally) == (Stop.DONE, Tally(scanned=1, updated=1))
    assert index.stored_documents["a"] == {ORDER: FLOOR, "twice": 6}
