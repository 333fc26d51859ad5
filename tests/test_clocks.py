"""Clocks that stand still, jump and go wrong: what is taken for the time, and for how much of it has passed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from reindexer.clocks import Clocks

NOON = datetime(2026, 11, 27, 12, tzinfo=UTC)


class Machine:
    """Three clocks that a test moves, each by itself."""

    def __init__(self, wall: datetime = NOON) -> None:
        self.monotonic, self.boot, self.wall = 1000.0, 5000.0, wall.timestamp()
        self.clocks = Clocks(lambda: self.monotonic, lambda: self.boot, lambda: self.wall)

    def passes(self, monotonic: float, boot: float | None = None, wall: float | None = None) -> None:
        """Seconds that each clock moves by; those that are not named as the monotonic one."""
        self.monotonic += monotonic
        self.boot += monotonic if boot is None else boot
        self.wall += monotonic if wall is None else wall


@pytest.mark.parametrize(
    ("monotonic", "boot", "wall", "passed"),
    [
        pytest.param(7.0, 7.0, 7.0, 7.0, id="all agree"),
        pytest.param(0.1, 3600.0, 3600.0, 3600.0, id="the machine was asleep"),
        pytest.param(0.1, 0.1, 3600.0, 3600.0, id="restored from a snapshot, and the wall clock set"),
        pytest.param(7.0, 7.0, -3600.0, 7.0, id="the wall clock was put back"),
        pytest.param(7.0, 7.0, 7.2, 7.0, id="the wall clock is slewed"),
    ],
)
def test_what_has_passed_is_the_largest_jump(monotonic: float, boot: float, wall: float, passed: float) -> None:
    machine = Machine()
    began = machine.clocks.now()
    machine.passes(monotonic, boot, wall)
    assert machine.clocks.now() - began == pytest.approx(passed)
    machine.passes(2.0)
    assert machine.clocks.now() - began == pytest.approx(passed + 2)


def test_it_never_goes_back() -> None:
    machine = Machine()
    began = machine.clocks.now()
    machine.passes(-5.0, -5.0, -5.0)
    assert machine.clocks.now() == began


@pytest.mark.parametrize("hours", [-1, 0, 1])
def test_a_wall_clock_that_is_wrong_dates_nothing_early_and_removes_nothing_early(hours: int) -> None:
    """A tombstone that a slow clock dates an hour back, or a fast clock judges, would be removed at once."""
    machine = Machine(NOON + timedelta(hours=hours))
    machine.clocks.hear(NOON)
    machine.passes(60.0)
    truth = NOON + timedelta(seconds=60)
    assert machine.clocks.earliest() == min(truth, truth + timedelta(hours=hours))
    assert machine.clocks.latest() == max(truth, truth + timedelta(hours=hours))


def test_a_wall_clock_that_jumps_between_two_looks_removes_nothing_early() -> None:
    machine = Machine()
    machine.clocks.hear(NOON)
    machine.passes(1.0, wall=3600.0)
    assert machine.clocks.earliest() == NOON + timedelta(seconds=1)
    assert machine.clocks.latest() == NOON + timedelta(hours=1)


def test_without_a_server_the_wall_clock_is_all_there_is() -> None:
    machine = Machine()
    machine.passes(5.0)
    assert machine.clocks.earliest() == machine.clocks.latest() == NOON + timedelta(seconds=5)
