"""How far a follow has carried what a job wrote, as a command finds out."""

from __future__ import annotations

from datetime import datetime

from temporalio.client import Client

from activities.follows import Follow, FollowSeen, watched
from commands.temporal.status import JobStatus, job_status
from reindexer.models import FollowArrival


async def arrival_at(client: Client, follow: Follow, until: datetime, seconds: float) -> FollowArrival:
    """As `watched`; a job that has ended meanwhile is one of its answers. Raises `RPCError`."""

    async def ask() -> FollowSeen:
        return seen_in(await job_status(client, follow.job))

    return await watched(ask, follow, until, seconds)


def seen_in(status: JobStatus) -> FollowSeen:
    """What a job's state says of it as a follow."""
    return FollowSeen(status.progress if status.workers else None, ended=status.ending is not None)
