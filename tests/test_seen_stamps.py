"""What was read with a stamp: kept in the ledger, found from a place on, dropped when it is of no use."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Any

import pytest

from activities.seen_stamps import LedgerSeen, seen_by
from reindexer.answers import Action, CallFailed
from reindexer.errors import EnvironmentFault, Refused, Unavailable
from reindexer.items import key_identity
from reindexer.ledger import Ledger
from reindexer.models import RoundInput, ShardPlace, Unstamp
from reindexer.sinks.seen_stamps import DIGEST_BYTES, DRIFT_ROWS, digest
from tests.driving import SEGMENT, FakeContext, target
from tests.model_table import Clock

PLACE = ShardPlace(job="job-a", run="r1", index=3)


def some(first: int, number: int) -> list[bytes]:
    return [digest({"id": {"S": str(each)}}) for each in range(first, first + number)]


def test_one_key_has_one_digest() -> None:
    assert digest({"id": {"N": "1"}}) == digest({"id": {"N": "1.0"}}) != digest({"id": {"S": "1"}})
    assert digest({"a": {"S": "x"}, "b": {"B": b"y"}}) == digest({"b": {"B": b"y"}, "a": {"S": "x"}})
    assert len(set(some(0, 10_000))) == 10_000
    assert {len(each) for each in some(0, 10)} == {DIGEST_BYTES}
    assert key_identity({"id": {"N": "1"}}) == key_identity({"id": {"N": "1E0"}})


def test_what_was_kept_is_found_from_its_place_on_whoever_kept_it(each_ledger: Ledger) -> None:
    each_ledger.seen.put(PLACE, 1000, "a", some(0, 900))
    each_ledger.seen.put(PLACE, 1000, "b", some(900, 2))
    each_ledger.seen.put(PLACE, 2000, "a", some(1000, 1))
    each_ledger.seen.put(PLACE.model_copy(update={"index": 4}), 9000, "a", some(5000, 1))
    each_ledger.seen.put(PLACE.model_copy(update={"run": "r2"}), 9000, "a", some(5000, 1))
    assert each_ledger.seen.since(PLACE, -5) == set(some(0, 902) + some(1000, 1))
    assert each_ledger.seen.since(PLACE, 999) == set(some(0, 902) + some(1000, 1))
    assert each_ledger.seen.since(PLACE, 1000) == set(some(1000, 1))
    assert each_ledger.seen.since(PLACE, 2000) == set()


def test_a_large_page_takes_several_items_and_the_end_of_the_job_clears_all(each_ledger: Ledger) -> None:
    each_ledger.seen.put(PLACE, 70_000, "a", some(0, 65_000))
    assert len(each_ledger.seen.since(PLACE, 0)) == 65_000
    assert each_ledger.kept.clear("job-a", "r1") == 3
    assert each_ledger.seen.since(PLACE, 0) == set()


def test_what_lies_far_behind_is_dropped(each_ledger: Ledger) -> None:
    for end in (1000, 2000, 3000):
        each_ledger.seen.put(PLACE, end, "a", some(end, 1))
    assert each_ledger.seen.drop(PLACE, 2000) == 2
    assert each_ledger.seen.since(PLACE, 0) == set(some(3000, 1))


class Scripted:
    """A ledger that does as the test asks."""

    def __init__(self, error: Exception | None = None, seconds: float = 0.0) -> None:
        self.seen, self._error, self._seconds = self, error, seconds
        self.put_with: list[tuple[int, Sequence[bytes]]] = []
        self.dropped = threading.Event()
        self.asked: list[int] = []

    def put(self, _place: ShardPlace, end: int, _attempt: str, digests: Sequence[bytes]) -> None:
        time.sleep(self._seconds)
        if self._error:
            raise self._error
        self.put_with.append((end, digests))

    def since(self, _place: ShardPlace, start: int) -> set[bytes]:
        self.asked.append(start)
        return set()

    def drop(self, _place: ShardPlace, start: int) -> int:
        self.asked.append(start)
        self.dropped.set()
        raise Unavailable("LedgerUnavailable", "no")  # of which nothing must come


def made(ledger: Scripted, context: FakeContext | None = None, rows_read: int = 0) -> LedgerSeen:
    used: Any = ledger
    return LedgerSeen(used, PLACE, context or FakeContext(Clock()), rows_read)


def test_a_round_asks_for_more_than_its_own_place_and_drops_what_no_one_asks_for() -> None:
    ledger = Scripted()
    seen = made(ledger, rows_read=DRIFT_ROWS + 7)
    assert ledger.dropped.wait(5)
    seen.since(DRIFT_ROWS + 20)
    assert ledger.asked == [7, 20]
    seen.close()


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (Unavailable("LedgerUnavailable", "no answer"), CallFailed),
        (EnvironmentFault("LedgerDenied", "denied"), EnvironmentFault),
        (Refused("there is no ledger", "LedgerMissing"), EnvironmentFault),
    ],
)
def test_a_ledger_that_does_not_answer_is_tried_again_and_one_that_refuses_parks(
    error: Exception, raised: type[Exception]
) -> None:
    with pytest.raises(raised) as found:
        made(Scripted(error)).keep(10, some(0, 1))
    if isinstance(found.value, CallFailed):
        assert found.value.failure.action is Action.RETRY


def test_it_heartbeats_while_the_ledger_is_slow_and_lets_go_when_asked_to_stop() -> None:
    context = FakeContext(Clock())
    made(Scripted(seconds=0.5), context).keep(10, some(0, 1))
    assert context.beats >= 2
    with pytest.raises(CallFailed):
        made(Scripted(seconds=0.5), FakeContext(Clock(), stop_at=1)).keep(10, some(0, 1))


def test_only_a_job_that_removes_stamps_has_any() -> None:
    ledger: Any = Scripted()
    request = RoundInput(target=target(), source=SEGMENT, place=PLACE)
    with seen_by(ledger, request, FakeContext(Clock())) as seen:
        assert seen is None
    request = request.model_copy(update={"target": target(operation=Unstamp(kind="unstamp"))})
    with seen_by(ledger, request, FakeContext(Clock())) as seen:
        assert seen is not None
