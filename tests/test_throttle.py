"""Token buckets and back-off."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from reindexer.models import Levels, Share
from reindexer.throttle import Budget, TokenBucket, backoff
from tests.driving import FakeContext
from tests.model_table import Clock


def test_without_a_rate_everything_passes() -> None:
    bucket = TokenBucket(None, 0.0)
    assert bucket.affordable(1e9, 25, 0.0) == 25
    assert bucket.seconds_until(1e9, 0.0) == 0.0


def test_a_bucket_starts_empty_and_saves_up_one_second_at_the_most() -> None:
    bucket = TokenBucket(10.0, 0.0)
    assert bucket.affordable(1.0, 25, 0.0) == 0
    assert bucket.affordable(1.0, 25, 0.5) == 5
    assert bucket.affordable(1.0, 25, 3600.0) == 10


def test_a_debt_is_paid_back_before_anything_passes() -> None:
    bucket = TokenBucket(10.0, 0.0)
    bucket.spend(30.0, 1.0)
    assert bucket.affordable(1.0, 25, 2.9) == 0
    assert bucket.seconds_until(1.0, 1.0) == 2.1


@given(
    st.floats(0.01, 1000.0),
    st.lists(st.floats(0.0, 5.0), min_size=1, max_size=30),
    st.floats(0.1, 50.0),
)
def test_what_passes_never_exceeds_the_rate_by_more_than_one_step(
    rate: float, pauses: list[float], cost: float
) -> None:
    """Over any stretch of time: rate × time, a second's worth saved up, and the last step's debt."""
    bucket, now, spent = TokenBucket(rate, 0.0), 0.0, 0.0
    for pause in pauses:
        now += pause
        steps = bucket.affordable(cost, 25, now)
        spent += steps * cost
        bucket.spend(steps * cost, now)
    assert spent <= rate * now + max(rate, 1.0) + 1e-6


@given(st.floats(0.02, 2000.0), st.floats(0.05, 60.0))
def test_records_pass_at_the_rate_whatever_they_cost(rate: float, cost: float) -> None:
    clock = Clock()
    budget = Budget(Share(write_units=rate), FakeContext(clock))
    began, spent = clock.now, 0.0
    for _ in range(40):
        size = budget.batch_size(25)
        if size:
            spent += budget.wrote(size, size * cost)
        else:
            budget.wait_to_write()
    passed = clock.now - began
    assert spent <= rate * passed + max(rate, 1.0) + 25 * cost  # the last batch may go into debt
    assert spent > 0


def test_the_cost_of_a_record_is_learnt_and_estimated_where_none_is_reported() -> None:
    budget = Budget(Share(write_units=100.0), FakeContext(Clock()))
    assert budget.wrote(10, None) == 10.0
    for _ in range(60):
        budget.wrote(10, 50.0)
    assert abs(budget.unit_cost - 5.0) < 0.1
    assert abs(budget.wrote(10, None) - 50.0) < 1.0


def test_a_page_costs_about_a_second_of_the_read_budget() -> None:
    budget = Budget(Share(read_units=10.0), FakeContext(Clock()))
    assert budget.page_rows() == 20
    budget.read(100.0, 10)
    assert budget.page_rows() == 1
    assert Budget(Share(), FakeContext(Clock())).page_rows() is None


def test_debt_outlives_a_round() -> None:
    clock = Clock()
    first = Budget(Share(read_units=10.0), FakeContext(clock))
    first.read(100.0, 10)
    began, second = clock.now, Budget(Share(read_units=10.0), FakeContext(clock), first.levels())
    assert second.wait_to_read()
    assert clock.now - began >= 10.0


def test_what_is_left_over_a_round_is_a_second_at_most() -> None:
    clock = Clock()
    budget = Budget(Share(read_units=10.0), FakeContext(clock))
    clock.now += 3600
    assert budget.levels() == Levels(read_units=10.0)


def test_waiting_to_read_ends_when_asked_to_stop() -> None:
    budget = Budget(Share(read_units=0.001), FakeContext(Clock(), stop_at=0))
    assert budget.wait_to_read() is False


@given(st.integers(0, 10_000), st.floats(0.0, 1.0))
def test_back_off_stays_between_nothing_and_its_cap(tries: int, drawn: float) -> None:
    assert 0.0 <= backoff(tries, draw=lambda: drawn) <= 5.0
    assert backoff(tries, cap=1.0, draw=lambda: drawn) <= 1.0


def test_back_off_doubles() -> None:
    assert [backoff(tries, draw=lambda: 1.0) for tries in range(4)] == [0.025, 0.05, 0.1, 0.2]
    assert backoff(1, draw=lambda: 1.0, throttled=True) == 0.1
