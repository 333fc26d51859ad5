"""The fault proxy's command line: `python -m testbed.faults`."""

from __future__ import annotations

from testbed.faults.command import run
from testbed.faults.plan import FaultPlan
from testbed.faults.server import serve

if __name__ == "__main__":
    run("testbed.faults", "a DynamoDB engine", 8001, FaultPlan, serve)
