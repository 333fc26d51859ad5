"""What a follow may give up within an hour, and for how long it may be paused."""

from __future__ import annotations

from datetime import timedelta

import pytest

from commands.input.durations import seconds_of
from reindexer.errors import BadInput
from reindexer.models import Segment, ShardSummary
from tests.run_by_hand import BEGAN, Run, a_follow
from workflows.job.failure_budget import exhausted, note_given_up, remember, within_an_hour
from workflows.job.shard import Shard
from workflows.job.shards import Shards


def given_up(totals: dict[int, int], minute: int, total: int) -> int:
    remember(totals, minute, total)
    return within_an_hour(totals, minute, total)


def test_records_are_counted_for_an_hour_and_not_for_life() -> None:
    totals: dict[int, int] = {}
    assert given_up(totals, 1000, 5) == 5
    assert given_up(totals, 1030, 7) == 7
    assert given_up(totals, 1059, 7) == 7
    assert given_up(totals, 1060, 7) == 2, "the first five were given up an hour ago"
    assert given_up(totals, 1095, 7) == 0
    assert given_up(totals, 1096, 8) == 1


def test_what_is_kept_of_years_is_an_hour() -> None:
    totals: dict[int, int] = {}
    for minute in range(10_000):
        expected = min(minute + 1, 60)
        assert given_up(totals, minute, minute + 1) == expected
        assert len(totals) <= 61, "a point a minute, and the one that the hour began with"


def test_a_follow_parks_for_what_it_gave_up_within_an_hour_and_may_go_on_after_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = Run.by_hand(monkeypatch)
    job = a_follow(run)
    limit, shards = job.limits.quarantined, Shards(job)
    given_up = ShardSummary(failures={"ValidationException": limit + 1})
    shards.all = [Shard(0, "running", Segment(segment=0, total=1), summary=given_up)]

    why = exhausted(job, shards)
    assert why.startswith(f"{limit + 1} records or changes were quarantined within an hour, more than")
    assert why.endswith("or resume later")

    note_given_up(job, shards)
    run.now = BEGAN + timedelta(minutes=61)
    assert exhausted(job, shards) == ""


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("30m", 1800), ("2h", 7200), ("1.5d", 129_600), (" 2 H ", 7200)]
)
def test_a_time_is_a_number_with_its_unit(text: str, seconds: float) -> None:
    assert seconds_of(text, "--for") == seconds


@pytest.mark.parametrize("text", ["2", "h", "-2h", "0h", "2 weeks", "1h30m", "400d", ""])
def test_what_is_no_time_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(BadInput, match="--for: should be a time such as 90s, 30m, 2h or 1d"):
        seconds_of(text, "--for")
