"""Which fields of `progress` a follow has."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from reindexer.models import JobProgress
from reindexer.models.streams import Followed
from tests.run_by_hand import BEGAN, Run, a_follow, a_job
from workflows.job.followed import followed

NOW = BEGAN + timedelta(minutes=5)


def ms(at: datetime) -> int:
    return round(at.timestamp() * 1000)


def test_every_field_is_there_while_no_stream_shard_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """One shard has ended and its children are not listed yet: scripts that wait for a number find one."""
    run = Run.by_hand(monkeypatch)
    run.now = NOW

    found = followed(a_follow(run), [Followed(through_ms=ms(NOW), at_ms=ms(NOW), shards=0)], NOW.timestamp())

    assert found == {
        "lag_seconds": 0.0,
        "hours_left": 24.0,
        "stream_shards": 0,
        "epoch": 7,
        "drained": False,
        "stops_at": None,
        "settled_through": NOW.astimezone(UTC).isoformat(),
    }
    assert JobProgress(state="following", **found).model_dump()["stream_shards"] == 0


def test_a_job_that_follows_nothing_has_none_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    assert followed(a_job(Run.by_hand(monkeypatch)), [], NOW.timestamp()) == {}
