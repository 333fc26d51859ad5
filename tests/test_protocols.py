"""A round between a source and a destination that are no table: it knows them by their protocols alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import pytest

from reindexer.answers import Action, Answers, Failure
from reindexer.items import Cursor, WireItem, WireKey, Write
from reindexer.models import Fault, Isolated, RoundInput, RoundResult, Stop, Unconfirmed
from reindexer.page import Page
from reindexer.rounds.pending_write import PendingWrite
from reindexer.rounds.protocols import Again, Refusal, Verdict
from reindexer.rounds.round import Round
from reindexer.tally import Outcome, Tally
from reindexer.throttle import Budget
from tests.driving import SEGMENT, FakeContext, target
from tests.model_table import Clock

SETTLE = Failure("Refused", "", Action.SETTLE)


class Offsets:
    """A source whose cursor is an offset in a named list."""

    def __init__(self, count: int, page_rows: int = 10) -> None:
        self.count, self.page_rows = count, page_rows
        self.asked: list[Cursor | None] = []

    def pages(self, cursor: Cursor | None, rows_read: int, budget: Budget) -> Iterator[Page]:  # noqa: ARG002
        self.asked.append(cursor)
        start = cursor["at"]["offset"] if cursor else 0
        assert start == rows_read
        for first in range(start, self.count, self.page_rows):
            rows: list[WireItem] = [
                {"id": {"S": str(n)}} for n in range(first, min(self.count, first + self.page_rows))
            ]
            end = first + len(rows)
            yield Page(rows, _at(end) if end < self.count else None, partial(_after, first), 1.0)


def _after(first: int, position: int) -> Cursor:
    return _at(first + position + 1)


def _at(offset: int) -> Cursor:
    return {"list": ["a", 1], "at": {"offset": offset, "none": None}}


class Shelf:
    """A destination, its sink and what its answers mean, in one: it refuses what it was made to, once each."""

    def __init__(self, refusing: dict[str, Verdict] | None = None, follow_up: str = "", size: int = 0) -> None:
        self.refusing, self.follow_up, self.size = refusing or {}, follow_up, size
        self.sink = self.meaning = self
        self.max_batch, self.may_look_ahead, self.unconfirmed_bytes = 100, True, 0
        self.max_changes, self.max_bytes = 4, 1000
        self.attempts: Counter[str] = Counter()
        self.read_units = 0.0
        self.calls: list[list[str]] = []
        self.left: list[str] = []

    def size_of(self, write: Write) -> int:  # noqa: ARG002
        return self.size

    def attempt(self, writes: Sequence[tuple[WireKey, Write]]) -> Answers:
        names = [key["id"]["S"] for key, _ in writes]
        self.calls.append(names)
        return Answers([SETTLE if name in self.refusing else None for name in names], None)

    def healthy(self) -> bool:
        return True

    def applied(self, work: PendingWrite) -> Outcome | Write:
        if work.key["id"]["S"] == self.follow_up and not work.deleting:
            work.deleting = True
            return Write(delete=True)
        return Outcome.DELETED if work.write.delete else Outcome.UPDATED

    def refused(self, refusals: Sequence[Refusal]) -> Iterator[tuple[PendingWrite, Verdict]]:
        for work, _ in refusals:
            yield work, self.refusing.pop(work.key["id"]["S"])

    def isolated(self, work: PendingWrite, *, given_up: bool) -> Isolated:
        return Isolated(key=work.key, error=work.error, given_up=given_up)

    def turn_to(self, page: Page) -> Page:
        return page

    def begin(self, position: int, key: WireKey, item: WireItem | None) -> PendingWrite | Outcome | Isolated:
        if item is None:
            return Outcome.VANISHED
        return Outcome.CURRENT if key["id"]["S"] == "3" else PendingWrite(position, key, Write())

    def settled(self, key: WireKey, _result: Outcome | Isolated) -> None:
        self.left.append(key["id"]["S"])

    def unconfirmed(self, *_: Any) -> list[Unconfirmed]:
        return []

    def take_deleted(self) -> tuple[list[str | None], float]:
        return [], 0.0


def carried(source: Offsets, shelf: Shelf, **more: Any) -> RoundResult:
    request = RoundInput(target=target(), source=SEGMENT, **more)
    return Round(request, source, shelf, FakeContext(Clock())).run()


def test_a_cursor_of_any_shape_travels_and_only_its_source_reads_it() -> None:
    shelf = Shelf({"12": Fault(code="Gone", message="the shelf is gone")})
    first = carried(Offsets(30), shelf)
    assert (first.stop, first.progress.cursor) == (Stop.FAULT, _at(12))
    travelled = RoundResult.model_validate_json(first.model_dump_json()).progress
    source = Offsets(30)
    second = carried(source, Shelf(), cursor=travelled.cursor, rows_read=travelled.tally.scanned)
    assert source.asked == [_at(12)]
    assert second.stop is Stop.DONE
    assert travelled.tally + second.progress.tally == Tally(scanned=30, updated=29, current=1)


def test_a_call_carries_as_much_as_its_sink_takes() -> None:
    shelf = Shelf()
    carried(Offsets(10), shelf)
    assert [len(call) for call in shelf.calls] == [4, 4, 1]
    heavy = Shelf(size=400)
    carried(Offsets(10), heavy)
    assert max(len(call) for call in heavy.calls) == 2


@pytest.mark.parametrize(
    ("verdict", "outcome", "calls"),
    [
        (Outcome.SUPERSEDED, Outcome.SUPERSEDED, 1),
        (Again(1), Outcome.UPDATED, 2),
        (Failure("Busy", "", Action.WAIT, counter="throttled"), Outcome.UPDATED, 2),
        (Isolated(key={"id": {"S": "2"}}), None, 1),
    ],
)
def test_a_refused_change_comes_to_what_its_destination_says(
    verdict: Verdict, outcome: Outcome | None, calls: int
) -> None:
    shelf = Shelf({"2": verdict})
    result = carried(Offsets(3), shelf)
    assert sum("2" in call for call in shelf.calls) == calls
    assert result.progress.tally.scanned == 3
    if outcome is None:
        assert result.progress.isolated == [verdict]
    else:
        assert result.progress.tally == Tally(scanned=3, updated=2).plus(outcome)
    assert result.progress.attempts.throttled == isinstance(verdict, Failure)
    assert sorted(shelf.left) == ["0", "1", "2"]


def test_one_more_change_may_follow_an_applied_one() -> None:
    shelf = Shelf(follow_up="1")
    result = carried(Offsets(3), shelf)
    assert shelf.calls == [["0", "1", "2"], ["1"]]
    assert result.progress.tally == Tally(scanned=3, updated=2, deleted=1)
