"""The retry loop with a second batch under way: nothing is left behind, whatever the first answer says."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any

import pytest

from reindexer.models import Share, Stop
from tests.model_table import Plan
from tests.test_delivery import Bench

pytestmark = pytest.mark.unit


class Late(Executor):
    """Runs what is submitted when its result is asked for."""

    def __init__(self) -> None:
        self.under_way = self.most = 0

    def submit(self, fn: Callable[..., Any], /, *arguments: Any, **named: Any) -> Future[Any]:
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        return _Asked(lambda: self._run(lambda: fn(*arguments, **named)))

    def _run(self, call: Callable[[], Any]) -> Any:
        self.under_way -= 1
        return call()


class _Asked(Future[Any]):
    def __init__(self, call: Callable[[], Any]) -> None:
        super().__init__()
        self._call = call

    def result(self, timeout: float | None = None) -> Any:  # noqa: ARG002
        return self._call()


def run(rows: int, *plans: Plan, **more: Any) -> tuple[Bench, Late, Stop | None]:
    late = Late()
    bench = Bench(rows, *plans, ahead=late, **more)
    stop = bench.run()
    assert late.under_way == 0, "a batch was left behind"
    return bench, late, stop


def test_two_batches_are_under_way_and_no_more() -> None:
    bench, late, stop = run(110)
    assert (stop, late.most) == (None, 2)
    assert [len(batch) for batch in bench.model.batches] == [25, 25, 25, 25, 10]
    assert bench.outcomes == ["updated"] * 110


def test_what_is_to_be_sent_again_waits_for_all_answers() -> None:
    bench, _, stop = run(75, Plan(call="500 after"), Plan(statements={3: "throttled"}))
    assert stop is None
    assert bench.outcomes == ["updated"] * 75
    assert bench.delivery.attempts["ambiguous"] == 25
    assert set(bench.model.changed.values()) == {1}


def test_after_a_fault_the_other_answer_counts_too() -> None:
    late = Late()
    bench = Bench(75, Plan(call="AccessDeniedException"), ahead=late)
    bench.model.denied_from = 1
    assert bench.run() is Stop.FAULT
    assert late.under_way == 0
    assert bench.delivery.fault is not None
    assert len(bench.model.log) == 2, "the second was sent before the first was answered"


def test_a_stop_settles_what_is_under_way_and_sends_nothing_more() -> None:
    late = Late()
    bench = Bench(110, ahead=late)
    bench.context.stop_at = 3  # once two are sent, and the first is answered
    assert bench.run() is Stop.ASKED
    assert (late.under_way, len(bench.outcomes), bench.delivery.unknown) == (0, 50, [])


def test_a_defect_leaves_all_that_was_sent_unknown() -> None:
    late = Late()
    bench = Bench(75, ahead=late)
    bench.model.batch_execute_statement = _defect  # type: ignore[method-assign]
    with pytest.raises(ZeroDivisionError):
        bench.run()
    assert len(bench.delivery.unknown) == 50


def _defect(**_: Any) -> Any:
    raise ZeroDivisionError


def test_a_budget_holds_for_both_together() -> None:
    bench, _, stop = run(60, share=Share(records=30.0))
    assert stop is None
    assert bench.outcomes == ["updated"] * 60
    assert bench.context.now() - 1000 >= 1.9, "two seconds' worth, but for what the calls take"
