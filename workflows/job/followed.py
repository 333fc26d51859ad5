"""What `progress` says of a follow alone: how far it is behind, and how long the stream has what is unread."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from temporalio import workflow

from workflows.job.running_job import RunningJob

with workflow.unsafe.imports_passed_through():
    from reindexer.models import Followed, FollowInput, Lineages, Throttle
    from reindexer.models.streams import KEPT_HOURS

#: Seconds without a page after which changes may be unread: a gap between two rounds takes one or two, and the
#: clocks of AWS and of Temporal differ by less than the rest.
_READING_SECONDS = 10.0


def followed(job: RunningJob, found: Sequence[Followed], as_of: float) -> dict[str, Any]:
    """Fields of `JobProgress`, all of them; none of a job that follows nothing, or whose plan is not known yet.

    `as_of`: when that held, since 1970.
    """
    if not found:
        return {}
    settled = min(one.through_ms for one in found) / 1000
    left = hours_left(job, found, workflow.now().timestamp())
    return {
        "lag_seconds": round(max(_lag(job, one, as_of) for one in found), 1),
        "hours_left": None if left is None else round(left, 2),
        "stream_shards": sum(one.shards for one in found),
        "epoch": job.known_plan.target.version,
        "drained": job.followed.drained_at is not None,
        "stops_at": job.followed.stop_at.isoformat() if job.followed.stop_at else None,
        "settled_through": datetime.fromtimestamp(settled, UTC).isoformat() if settled else None,
    }


def hours_left(job: RunningJob, found: Sequence[Followed], now: float) -> float | None:
    """For so long the stream still has all that is unread; None of a job that follows nothing.

    A stream keeps a change for 24 hours; the oldest that may be unread is as old as the last that is settled.
    """
    if not isinstance(job.input, FollowInput):
        return None
    settled = min((one.through_ms for one in found), default=0) / 1000
    return max(0.0, KEPT_HOURS - (now - (settled or _begun(job, now))) / 3600)


def _begun(job: RunningJob, now: float) -> float:
    """Since when changes may be unread while none is known to be settled: as the scan's positions were taken.

    One that goes on from older positions had them read when it started, as far as is known.
    """
    sources = job.plan.sources if job.plan else []
    opened = [source.opened_at.timestamp() for source in sources if isinstance(source, Lineages)]
    return max(job.started_at.timestamp(), min(opened)) if opened else now


def _lag(job: RunningJob, one: Followed, as_of: float) -> float:
    """Seconds. It grows with the clock while no page is settled."""
    at = one.at_ms / 1000 if one.at_ms else job.started_at.timestamp()
    unread = as_of - at
    return one.lag_ms / 1000 + (unread if unread >= _READING_SECONDS else 0.0)


def throttled_stream(found: Sequence[Followed]) -> Throttle | None:
    """A stream shard that cannot be read while others are, as the last look saw it."""
    failing = next((one.failing for one in found if one.failing), None)
    if failing is None:
        return None
    since = datetime.fromtimestamp(failing.since_ms / 1000, UTC).isoformat()
    return Throttle(reason=failing.sentence, scope=None, since=since)
