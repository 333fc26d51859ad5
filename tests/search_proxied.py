"""Fixtures of tests with a fault proxy before OpenSearch: one proxy a process, without faults at first."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from testbed.faults.search import SearchFaultPlan, SearchFaultProxy, search_fault_proxy


@pytest.fixture(scope="session")
def session_search_proxy(search: str) -> Iterator[SearchFaultProxy]:
    with search_fault_proxy(search, SearchFaultPlan()) as running:
        yield running


@pytest.fixture
def search_proxy(session_search_proxy: SearchFaultProxy) -> SearchFaultProxy:
    session_search_proxy.set_plan(SearchFaultPlan())
    session_search_proxy.reset()
    return session_search_proxy
