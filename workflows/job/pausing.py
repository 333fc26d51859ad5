"""A pause, until it is resumed, or for a time after which the job resumes by itself."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

from temporalio import workflow

from workflows.job.followed import hours_left
from workflows.job.payloads import reason_in
from workflows.job.running_job import RunningJob
from workflows.job.shards import Shards
from workflows.job.upkeep import lineages

#: Seconds before what is unread is trimmed by which a follow goes on, whatever was asked for: a round begins
#: within seconds and reads the oldest first, and workers may have to be restarted.
_BEFORE_TRIMMED = 900.0
#: Seconds of the longest pause that ends by itself: a year, well below what a timer takes.
_LONGEST = 366 * 86_400.0


def pause(job: RunningJob, shards: Shards, args: tuple[Any, ...]) -> None:
    """Stand still. A time is cut to what the stream holds; one that cannot be read is ignored."""
    job.pause(reason_in(args))
    job.resume_at = None
    given = args[0].get("for_seconds") if args and isinstance(args[0], dict) else None
    if isinstance(given, bool) or not isinstance(given, int | float) or not math.isfinite(given) or given <= 0:
        return
    now = workflow.now()
    left = hours_left(job, lineages(shards), now.timestamp())
    seconds = float(given) if left is None else min(given, max(0.0, left * 3600 - _BEFORE_TRIMMED))
    job.resume_at = now + timedelta(seconds=min(seconds, _LONGEST))
    if seconds < given:
        job.note("pause was cut", f"the stream holds what is unread for {left:.2f} h")


async def resume_later(job: RunningJob) -> None:
    """Resume when the time of a pause is over, for ever. What has parked meanwhile stays parked."""
    while True:
        await workflow.wait_condition(lambda: job.resume_at is not None)
        at = job.resume_at
        assert at is not None, "waited for"
        left = (at - workflow.now()).total_seconds()
        try:
            await workflow.wait_condition(
                lambda at=at: job.resume_at != at,  # type: ignore[misc]
                timeout=timedelta(seconds=max(0.0, left)),
                timeout_summary="until the pause is over",
            )
        except TimeoutError:
            job.resume_at = None
            if not job.parked:
                job.resume("the time of the pause is over", None)
