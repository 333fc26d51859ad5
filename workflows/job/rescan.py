"""A rescan: a new epoch and a new scan into the same index, by the same follow."""

from __future__ import annotations

import asyncio

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

from workflows.job.index import index_input
from workflows.job.planning import make_plan, plainly
from workflows.job.replica import replica_input
from workflows.job.running_job import RunningJob
from workflows.job.shards import Shards
from workflows.options import CONTROL

with workflow.unsafe.imports_passed_through():
    from activities.replica import ReplicaActivities
    from activities.search import IndexActivities
    from reindexer.models import FollowInput, FollowState, JobInput, KeyList, Plan


def why_no_rescan(job: RunningJob) -> str:
    """Why it cannot be scanned again, one sentence; "" where it can."""
    if not isinstance(job.input, FollowInput):
        return "only a follow can be scanned again; start another job"
    if job.plan is None:
        return "it is not planned yet: its first scan is still to come"
    return "it ends" if job.gate.stopping or job.ending or job.phase in ("closing", "done") else ""


async def begin_again(job: RunningJob, shards: Shards, asked: JobInput) -> None:
    """Everything has handed back: plan again, take the epoch, and put new shards in the place of all others.

    Parks where that is refused, and tries again once resumed. Returns without where the job is cancelled.
    """
    while await job.gate.wait_open():
        try:
            plan = await _taken(job, asked)
        except asyncio.CancelledError:
            if not job.gate.stopping:
                raise
            return
        except ApplicationError as error:
            if not job.gate.stopping:
                job.park(f"the rescan cannot begin: {error.message} ({error.type}){_way_on(error)}")
            continue
        job.planned(plan)
        job.code = None  # what the plan says
        shards.begin_again(plan.sources)
        job.followed, job.compared = FollowState(older=True, stop_at=job.followed.stop_at), None
        job.noticed()
        return


def _way_on(error: ApplicationError) -> str:
    return "" if error.type == "ReplicaGone" else "; repair that, then resume"  # what is gone says what to do


async def _taken(job: RunningJob, asked: JobInput) -> Plan:
    """The plan, its epoch taken, positions noted. Raises `ApplicationError`, `asyncio.CancelledError`."""
    plan = await make_plan(job, asked, job.known_plan)
    try:
        if plan.verb.copies:
            again = replica_input(job, plan).model_copy(update={"again_by": job.job_id})
            await workflow.execute_activity_method(ReplicaActivities.prepare_replica, again, **CONTROL)
        else:
            request = index_input(job, plan).model_copy(update={"positions": plan.positions})
            await workflow.execute_activity_method(IndexActivities.prepare_rescan, request, **CONTROL)
    except ActivityError as error:
        raise plainly(error, "the rescan") from error
    # At the end, so that the shards that follow keep their places: what all shards before came to.
    sources = [*plan.sources, KeyList(keys=[])]
    return plan.model_copy(update={"positions": [], "begins": False, "sources": sources})
