"""A run of the root is bounded: near a bound everything hands back, and a new run goes on from there."""

from __future__ import annotations

import asyncio

from temporalio import workflow

from workflows.job.closing import retry_while_parked
from workflows.job.running_job import RunningJob
from workflows.job.shard import Shard
from workflows.job.shards import Shards

with workflow.unsafe.imports_passed_through():
    from activities.kept import KeptActivities
    from reindexer.models import Carried, FollowState, KeepInput, Kept, RunCarried, ShardState

#: Where a run ends whatever its age: far below the 51,200 events, 10,000 signals and 50 MB at which the server
#: refuses signals or terminates. What is still to come in (hand-backs of 400 shards) needs some 3,000 events.
_HARD_EVENTS, _HARD_SIGNALS, _HARD_BYTES = 6_000, 1_800, 6_500_000
#: Shards seen in a run: a replay reads each again, and takes 0.7 s for this many.
_MAX_LOOKED_AT = 20_000
#: Intervals of looking that a run lasts at least: one that is large from its beginning must get somewhere.
_YOUNG = 8
#: Bytes of the next run's input: the server refuses 2 MB.
_MAX_CARRIED = 1_900_000


class HandingOver:
    """Watches what comes into this run."""

    def __init__(self, job: RunningJob, shards: Shards) -> None:
        self._job, self._shards = job, shards

    async def watch(self) -> None:
        """Ask everything to hand back once it is time."""
        await workflow.wait_condition(lambda: not self._job.cycling and not self._job.ending and self._due())
        self._job.hand_over()

    def _due(self) -> bool:
        """Early where it is free, since no round runs: paused, from half the bound. Not at the job's end."""
        job, info = self._job, workflow.info()
        if job.phase in ("closing", "done"):
            return False
        events, bounds = info.get_current_history_length(), job.known_plan.cycle
        if events > _HARD_EVENTS or job.signals > _HARD_SIGNALS:
            return True
        if info.get_current_history_size() > _HARD_BYTES:
            return True
        part = 2 if job.gate.paused and self._shards.quiet else 1
        over = (
            info.is_continue_as_new_suggested()
            or (0 < bounds.events // part <= events)
            or job.looked_at >= _MAX_LOOKED_AT
            or job.signals >= bounds.signals // part
            or job.updates >= bounds.updates // part
        )
        age = (workflow.now() - job.run_started_at).total_seconds()
        return over and age >= _YOUNG * job.known_plan.look_seconds

    async def make_room(self) -> None:
        """Keep states in the ledger, the largest first, until the others can travel beside a large plan."""
        while (excess := too_large(self.carried(0.0))) and not self._job.gate.stopping:
            states = [(shard, shard.state) for shard in self._shards.all if shard.state is not None]
            chosen: list[tuple[Shard, ShardState]] = []
            for shard, state in sorted(states, key=lambda pair: _size(pair[1]), reverse=True):
                if excess <= 0:
                    break
                excess -= _size(state) // 2  # about what it takes once compressed
                chosen.append((shard, state))
            if not chosen:
                return
            await asyncio.gather(*(self._keep(shard, state) for shard, state in chosen))

    async def _keep(self, shard: Shard, state: ShardState) -> None:
        job, number = self._job, shard.hand_backs + 1
        place = Kept(job=job.job_id, run=job.known_plan.run, index=shard.index, number=number)
        await retry_while_parked(job, KeptActivities.keep_state, lambda: KeepInput(kept=place, state=state))
        if not job.gate.stopping:
            shard.state, shard.kept, shard.hand_backs = None, place, number

    def carried(self, worked_seconds: float) -> Carried:
        """All that the next run begins with."""
        job, plan = self._job, self._job.known_plan
        planned = len(plan.sources)
        return Carried(
            run=RunCarried(
                cycle=job.cycle + 1,
                started_at=job.started_at,
                plan=plan,
                limits=job.limits,
                asked=job.asked,
                phase=job.phase,
                control_seq=job.control_seq,
                paused_since=job.paused_since,
                paused=job.gate.paused,
                parked=job.parked,
                paused_for=job.paused_for,
                resume_at=job.resume_at,
                refused=job.refused,
                code=job.code,
                controls=job.controls,
                controls_dropped=job.controls_dropped,
                warnings=job.warnings,
                used=job.used,
                verification=job.verification,
                compared=job.compared,
                followed=job.followed if job.followed != FollowState() else None,
                index=job.index,
                swept=job.swept,
                newest=self._shards.newest,
                shards=[
                    shard.carry(None if shard.phase == "running" and shard.index < planned else shard.source)
                    for shard in self._shards.all
                ],
                worked_seconds=worked_seconds,
            )
        )


def _size(state: ShardState) -> int:
    return len(state.model_dump_json())


def too_large(carried: Carried) -> int:
    """By how many bytes the next run's input is too large to travel; 0: it is not."""
    return max(0, len(carried.model_dump_json().encode()) - _MAX_CARRIED)
