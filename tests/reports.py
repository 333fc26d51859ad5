"""A report to change for a test."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from reindexer.models import Report, Verification
from reindexer.tally import Attempts, Tally


def a_report(**changes: Any) -> Report:
    values: dict[str, Any] = {
        "job": "reindex-cities",
        "run": "a1b2c3",
        "table": "cities",
        "table_arn": "arn:aws:dynamodb:us-east-1:123456789012:table/cities",
        "operation": {"kind": "touch", "version": 7},
        "version": 7,
        "tally": Tally(scanned=34006, updated=34006),
        "attempts": Attempts(),
        "balanced": True,
        "verification": Verification(scanned=34006, behind=0),
        "shards": 4,
        "warnings": [],
        "controls": [],
        "started_at": datetime.now(UTC),
        "seconds": 3.4,
        "state": "complete",
        "writer": "partiql",
        "consumed": {"read_units": 1170.0, "write_units": 34006.0},
    }
    return Report(**(values | changes))
