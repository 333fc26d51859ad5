"""The stack builder, as far as it needs no server: what workers and this process see."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, cast

import pytest

from reindexer.settings import settings
from testbed.embedded import Engine, TemporalServer
from testbed.stack import Stack, worker_environment
from testbed.surroundings import surroundings
from testbed.workers import Workers

ENDPOINT, ADDRESS = "http://127.0.0.1:9", "127.0.0.1:9"  # the discard port: no one answers there


@pytest.fixture
def server() -> TemporalServer:
    return TemporalServer(ADDRESS, "", "default", Path("temporal"), "", cast(Any, None))


@pytest.fixture
def made(server: TemporalServer, tmp_path: Path) -> Stack:
    environment = worker_environment(server, ENDPOINT, {"REINDEXER_TASK_QUEUE": "one"})
    workers = Workers({**environment, "REINDEXER_PROCESSES": "2"}, tmp_path / "worker.log")
    return Stack(tmp_path, server, cast(Engine, None), environment, workers, None)


def test_workers_see_their_servers_and_no_setting_of_the_caller(
    server: TemporalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.setenv("TEMPORAL_ADDRESS", "production:7233")
    monkeypatch.setenv("REINDEXER_ROUND_SECONDS", "7")
    monkeypatch.setenv("REINDEXER_CACHE", "/cache")
    environment = worker_environment(server, ENDPOINT, {"REINDEXER_LOOK_SECONDS": "1"})
    assert "AWS_PROFILE" not in environment
    assert environment["TEMPORAL_ADDRESS"] == ADDRESS
    assert environment["AWS_ENDPOINT_URL_DYNAMODB"] == ENDPOINT
    ours = {name: value for name, value in environment.items() if name.startswith("REINDEXER_")}
    assert ours == {"REINDEXER_CACHE": "/cache", "REINDEXER_LOOK_SECONDS": "1"}


def test_the_demo_keeps_the_callers_settings_of_the_reindexer(
    server: TemporalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REINDEXER_ROUND_SECONDS", "7")
    environment = worker_environment(server, ENDPOINT, {}, keep_settings=True)
    assert environment["REINDEXER_ROUND_SECONDS"] == "7"


def test_other_workers_have_a_queue_and_a_log_of_their_own(made: Stack) -> None:
    other = made.beside("two", {"REINDEXER_PROCESSES": "1"}, without=("AWS_ACCESS_KEY_ID",))
    assert (made.queue, made.processes, made.workers.log.name) == ("one", 2, "worker.log")
    assert (other.queue, other.processes, other.workers.log.name) == ("two", 1, "two.log")
    assert made.environment.keys() - other.environment.keys() == {"AWS_ACCESS_KEY_ID"}
    assert other.temporal is made.temporal


def test_this_process_sees_the_stack_for_the_block_only(made: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "production")
    before = dict(os.environ)
    with made.surroundings():
        assert dict(os.environ) == dict(made.direct_environment)
        assert settings().task_queue == "one"
    assert dict(os.environ) == before
    assert settings().task_queue == "reindexer"


def test_surroundings_are_restored_after_an_error() -> None:
    before = dict(os.environ)
    with pytest.raises(ValueError, match="of the body"), surroundings({"PATH": ""}):
        raise ValueError("of the body")
    assert dict(os.environ) == before


def test_a_stack_without_a_proxy_says_so(made: Stack) -> None:
    with pytest.raises(AssertionError, match="without a fault proxy"):
        _ = made.proxy
