"""The Web UI's current details: how far, how fast, what failed, and nothing that is history."""

from __future__ import annotations

from typing import Any

import pytest

from reindexer.models import JobProgress, Limits, Plan
from reindexer.tally import Attempts, Tally
from tests.stand_in import a_plan
from workflows.job.details import details


def shown(**more: Any) -> str:
    plan: Plan = a_plan()
    seen = {
        "state": "running",
        "tally": Tally(scanned=1500, updated=1500),
        "attempts": Attempts(server_errors=1940, timeouts=2),
        "records_per_second": 279.4,
        "remaining": 18_207,
        "eta_seconds": 65,
        "as_of": "2026-11-28T03:51:17+00:00",
        **more,
    }
    return details(JobProgress.model_validate(seen), plan, [], "")


def test_a_job_that_runs_shows_how_far_it_is_and_what_failed_in_words() -> None:
    page = shown()

    for row in (
        "| scanned\u2003 | 1,500 |",
        "| remaining\u2003 | about 18,207 |",
        "| rate\u2003 | 279/s |",
        "| time left\u2003 | about 1 min 05 s |",
        "| as of\u2003 | 2026-11-28 03:51:17 UTC |",
    ):
        assert row in page, page
    assert page.endswith("\n\nAttempts by record: 1,940 server errors, 2 time-outs")


@pytest.mark.parametrize("state", ["done", "cancelling"])
def test_a_rate_that_is_history_is_not_shown(state: str) -> None:
    page = shown(state=state, remaining=0)

    assert not any(row in page for row in ("rate\u2003", "time left\u2003", "remaining\u2003"))


def test_a_slow_job_has_not_halted_and_one_without_failed_attempts_says_nothing_of_them() -> None:
    page = shown(records_per_second=0.4, attempts=Attempts())

    assert "| rate\u2003 | 0.4/s |" in page
    assert "Attempts" not in page


def test_limits_that_are_other_than_planned_are_shown() -> None:
    planned = a_plan().limits
    assert "Limits now" not in shown(limits=planned)
    changed = Limits(
        records_per_second=1500, write_units_per_second="unlimited", quarantined=5000, bytes_per_second=9e6
    )
    page = shown(limits=planned.model_copy(update=changed.model_dump(exclude_unset=True)))
    assert page.endswith(
        "\n\nLimits now: write units per second unlimited, bytes per second 9,000,000, "
        "records per second 1,500, quarantined 5,000"
    )
