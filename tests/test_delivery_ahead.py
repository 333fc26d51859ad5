"""The retry loop with batches under way: nothing is left behind, whatever the first answer says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

from reindexer.models import Share, Stop
from tests.model_table import Plan
from tests.test_delivery import Bench

pytestmark = pytest.mark.unit


class OneByOne(ThreadPoolExecutor):
    """Calls in the order in which they were sent, in a thread of their own."""

    def __init__(self) -> None:
        super().__init__(1)
        self.calls: list[Future[Any]] = []

    def submit(self, fn: Callable[..., Any], /, *arguments: Any, **named: Any) -> Future[Any]:
        self.calls.append(super().submit(fn, *arguments, **named))
        return self.calls[-1]


@contextmanager
def bench(rows: int, *plans: Plan, **more: Any) -> Iterator[tuple[Bench, OneByOne]]:
    """Of which no call is left behind."""
    with OneByOne() as pool:
        yield Bench(rows, *plans, ahead=pool, **more), pool
        assert all(call.done() for call in pool.calls)


def test_all_that_is_sent_ahead_is_settled_once() -> None:
    with bench(160) as (over, pool):
        assert over.run() is None
    assert [len(batch) for batch in over.model.batches] == [25] * 6 + [10]
    assert over.outcomes == ["updated"] * 160
    assert len(pool.calls) == 7


def test_what_is_to_be_sent_again_waits_for_all_answers() -> None:
    with bench(75, Plan(call="500 after"), Plan(statements={3: "throttled"})) as (over, _):
        assert over.run() is None
    assert over.outcomes == ["updated"] * 75
    assert over.delivery.attempts["ambiguous"] == 25
    assert set(over.model.changed.values()) == {1}


def test_after_a_fault_the_other_answers_count_too() -> None:
    with bench(150) as (over, _):
        over.model.denied_from = 2
        assert over.run() is Stop.FAULT
    assert over.delivery.fault is not None
    assert (len(over.outcomes), over.model.log) == (25, ["write"] * 6), "the second of six calls"


def test_calls_that_fail_together_are_one_failure() -> None:
    """They were made before the first of them failed: the service may be there by now."""
    with bench(100, *[Plan(call="timeout before")] * 4) as (over, _):
        assert over.run() is None
    assert over.outcomes == ["updated"] * 100


def test_a_stop_settles_what_is_under_way_and_sends_nothing_more() -> None:
    with bench(110) as (over, _):
        over.context.stop_at = 3  # once two are sent
        assert over.run() is Stop.ASKED
    assert (len(over.outcomes), over.delivery.unknown) == (50, [])


def test_a_defect_leaves_all_that_was_sent_unknown_and_none_under_way() -> None:
    with bench(75) as (over, _):
        over.model.batch_execute_statement = _defect  # type: ignore[method-assign]
        with pytest.raises(ZeroDivisionError):
            over.run()
    assert len(over.delivery.unknown) == 75


def _defect(**_: Any) -> Any:
    raise ZeroDivisionError


def test_a_budget_holds_for_all_that_is_under_way() -> None:
    with bench(60, share=Share(records=30.0)) as (over, _):
        began = over.context.now()
        assert over.run() is None
    assert over.outcomes == ["updated"] * 60
    assert over.context.now() - began >= 1.9, "two seconds' worth"


def test_what_is_under_way_has_had_its_part_of_the_budget() -> None:
    with bench(60, share=Share(records=30.0)) as (over, _):
        over.context.clock.now += 1.0  # a second's worth is there
        assert over.run() is None
    assert [len(batch) for batch in over.model.batches][:2] == [25, 5]
