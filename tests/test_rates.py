"""The rate a person sees, from looks that become rare as a job grows old."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflows.job.rates import Point, Rates

SPEED = 100.0  # records a second, in all of these


def at_work(seconds: float, speed: float = SPEED, done: float = 0.0) -> Point:
    """What a job has come to that began with `done` and worked so long."""
    records = done + speed * seconds
    return Point(seconds, records, records / 2, records * 3)


def looked_at(*points: Point) -> Rates:
    rates = Rates()
    for point in points:
        rates.add(point)
    return rates


def test_before_the_first_look_nothing_is_known() -> None:
    assert Rates().now() == {"records": 0.0, "read_units": 0.0, "write_units": 0.0}


@given(st.lists(st.floats(min_value=0.1, max_value=300.0), min_size=1, max_size=50))
def test_a_steady_job_shows_its_rate_whenever_it_is_looked_at(intervals: list[float]) -> None:
    rates, worked = Rates(), 0.0
    for interval in intervals:
        worked += interval
        rates.add(at_work(worked))
        now = rates.now()
        assert now["records"] == pytest.approx(SPEED, abs=0.1)
        assert now["read_units"] == pytest.approx(SPEED / 2, abs=0.1)
        assert now["write_units"] == pytest.approx(SPEED * 3, abs=0.1)


def test_paused_time_does_not_count_since_nothing_is_worked_in_it() -> None:
    """Points carry seconds of work: two looks an hour apart, 30 s of work between them."""
    assert looked_at(at_work(30), at_work(60)).now()["records"] == SPEED


@pytest.mark.parametrize("interval", [8, 30, 60])
def test_a_job_that_slows_down_shows_it_two_minutes_later(interval: int) -> None:
    rates = Rates()
    for second in range(interval, 601, interval):
        rates.add(at_work(second))
    for second in range(interval, 121, interval):
        rates.add(Point(600 + second, SPEED * 600 + SPEED / 10 * second))
    assert rates.now()["records"] == pytest.approx(SPEED / 10)


def test_of_rare_looks_the_last_two_count() -> None:
    rates = looked_at(at_work(300), at_work(600), Point(900, SPEED * 600))
    assert rates.now()["records"] == 0.0, "nothing was done between the last two"


def test_however_long_a_job_lasts_few_points_are_kept() -> None:
    rates = Rates()
    for second in range(10_000):
        rates.add(at_work(second))
    assert len(rates._points) <= 62, "a window of 60 s with both its ends"


def test_what_somebody_else_has_seen_counts_and_is_not_kept() -> None:
    rates = looked_at(at_work(10))
    faster = Point(20, 5 * SPEED * 20)
    assert rates.now(faster)["records"] == pytest.approx(5 * SPEED)
    assert rates.now()["records"] == pytest.approx(SPEED)


def test_a_verification_begins_to_count_at_its_own_beginning() -> None:
    rates = looked_at(at_work(60))
    rates.begin(Point(60, 0.0, 3000.0, 18_000.0))
    assert rates.now()["records"] == 0.0
    rates.add(Point(70, 5000.0, 3500.0, 18_000.0))
    assert rates.now() == {"records": 500.0, "read_units": 50.0, "write_units": 0.0}


def test_a_count_that_went_down_is_no_negative_rate() -> None:
    """A shard that someone ended is known by its last report, which may be older than its last heartbeat."""
    rates = looked_at(at_work(100), at_work(200))
    assert rates.now(Point(210, SPEED * 50))["records"] == 0.0
