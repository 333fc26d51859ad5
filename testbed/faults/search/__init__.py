"""A proxy between a client and OpenSearch, injects faults, and keeps the truth about every document written.

    python -m testbed.faults.search --target http://127.0.0.1:9200 --port 9201 --plan plan.json

    with search_fault_proxy(server.url, SearchFaultPlan.mixed(0.1)) as proxy:
        …  # requests to proxy.endpoint_url
        assert proxy.truth().went_back("cities-1") == []

Loopback only, and only for servers that do not check signatures.
"""

from __future__ import annotations

from testbed.faults.search.plan import SearchFault, SearchFaultKind, SearchFaultPlan
from testbed.faults.search.proxy import SearchFaultProxy, search_fault_proxy
from testbed.faults.search.truth import DocumentTruth, SearchTruth, Write, source_digest

__all__ = [
    "DocumentTruth",
    "SearchFault",
    "SearchFaultKind",
    "SearchFaultPlan",
    "SearchFaultProxy",
    "SearchTruth",
    "Write",
    "search_fault_proxy",
    "source_digest",
]
