"""Settings from the environment: ours, and AWS's standard ones."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from reindexer.dynamo.client import make_client
from reindexer.errors import EnvironmentFault
from reindexer.ledger.store import ledger_client
from reindexer.settings import Settings


def test_the_region_of_aws_own_setting_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    assert make_client().meta.region_name == "eu-central-1"
    assert ledger_client().meta.region_name == "eu-central-1"


def test_without_any_region_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    monkeypatch.delenv("AWS_REGION")
    with pytest.raises(EnvironmentFault, match="region"):
        make_client()


@pytest.mark.parametrize(
    ("queue", "says"), [("night", "another queue than task_queue"), ("own-rounds", "without -rounds")]
)
def test_a_jobs_workers_poll_a_queue_of_their_own(
    monkeypatch: pytest.MonkeyPatch, queue: str, says: str
) -> None:
    monkeypatch.setenv("REINDEXER_TASK_QUEUE", "night")
    monkeypatch.setenv("REINDEXER_JOB_QUEUE", "own")
    assert (Settings().serves, Settings().rounds_queue) == ("own", "own-rounds")
    monkeypatch.setenv("REINDEXER_JOB_QUEUE", queue)
    with pytest.raises(ValidationError, match=says):
        Settings()


def test_ours_have_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REINDEXER_TASK_QUEUE", "night")
    assert Settings().rounds_queue == "night-rounds"
    monkeypatch.setenv("REINDEXER_ROUNDS_PER_PROCESS", "0")
    with pytest.raises(ValidationError):
        Settings()
