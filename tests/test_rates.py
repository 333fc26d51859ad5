"""The rate a person sees, while shards tell what they did every half minute and not at the same time."""

from __future__ import annotations

import pytest

from reindexer.models import Segment, ShardState
from reindexer.tally import Tally
from workflows.rates import Rates
from workflows.slot import Shard

SPEED = 100.0  # records a second and shard, in all of these


def shards(count: int) -> list[Shard]:
    every = [Shard.of(number, Segment(segment=number, total=count)) for number in range(count)]
    for shard in every:
        shard.starts, shard.active, shard.began_at = 1, True, 1000.0
    return every


def at_work(count: int) -> tuple[Rates, list[Shard]]:
    """All of them begin at second 1000."""
    rates, every = Rates(), shards(count)
    rates.look(1000.0, every, working=False)
    return rates, every


def tell(shard: Shard, seconds: float) -> None:
    """What it has come to after so many seconds of work."""
    done = round(SPEED * seconds)
    shard.state = ShardState(
        tally=Tally(scanned=done, updated=done), read_units=done / 2, write_units=float(done)
    )


@pytest.mark.parametrize("count", [1, 4, 9])
def test_reports_half_a_minute_apart_give_the_true_rate_at_every_moment(count: int) -> None:
    rates, every = at_work(count)
    for second in range(1, 300):
        for shard in every:  # each at a moment of its own, first after 3 to 7 s, then every 30 s
            first = 3 + shard.index % 5
            if second >= first and (second - first) % 30 == 0:
                tell(shard, second)
                rates.look(1000.0 + second, every, working=True)
        if second > 8:
            assert rates.now()["records"] == pytest.approx(SPEED * count, rel=0.01)
            assert rates.now()["read_units"] == pytest.approx(SPEED * count / 2, rel=0.01)


def test_before_all_shards_have_told_something_nothing_is_said() -> None:
    rates, every = at_work(2)
    tell(every[0], 3)
    rates.look(1003.0, every, working=True)
    assert rates.now() == {"records": 0.0, "read_units": 0.0, "write_units": 0.0}


def test_time_in_which_the_job_was_paused_does_not_count() -> None:
    rates, every = at_work(1)
    tell(every[0], 30)
    rates.look(1030.0, every, working=True)
    rates.look(5000.0, every, working=False)  # resumed now
    tell(every[0], 60)
    rates.look(5030.0, every, working=True)
    assert rates.now()["records"] == pytest.approx(SPEED)


def test_a_shard_that_tells_nothing_for_a_minute_is_not_waited_for() -> None:
    rates, every = at_work(2)
    for second in range(10, 301, 10):
        tell(every[0], second)
        rates.look(1000.0 + second, every, working=True)
    assert rates.now()["records"] == pytest.approx(SPEED)


def test_a_slowing_job_is_seen_to_slow_within_two_minutes() -> None:
    rates, every = at_work(1)
    for second in range(30, 301, 30):
        tell(every[0], second)
        rates.look(1000.0 + second, every, working=True)
    for second in range(330, 421, 30):
        tell(every[0], 300 + (second - 300) / 10)
        rates.look(1000.0 + second, every, working=True)
    assert rates.now()["records"] == pytest.approx(SPEED / 10)


def test_short_shards_one_after_another_give_the_true_rate() -> None:
    """Each is told of once, at its end; the next one begins at that moment, and is seen later."""
    rates, every = Rates(), shards(40)
    for shard in every:
        shard.starts, shard.active = 0, False
    rates.look(1000.0, every, working=False)
    for number, shard in enumerate(every):
        shard.starts, shard.active, shard.began_at = 1, True, 1000.0 + 5 * number
        tell(shard, 5)
        shard.active = False
        rates.look(1005.0 + 5 * number, every, working=True)
    assert rates.now()["records"] == pytest.approx(SPEED, rel=0.01)


def test_what_a_closed_job_shows_is_how_fast_it_worked() -> None:
    rates, every = at_work(3)
    for shard in every:
        tell(shard, 10)
        shard.active = False
    rates.look(1010.0, every, working=True)
    rates.look(1100.0, every, working=True)  # verified meanwhile
    assert rates.now()["records"] == pytest.approx(3 * SPEED)
