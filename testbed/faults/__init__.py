"""A proxy between boto3 and a DynamoDB engine, injects faults, and keeps the truth about them.

    python -m testbed.faults --target http://127.0.0.1:8000 --port 8001 --plan plan.json

    with fault_proxy("http://127.0.0.1:8000", FaultPlan.mixed(0.1)) as proxy:
        …  # AWS_ENDPOINT_URL_DYNAMODB = proxy.endpoint_url
        assert not proxy.truth().changed_twice(run)

Loopback only, and only for engines that do not check signatures.
"""

from __future__ import annotations

from testbed.faults.plan import Fault, FaultKind, FaultPlan
from testbed.faults.proxy import FaultProxy, fault_proxy
from testbed.faults.requests import key_text
from testbed.faults.truth import KeyTruth, Truth

__all__ = ["Fault", "FaultKind", "FaultPlan", "FaultProxy", "KeyTruth", "Truth", "fault_proxy", "key_text"]
