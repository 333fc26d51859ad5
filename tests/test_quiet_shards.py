"""When a job counts as paused: no shard of it runs an attempt, or may begin one."""

from __future__ import annotations

from typing import Any

import pytest

from reindexer.models import Segment, ShardReport, Situation
from tests.run_by_hand import Run, a_job
from workflows.job.looking import Looking
from workflows.job.progress import ProgressView
from workflows.job.shard import Shard
from workflows.job.shards import Shards

SEGMENT = Segment(segment=0, total=1)
PAUSED = Situation(state="paused")


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    return Run.by_hand(monkeypatch)


def shards_of(run: Run, *shards: Shard) -> Shards:
    """Of a job that was paused a moment ago."""
    job = a_job(run)
    every = Shards(job)
    every.all = list(shards)
    job.when_changed = every.want_all
    job.pause("deploy")
    return every


def a_shard(**more: Any) -> Shard:
    """Running, as far as is known."""
    return Shard(0, "running", SEGMENT, **{"situation": "running", "active": True, "open": True, **more})


def test_a_shard_that_runs_is_waited_for_until_it_has_acknowledged_the_pause(run: Run) -> None:
    every = shards_of(run, a_shard())
    assert not every.quiet
    every.take(ShardReport(index=0, acknowledged=1, situation=PAUSED))
    assert every.quiet


def test_a_shard_whose_child_is_being_started_may_begin_a_round_yet(run: Run) -> None:
    """What its child was started with said nothing of a pause."""
    every = shards_of(run, a_shard(open=False))
    assert not every.quiet
    every.all[0].open = True
    assert not every.quiet
    every.take(ShardReport(index=0, acknowledged=1, situation=PAUSED))
    assert every.quiet


@pytest.mark.parametrize("situation", ["waiting", "done", "stopped", "lost"])
def test_shards_that_do_not_run_are_not_waited_for(run: Run, situation: str) -> None:
    assert shards_of(run, a_shard(situation=situation, active=False, open=False)).quiet


def test_an_earlier_pause_is_not_the_one_in_force(run: Run) -> None:
    every = shards_of(run, a_shard())
    every._job.resume(None, None)
    every._job.pause("again")
    every.take(ShardReport(index=0, acknowledged=1, situation=PAUSED))
    assert not every.quiet
    every.take(ShardReport(index=0, acknowledged=every._job.paused_since, situation=PAUSED))
    assert every.quiet


def test_what_the_root_itself_does_is_waited_for_too(run: Run) -> None:
    every = shards_of(run)
    job = every._job
    job.phase = "running"
    view = ProgressView(job, every, Looking(job, every), 0.0)
    with job.working(), job.working():
        assert view._compute() == "pausing"
    assert view._compute() == "paused"
