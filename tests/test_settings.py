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


def test_ours_have_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REINDEXER_TASK_QUEUE", "night")
    assert Settings().rounds_queue == "night-rounds"
    monkeypatch.setenv("REINDEXER_ROUNDS_PER_PROCESS", "0")
    with pytest.raises(ValidationError):
        Settings()
