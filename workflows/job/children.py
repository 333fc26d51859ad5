"""The child workflow of a shard: started with the state of the shard, and heard of in the end."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from temporalio import workflow
from temporalio.exceptions import ActivityError, TemporalError, WorkflowAlreadyStartedError
from temporalio.workflow import ChildWorkflowCancellationType, ParentClosePolicy

from workflows.job.lock import lock_of
from workflows.job.running_job import RunningJob
from workflows.job.shard import Shard
from workflows.options import ASKING
from workflows.reindex_shard import ReindexShard

with workflow.unsafe.imports_passed_through():
    from activities.ended_shard import EndedShardActivities
    from reindexer.models import (
        EndedShard,
        HandBack,
        Isolated,
        Kept,
        ShardInput,
        ShardState,
        ShardSummary,
        Target,
    )

#: Seconds between tries to start a shard whose id is taken, half a minute in all: a shard hands back in two.
_UNTIL_ALONE = (1, 2, 4, 8, 16)


class Gone(Exception):
    """A child that is closed, and whose end the root does not receive."""


class Children:
    """Starts the children of a job's shards. `begin` gives a shard its share, before each try."""

    def __init__(self, job: RunningJob, begin: Callable[[Shard], None]) -> None:
        self._job, self._begin = job, begin

    async def start(self, shard: Shard, total: int) -> workflow.ChildWorkflowHandle[ReindexShard, HandBack]:
        """Its child, from the state of the shard, with the control state in force. `total`: of shards.

        A child of that id may run still: its root was reset, and it does not know this run. It is cancelled,
        and hands back to no one: what it changed is found by the stamps, not what it deleted.
        """
        for seconds in _UNTIL_ALONE:
            try:
                return await self._start(shard, total)
            except WorkflowAlreadyStartedError:
                if self._job.leaving or not workflow.patched("cancel-orphaned-shards"):
                    raise
                self._doubt(shard)
                with suppress(TemporalError):  # it has just ended
                    await workflow.get_external_workflow_handle(self._id(shard)).cancel()
                await workflow.sleep(seconds)
        return await self._start(shard, total)

    async def end_of(self, shard: Shard) -> HandBack:
        """What its child hands back. Raises `Gone` where the child is closed and its end never comes in.

        A reset drops the ends of children that closed together with the run that was reset, as those of a
        terminated job do.
        """
        handle = shard.handle
        assert handle is not None, "it has begun"
        await workflow.wait_condition(lambda: handle.done() or shard.gone)
        if not handle.done():
            raise Gone("it was closed before this workflow was reset")
        return await handle

    async def recall(self, shard: Shard) -> list[Isolated]:
        """Take over what a shard had come to that someone ended; returns records that it gave up.

        Its last attempt may write on for a heartbeat timeout, and what that does shows only by the stamps:
        until the shard has gone on, its counts are lower bounds.
        """
        assert shard.handle is not None, "it has run"
        number = shard.hand_backs + 1
        place = Kept(job=self._job.job_id, run=self._job.known_plan.run, index=shard.index, number=number)
        asked = EndedShard(workflow_id=shard.handle.id, kept=place)
        try:
            end = await workflow.execute_activity_method(EndedShardActivities.last_state, asked, **ASKING)
        except ActivityError as error:
            workflow.logger.warning("shard %d cannot be asked: %s", shard.index, error.cause or error)
            self._doubt(shard)
            given_up = []
        else:
            given_up = shard.close(end)
        shard.lost = True
        return given_up

    async def _start(self, shard: Shard, total: int) -> workflow.ChildWorkflowHandle[ReindexShard, HandBack]:
        self._begin(shard)
        # An id is used once for every start after the first that someone ended; a cycle keeps it.
        return await workflow.start_child_workflow(
            ReindexShard.run,
            self.input(shard),
            id=self._id(shard),
            # The root waits for each child's own report of its state, also on cancel.
            cancellation_type=ChildWorkflowCancellationType.WAIT_CANCELLATION_COMPLETED,
            parent_close_policy=ParentClosePolicy.TERMINATE,
            static_summary=shard.static_summary(total),
        )

    def input(self, shard: Shard) -> ShardInput:
        plan = self._job.known_plan
        return ShardInput(
            job=self._job.job_id,
            run=plan.run,
            index=shard.index,
            target=self._target(shard),
            source=shard.source,
            verifying=shard.reads_only,
            comparing=shard.phase == "comparing" and plan.target.other is None,
            lock=None if shard.reads_only else lock_of(self._job),
            keep_behind=shard.phase == "verifying" and self._job.sweeps,
            isolation=plan.isolation,
            heartbeat_timeout=plan.heartbeat_timeout,
            control=self._job.control(shard.grant.share),
            cycle=self._job.cycle,
            state=shard.state or ShardState(),
            kept=shard.kept,
            summary=ShardSummary() if shard.kept is None else shard.summary,
            hand_backs=shard.hand_backs,
            rounds_queue=(plan.following_queue if shard.follows else None) or plan.rounds_queue,
            records_queue=plan.records_queue,
            round_seconds=plan.round_seconds,
            continue_after=plan.continue_after,
        )

    def _target(self, shard: Shard) -> Target:
        """The job's; what a verification of an index found is written again, beside what was written before."""
        target = self._job.known_plan.target
        if shard.phase != "sweeping":
            return target
        return target.model_copy(update={"operation": target.operation.again()})

    def _id(self, shard: Shard) -> str:
        return f"{self._job.job_id}/{self._job.known_plan.run}/{shard.name()}"

    def _doubt(self, shard: Shard) -> None:
        """It has done what none of its reports has."""
        shard.summary = shard.summary.model_copy(update={"doubt": True})
        shard.state = (shard.state or ShardState()).model_copy(update={"timed_out": True})
