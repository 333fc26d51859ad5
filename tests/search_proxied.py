"""Fixtures of tests with a fault proxy before OpenSearch: one proxy a module, without faults at first."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from testbed.faults.search import SearchFaultPlan, SearchFaultProxy, search_fault_proxy


@pytest.fixture(scope="module")
def module_search_proxy(search: str) -> Iterator[SearchFaultProxy]:
    with search_fault_proxy(search, SearchFaultPlan()) as running:
        yield running


@pytest.fixture
def search_proxy(module_search_proxy: SearchFaultProxy) -> SearchFaultProxy:
    module_search_proxy.set_plan(SearchFaultPlan())
    module_search_proxy.reset()
    return module_search_proxy
