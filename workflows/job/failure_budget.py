"""How many records may be given up before a job parks: of a job in all, of a follow within an hour.

A follow may run for years: a record that is given up now and then is to be redriven, not to end it.
"""

from __future__ import annotations

from temporalio import workflow

from workflows.job.running_job import RunningJob
from workflows.job.shards import Shards

with workflow.unsafe.imports_passed_through():
    from reindexer.models import FollowInput

_HOUR = 60  # minutes


def exhausted(job: RunningJob, shards: Shards) -> str:
    """Why no more may be given up; "" where some may."""
    most, given_up = job.limits.quarantined, shards.quarantined
    what, otherwise = "records are quarantined", ""
    if isinstance(job.input, FollowInput):
        given_up = within_an_hour(job.followed.given_up, _minute(), given_up)
        what, otherwise = "records or changes were quarantined within an hour", ", or resume later"
    if given_up <= most:
        return ""
    return (
        f"{given_up} {what}, more than limits.quarantined = {most} allows; "
        f"look at them with `failures`, then raise limits.quarantined with set_limits and resume{otherwise}"
    )


def note_given_up(job: RunningJob, shards: Shards) -> None:
    """Remember how many a follow had given up by now."""
    if isinstance(job.input, FollowInput):
        remember(job.followed.given_up, _minute(), shards.quarantined)


def remember(totals: dict[int, int], minute: int, total: int) -> None:
    """Keep the total of this minute, and what is needed of an hour; `totals`: by minute, the oldest first."""
    if total == next(reversed(totals.values()), 0):
        return
    totals[minute] = total
    old = [at for at in totals if at <= minute - _HOUR]
    for at in old[:-1]:  # the newest of them is what the hour began with
        del totals[at]


def within_an_hour(totals: dict[int, int], minute: int, total: int) -> int:
    """How many of `total` were given up in the last 60 minutes."""
    return total - next((was for at, was in reversed(totals.items()) if at <= minute - _HOUR), 0)


def _minute() -> int:
    return int(workflow.now().timestamp()) // 60
