"""Fixtures of the tests that look at the fault proxy itself: one proxy a process, and boto3 through it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config

from testbed.faults import FaultPlan, FaultProxy, fault_proxy
from tests.streamed import Streamed
from tests.tables import Table


@pytest.fixture(scope="session")
def session_proxy(engine: Any) -> Iterator[FaultProxy]:
    with fault_proxy(engine.endpoint_url, FaultPlan()) as running:
        yield running


@pytest.fixture
def proxy(session_proxy: FaultProxy) -> FaultProxy:
    session_proxy.set_plan(FaultPlan())
    session_proxy.reset()
    return session_proxy


@pytest.fixture(scope="session")
def through(session_proxy: FaultProxy) -> Any:
    """boto3 through the proxy; one attempt a call."""
    return _client(session_proxy, read_timeout=10)


@pytest.fixture(scope="session")
def impatient(session_proxy: FaultProxy) -> Any:
    """As `through`, but gives up after a second, for calls that are never answered."""
    return _client(session_proxy, read_timeout=1)


def _client(proxy: FaultProxy, read_timeout: int) -> Any:
    config = Config(
        retries={"total_max_attempts": 1}, read_timeout=read_timeout, max_pool_connections=20
    )  # seconds
    return boto3.client("dynamodb", endpoint_url=proxy.endpoint_url, config=config)


@pytest.fixture
def table(make_table: Callable[..., Table]) -> Table:
    return make_table(rows=6)


@pytest.fixture(scope="session")
def lineage_proxy(each_engine: Any) -> Iterator[FaultProxy]:
    with fault_proxy(each_engine.endpoint_url, FaultPlan()) as running:
        yield running


@pytest.fixture
def streamed(lineage_proxy: FaultProxy, each_engine: Any, make_table: Callable[..., Table]) -> Streamed:
    lineage_proxy.set_plan(FaultPlan())
    return Streamed(lineage_proxy, make_table(stream="NEW_AND_OLD_IMAGES"))
