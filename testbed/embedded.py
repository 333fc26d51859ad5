"""Temporal and DynamoDB on this machine: loopback, free ports and made-up credentials, always.

Two context managers, `temporal_server` and `dynamodb_engine`; what they start ends with the block, and with
this process, however that ends. The caller's AWS and Temporal settings are never read.
"""

from __future__ import annotations

from testbed.development_server import TemporalServer, temporal_server
from testbed.engines import (
    Engine,
    available_engines,
    cure_parallel_scans,
    cure_stream_index,
    dynamodb_engine,
)
from testbed.obtain import obtain
from testbed.processes import ServerUnavailable
from testbed.surroundings import caller_free_environment

__all__ = [
    "Engine",
    "ServerUnavailable",
    "TemporalServer",
    "available_engines",
    "caller_free_environment",
    "cure_parallel_scans",
    "cure_stream_index",
    "dynamodb_engine",
    "obtain",
    "temporal_server",
]
