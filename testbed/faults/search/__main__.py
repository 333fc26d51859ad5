"""The search fault proxy's command line: `python -m testbed.faults.search`."""

from __future__ import annotations

from testbed.faults.command import run
from testbed.faults.search.plan import SearchFaultPlan
from testbed.faults.search.server import serve

if __name__ == "__main__":
    run("testbed.faults.search", "OpenSearch", 9201, SearchFaultPlan, serve)
