"""An isolated record on its own: one attempt, one honest answer."""

from __future__ import annotations

from typing import Any

from reindexer.dynamo.table import TableClient
from reindexer.models import CLOCK_WRONG, Isolated, RecordInput, RecordResult
from reindexer.rounds.pending_write import Patience
from reindexer.table_rounds import attempt_record
from tests.driving import FakeContext, target
from tests.model_table import ModelTable, Plan
from tests.test_round import VERSION, table
from workflows.options import record_options


def record(model: ModelTable, **more: Any) -> RecordResult:
    isolated = Isolated(key={"id": {"S": "row-00000"}}, attempts=5, **more)
    calls = TableClient(model, "t")  # type: ignore[arg-type]
    return attempt_record(RecordInput(target=target(), record=isolated), calls, FakeContext(model.clock))


def test_an_isolated_record_is_settled_on_its_own() -> None:
    assert record(table(1)).outcome == "updated"
    assert record(table(0)).outcome == "vanished"


def test_an_isolated_record_that_fails_again_is_handed_back_after_one_attempt() -> None:
    model = table(1, {2: Plan(call="500 before")})
    result = record(model)
    assert (result.outcome, result.retry, result.record.unknown, result.record.attempts) == (
        None,
        True,
        True,
        6,
    )


def test_an_isolated_record_whose_write_had_landed_is_found_and_ambiguous() -> None:
    model = table(1, stored={VERSION: {"N": "7"}, "reindexRun": {"S": "run-1"}})
    result = record(model, unknown=True)
    assert (result.outcome, result.attempts.ambiguous) == ("updated", 1)


def test_an_unknown_record_stays_unknown_when_there_was_no_time_for_it() -> None:
    model = table(1)
    model.plan = lambda _: Plan(call="throttled")
    result = record(model, unknown=True)
    assert (result.outcome, result.waiting, result.record.unknown) == (None, True, True)


def test_an_isolated_record_is_not_given_up_for_what_may_not_be_its_own() -> None:
    for code, named in (("NeverHeardOf", "NeverHeardOf"), ("RequestTimeTooSkewed", CLOCK_WRONG)):
        model = table(1)
        model.plan = lambda call, code=code: Plan(call=code) if call > 1 else None  # type: ignore[misc]
        result = record(model)
        assert (result.outcome, result.retry, result.record.given_up) == (None, False, False)
        assert result.fault
        assert result.fault.code == named


def test_bad_luck_alone_gives_a_record_up_in_less_than_one_job_of_a_thousand() -> None:
    """100,000 records, one call in three failing. A bound: a failed probe does not count against a record."""
    policy = record_options(10.0)["retry_policy"]
    in_a_row = Patience().isolate_after + policy.maximum_attempts
    assert 100_000 * (1 / 3) ** in_a_row < 1 / 1000
    seconds, interval = 0.0, policy.initial_interval.total_seconds()
    for _ in range(policy.maximum_attempts - 1):
        seconds += interval
        interval = min(2 * interval, policy.maximum_interval.total_seconds())
    assert 30 < seconds < 60, "what fails for good is given up within the minute"
