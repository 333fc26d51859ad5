"""The report of a job that did not end by itself: the last interim report, with what holds of it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal, TypeAlias

from reindexer.ledger import Ledger
from reindexer.models import Report
from reindexer.tally import Outcome

#: How a job ended of which the ledger has only an interim report.
Unfinished: TypeAlias = Literal["cancelled", "terminated"]


def as_ended(ledger: Ledger, interim: Report, state: Unfinished) -> Report:
    """The interim report of a run that has ended, as its last. Raises what reading the ledger raises.

    Its counts are lower bounds, but for the records given up: the ledger has each of them.
    """
    more = ledger.failures.count(interim.job, interim.run) - interim.tally[Outcome.QUARANTINED]
    tally = interim.tally.plus(Outcome.QUARANTINED, max(0, more))
    tally = tally.model_copy(update={"scanned": max(tally.scanned, tally.settled)})
    return interim.model_copy(
        update={
            "state": state,
            "tally": tally,
            "balanced": tally.balanced(),
            "warnings": [
                f"counts are lower bounds, as of {utc(interim)}",
                *_of_lock(interim),
                *interim.warnings,
            ],
        }
    )


def _of_lock(interim: Report) -> list[str]:
    """What becomes of the lock; a job that only reads has none."""
    if interim.writer == "none":
        return []
    return ["the job did not release its lock: the next job on the table takes it over"]


def utc(interim: Report) -> str:
    """When the counts of an interim report were taken."""
    at: datetime = interim.as_of or interim.started_at
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
