"""The shards of a job as the root sees them: starting, steering, folding what they report."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from temporalio import workflow
from temporalio.exceptions import ActivityError, ChildWorkflowError, TemporalError, WorkflowAlreadyStartedError
from temporalio.workflow import ChildWorkflowCancellationType, ParentClosePolicy

from workflows.by_partition import named
from workflows.options import ASKING
from workflows.reindex_shard import ReindexShard
from workflows.shares import Grant, limited, opening, redistribute

with workflow.unsafe.imports_passed_through():
    from reindexer.models import (
        EndedShard,
        KeyList,
        PartitionRanges,
        Plan,
        Segment,
        ShardInput,
        ShardReport,
        ShardState,
        Share,
        Source,
    )
    from reindexer.tally import Attempts, Tally, total

if TYPE_CHECKING:
    from workflows.reindex_table import ReindexTable

#: Reports a job may receive in all: 4 events each, well below the 10,000 signals and 51,200 events of a run.
_REPORTS = 4000
#: After each so many reports the interval doubles, so that eight times as many carry a job for days.
_REPORTS_PER_INTERVAL = _REPORTS // 8
_FIRST_INTERVAL = 2.0  # seconds; what a person watching bears


@dataclass
class Shard:
    """One slot. `state` is replaced by newer reports and closed by the child's result, never added to."""

    index: int
    source: Source
    state: ShardState = field(default_factory=ShardState)
    seq: int = 0
    situation: str = "waiting"  # waiting running throttled pausing paused parked done
    reason: str = ""
    scope: str | None = None
    active: bool = False  # begun and not ended, also while its start is under way
    open: bool = False  # its child runs
    done: bool = False
    sent: int = -1  # control seq last sent
    acknowledged: int = -1
    starts: int = 0
    grant: Grant = field(default_factory=lambda: Grant(Share()))
    reported_at: float = 0.0
    handle: workflow.ChildWorkflowHandle[ReindexShard, ShardState] | None = None


class Shards:
    """All shards of a job. The driving task is `run`; reports and control change only fields."""

    def __init__(self, root: ReindexTable) -> None:
        self._root = root
        self.all: list[Shard] = []
        self._reports = 0
        self._waiting = 0  # shards still to begin

    # ── Totals ─────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def tally(self) -> Tally:
        return total(Tally, (shard.state.tally for shard in self.all))

    @property
    def attempts(self) -> Attempts:
        return total(Attempts, (shard.state.attempts for shard in self.all))

    @property
    def isolated(self) -> int:
        return sum(len(shard.state.isolated) for shard in self.all)

    @property
    def open(self) -> list[Shard]:
        return [shard for shard in self.all if shard.open]

    @property
    def _slots(self) -> int:
        """Shards that work at the same time, those still to begin included."""
        active = sum(shard.active for shard in self.all)
        return min(self._root.limits.shards_in_flight, active + self._waiting)

    @property
    def quiet(self) -> bool:
        """Whether every open shard has acknowledged the control state in force and runs no attempt."""
        seq = self._root.control_seq
        return all(s.acknowledged >= seq and s.situation in ("paused", "parked") for s in self.open)

    # ── Driving ────────────────────────────────────────────────────────────────────────────────────────────

    async def run(self, plan: Plan, sources: list[Source]) -> None:
        """Carry the sources to their end, a bounded number at a time; returns early when stopping."""
        first = len(self.all)
        mine = [Shard(first + number, source, _opening(source)) for number, source in enumerate(sources)]
        self.all += mine
        waiting = list(mine)
        tasks: set[asyncio.Task[None]] = set()
        gate = self._root.gate
        while (waiting or tasks) and not (gate.stopping and not tasks):
            room = self._root.limits.shards_in_flight - len(tasks) if gate.open else 0
            starting, waiting = waiting[: max(0, room)], waiting[max(0, room) :]
            self._waiting = len(waiting)
            for shard in starting:
                shard.active = True
            tasks |= {asyncio.ensure_future(self._one(plan, shard)) for shard in starting}
            running = set(tasks)
            before = (gate.open, self._root.limits.shards_in_flight)
            await workflow.wait_condition(
                lambda running=running, before=before: (  # type: ignore[misc]
                    any(task.done() for task in running)
                    or before != (gate.open, self._root.limits.shards_in_flight)
                )
            )
            for task in [task for task in tasks if task.done()]:
                tasks.remove(task)
                task.result()
            waiting += [s for s in mine if s.situation == "lost" and s not in waiting and not s.open]
            self._waiting = len(waiting)
            self.share_out()

    async def _one(self, plan: Plan, shard: Shard) -> None:
        """One child from start to end. A child that was ended by somebody parks the job."""
        shard.starts += 1
        shard.situation, shard.reason = "running", ""
        again = "" if shard.starts == 1 else f"-again-{shard.starts}"
        held = [other.grant.share for other in self.all if other.active and other is not shard]
        shard.grant = Grant(opening(self._root.limits, self._slots, held))
        control = self._root.control_for(shard)
        shard.sent = control.seq
        info = workflow.info()
        request = ShardInput(
            job=info.workflow_id,
            run=plan.run,
            index=shard.index,
            target=plan.target,
            source=shard.source,
            isolation=plan.isolation,
            heartbeat_timeout=plan.heartbeat_timeout,
            control=control,
            state=shard.state,
            seq=shard.seq,
            rounds_queue=plan.rounds_queue,
            records_queue=plan.records_queue,
            round_seconds=plan.round_seconds,
            continue_after=plan.continue_after,
        )
        try:
            shard.handle = await workflow.start_child_workflow(
                ReindexShard.run,
                request,
                id=f"{info.workflow_id}/{plan.run}/shard-{shard.index:03d}{again}",
                # The root waits for each child's own account of where it stands, also on cancel.
                cancellation_type=ChildWorkflowCancellationType.WAIT_CANCELLATION_COMPLETED,
                parent_close_policy=ParentClosePolicy.TERMINATE,
                static_summary=_summary(shard, len(self.all)),
            )
        except WorkflowAlreadyStartedError as error:
            self._ended_badly(shard, f"its workflow id is taken: {error}")
            return
        shard.open = True
        if self._root.gate.stopping:
            shard.handle.cancel()
        try:
            state = await shard.handle
        except ChildWorkflowError as error:
            await _recall(shard)
            # Its last attempt may write on for a heartbeat timeout. Jobs begun before did not reckon with that.
            if workflow.patched("ended-shard-in-doubt"):
                shard.state = shard.state.model_copy(update={"timed_out": True})
            self._ended_badly(shard, str(error.cause or error))
            return
        finally:
            shard.open = shard.active = False
        shard.state = state
        finished = state.done and not state.isolated
        shard.done, shard.situation = finished, "done" if finished else "stopped"
        self._root.noticed()

    def _ended_badly(self, shard: Shard, why: str) -> None:
        shard.open = shard.active = False
        shard.situation, shard.reason = "lost", why
        if not self._root.gate.stopping:
            self._root.park(f"shard {shard.index} ended: {why}; resume starts it again from its last report")

    def cancel(self) -> None:
        """Ask every open shard to hand back where it stands."""
        for shard in self.open:
            if shard.handle is not None:
                shard.handle.cancel()

    # ── Steering and listening ─────────────────────────────────────────────────────────────────────────────

    async def send(self, shard: Shard) -> None:
        """Send the control state in force. A shard that has just finished is no error."""
        control = self._root.control_for(shard)
        shard.sent = control.seq
        if shard.handle is None:
            return
        try:
            await shard.handle.signal(ReindexShard.control, control)
        except TemporalError as error:
            workflow.logger.info("shard %d did not take a control state: %s", shard.index, error)

    def take(self, report: ShardReport) -> None:
        """Replace what is known of a shard, unless newer is known."""
        if report.index >= len(self.all):
            return
        shard = self.all[report.index]
        if report.seq <= shard.seq or not shard.open:
            return
        self._reports += 1
        now = workflow.now().timestamp()
        if shard.reported_at and now > shard.reported_at and limited(self._root.limits):
            shard.grant.used = _used(shard.state, report.progress, now - shard.reported_at)
        shard.seq, shard.state, shard.reported_at = report.seq, report.progress, now
        shard.situation, shard.reason, shard.scope = report.state, report.reason, report.scope
        shard.acknowledged = report.acknowledged

    @property
    def report_every(self) -> float:
        """Seconds between two reports of a shard, stretched so that a whole job's fit its bound."""
        return _FIRST_INTERVAL * float(2 ** (self._reports // _REPORTS_PER_INTERVAL))

    def reopen(self) -> None:
        """Equal shares of changed limits for all open shards; what they use decides from there."""
        held: list[Share] = []
        for shard in self.open:
            shard.grant = Grant(opening(self._root.limits, self._slots, held))
            held.append(shard.grant.share)

    def share_out(self) -> None:
        """Share the budgets anew among the open shards, where it is worth telling."""
        if not limited(self._root.limits):
            return
        shards = {shard.index: shard for shard in self.open}
        grants = {index: shard.grant for index, shard in shards.items()}
        changed = redistribute(self._root.limits, grants, self._slots)
        for index, share in changed.items():
            shards[index].grant = Grant(share)
        if changed:
            self._root.changed()


async def _recall(shard: Shard) -> None:
    """Take over what a shard that was ended had come to, where its reports do not say so by partition.

    If it cannot be asked, its last report stands, and the totals of its partitions are not known.
    """
    if not named(shard.source) or shard.handle is None:
        return
    asked = EndedShard(workflow_id=shard.handle.id)
    try:
        shard.state = await workflow.execute_activity("last_state", asked, result_type=ShardState, **ASKING)
    except ActivityError as error:
        workflow.logger.warning("shard %d cannot be asked any more: %s", shard.index, error.cause or error)


def _opening(source: Source) -> ShardState:
    """Where a shard begins: at its beginning, yet not without what an earlier run could not find out."""
    return ShardState(unknown=source.unknown) if isinstance(source, KeyList) else ShardState()


def _used(before: ShardState, after: ShardState, seconds: float) -> dict[str, float]:
    return {
        "read_units": (after.read_units - before.read_units) / seconds,
        "write_units": (after.write_units - before.write_units) / seconds,
        "records": (after.tally.settled - before.tally.settled) / seconds,
    }


def _summary(shard: Shard, total: int) -> str:
    if isinstance(shard.source, Segment):
        return f"segment {shard.source.segment} of {shard.source.total}"
    if isinstance(shard.source, PartitionRanges):
        names = ", ".join(part.value for part in shard.source.ranges[:3])[:120]  # a line of the Web UI
        return f"{len(shard.source.ranges)} partitions ({names}), shard {shard.index} of {total}"
    return f"{len(shard.source.keys)} keys, shard {shard.index} of {total}"
