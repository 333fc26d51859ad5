"""The shards of a job as the root sees them: starting, steering, folding what they hand back."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence

from temporalio import workflow
from temporalio.exceptions import ChildWorkflowError, TemporalError, WorkflowAlreadyStartedError

from workflows.job.children import Children, Gone
from workflows.job.running_job import RunningJob
from workflows.job.shard import STILL, Shard, superseded, together
from workflows.job.shares import Grant, limited, opening, redistribute
from workflows.reindex_shard import ReindexShard

with workflow.unsafe.imports_passed_through():
    from reindexer.models import (
        Isolated,
        KeptKeys,
        Looked,
        Phase,
        ShardReport,
        Share,
        Source,
    )
    from reindexer.tally import Attempts, Tally

#: Bytes of inputs started in one workflow task: with 4 MB the server terminates the root, a quarter is safe.
_BYTES_PER_TASK = 1_000_000
#: Newest quarantined records kept for the `failures` query, and their bytes; the ledger has all.
_MAX_NEWEST, _NEWEST_BYTES = 50, 65_536


class Shards:
    """All shards of a job. The driving task is `run`; what comes in changes only fields."""

    def __init__(self, job: RunningJob) -> None:
        self._job = job
        self.all: list[Shard] = []
        self.newest: list[Isolated] = []
        self._waiting = 0  # shards still to begin
        self._children = Children(job, self._begin)

    # ── Totals ─────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def changing(self) -> list[Shard]:
        """Those that change records; the others verify."""
        return [shard for shard in self.all if not shard.reads_only]

    @property
    def tally(self) -> Tally:
        return Tally.total(shard.counts.tally for shard in self.changing)

    @property
    def attempts(self) -> Attempts:
        return Attempts.total(shard.counts.attempts for shard in self.changing)

    @property
    def quarantined(self) -> int:
        """Records given up, as far as shards have said."""
        return sum(self.failures.values())

    @property
    def failures(self) -> dict[str, int]:
        """Records given up, by error class."""
        counts: Counter[str] = Counter()
        for found in filter(None, (shard.summary.failures for shard in self.all)):  # asked for at each change
            counts.update(found)
        return dict(counts)

    @property
    def open(self) -> list[Shard]:
        return [shard for shard in self.all if shard.open]

    @property
    def _slots(self) -> int:
        """Shards that work at the same time, those still to begin included; those that follow beside them."""
        active = sum(shard.active for shard in self.all)
        follow = sum(shard.active and shard.follows for shard in self.all)
        return min(self._job.limits.shards_in_flight, active - follow + self._waiting) + follow

    @property
    def quiet(self) -> bool:
        """Whether every shard has acknowledged the pause in force and runs no attempt.

        Also of one whose child is being started: it may begin a round before it learns of the pause.
        """
        since = self._job.paused_since
        return all(s.acknowledged >= since and s.situation in STILL for s in self.all if s.active)

    # ── Driving ────────────────────────────────────────────────────────────────────────────────────────────

    async def run(self, mine: list[Shard]) -> None:
        """Carry these to their end, a bounded number at a time; returns early when leaving, all handed back."""
        job = self._job
        waiting = [shard for shard in mine if not shard.done]
        tasks: dict[asyncio.Task[None], Shard] = {}
        while (waiting and not job.leaving) or tasks:
            batch = self._next(waiting, tasks)
            self._waiting = len(waiting)
            for shard in batch:
                shard.active = True
                tasks[asyncio.ensure_future(self._one(shard))] = shard
            before = job.leaving, job.gate.open, job.limits.shards_in_flight
            starting = [shard for shard in tasks.values() if not shard.open]
            await workflow.wait_condition(
                lambda starting=starting, before=before: (  # type: ignore[misc]
                    any(task.done() for task in tasks)
                    or any(shard.open for shard in starting)
                    or before != (job.leaving, job.gate.open, job.limits.shards_in_flight)
                )
            )
            for task in [task for task in tasks if task.done()]:
                shard = tasks.pop(task)
                task.result()
                if not shard.done:
                    waiting.append(shard)
        self._waiting = 0

    def _next(self, waiting: list[Shard], tasks: dict[asyncio.Task[None], Shard]) -> list[Shard]:
        """Shards to start in this workflow task, taken off `waiting`; those started before must have begun."""
        job = self._job
        if job.leaving or not job.gate.open or any(not shard.open for shard in tasks.values()):
            return []
        taken = sum(not shard.follows for shard in tasks.values())
        return self._batch(waiting, job.limits.shards_in_flight - taken)

    def _batch(self, waiting: list[Shard], room: int) -> list[Shard]:
        """As many off `waiting` as one workflow task may start. Those that follow take no room: they never end,
        so that a scan with as little room as there are of them would not begin."""
        left, batch = _BYTES_PER_TASK, list[Shard]()
        for shard in list(waiting):
            if room <= 0 and not shard.follows:
                continue
            left -= len(self._children.input(shard).model_dump_json().encode())
            if left < 0 and batch:
                break
            waiting.remove(shard)
            batch.append(shard)
            room -= not shard.follows
        return batch

    def add(self, sources: Sequence[Source], phase: Phase = "running") -> list[Shard]:
        """Shards of their own for what is left to be done after a scan."""
        first = len(self.all)
        more = [Shard(first + number, phase, source) for number, source in enumerate(sources)]
        self.all += more
        return more

    def fold_kept(self) -> None:
        """Those for key lists that have ended, at the end of all, into the one before them: it is done, too."""
        first = len(self.all)
        while isinstance(self.all[first - 1].source, KeptKeys) and self.all[first - 1].done:
            first -= 1
        self.all[first - 1 :] = [together(first - 1, self.all[first - 1 :])]

    def begin_again(self, sources: Sequence[Source]) -> None:
        """A rescan's shards in the place of all. The last source is empty: what all before came to."""
        last = len(sources) - 1
        before = superseded(together(last, self.all))
        self.all = [Shard(index, "running", source) for index, source in enumerate(sources[:last])] + [before]
        self.newest = []  # it tries them again

    async def settle(self) -> None:
        """The last look of shards that do not run as the job is cancelled: handed back for a new run of the
        root, or ended by someone. Asked to stop, each takes that look and nothing else."""
        waiting = [shard for shard in self.all if shard.unsettled]
        while waiting:
            batch = self._batch(waiting, self._job.limits.shards_in_flight)
            await asyncio.gather(*(self._one(shard) for shard in batch))

    async def _one(self, shard: Shard) -> None:
        """One child from start to end. A child that was ended by someone parks the job."""
        try:
            shard.handle = await self._children.start(shard, len(self.all))
            shard.open = True
            end = await self._children.end_of(shard)
        except WorkflowAlreadyStartedError as error:
            self._ended_badly(shard, f"its workflow id is taken: {error}")
        except (ChildWorkflowError, Gone) as error:
            self._keep_newest(await self._children.recall(shard))
            self._ended_badly(shard, str(error.__cause__ or error))
        else:
            self._keep_newest(shard.close(end))
            if end.how == "cancelled" and not self._job.gate.stopping:
                self._ended_badly(shard, "cancelled from outside")
        finally:
            shard.open = shard.active = False
            self._job.noticed()

    def _begin(self, shard: Shard) -> None:
        """It is about to start: its share, and nothing known of it yet."""
        shard.seen_at, shard.seen_closed, shard.gone = workflow.now().timestamp(), 0.0, False
        shard.situation, shard.reason, shard.acknowledged = "running", "", -1
        held = [other.grant.share for other in self.all if other.active and other is not shard]
        shard.grant = Grant(opening(self._job.limits, self._slots, held))
        shard.sent = shard.wanted = self._job.control_seq

    def _ended_badly(self, shard: Shard, why: str) -> None:
        shard.ended_from_outside(why)
        if not self._job.gate.stopping:
            self._job.park(f"shard {shard.index} ended: {why[:300]}; resume starts it again")

    # ── Steering and listening ─────────────────────────────────────────────────────────────────────────────

    async def reconcile(self) -> None:
        """Send the whole desired state to every open shard that must have it and does not yet, for ever."""
        while True:
            await workflow.wait_condition(lambda: any(s.sent < s.wanted for s in self.open))
            await asyncio.gather(*(self._send(s) for s in self.open if s.sent < s.wanted))

    async def _send(self, shard: Shard) -> None:
        """Send the control state in force. A shard that has just finished is no error."""
        control = self._job.control(shard.grant.share)
        shard.sent = control.seq
        if shard.handle is None:
            return
        try:
            await shard.handle.signal(ReindexShard.control, control)
        except TemporalError as error:
            workflow.logger.info("shard %d did not take a control state: %s", shard.index, error)

    def want_all(self) -> None:
        """The desired state has changed for every shard."""
        for shard in self.all:
            if shard.active:
                shard.wanted = self._job.control_seq
                if not self._job.gate.paused and shard.situation in STILL:
                    shard.situation, shard.reason, shard.acknowledged = "running", "", -1

    def take(self, report: ShardReport) -> None:
        """A shard signalled."""
        if report.index < len(self.all) and self.all[report.index].open:
            self._keep_newest(self.all[report.index].tell(report))

    def see(self, looked: Looked) -> None:
        """All open shards were looked at."""
        now = workflow.now().timestamp()
        for index, seen in looked.shards.items():
            if index < len(self.all) and self.all[index].open:
                self.all[index].see(seen, now, measured=limited(self._job.limits))
        for index in looked.ended:
            if index < len(self.all) and self.all[index].open:
                self.all[index].see_closed(now)

    def _keep_newest(self, records: list[Isolated]) -> None:
        kept = (self.newest + records)[-_MAX_NEWEST:]
        while kept and sum(len(record.model_dump_json()) for record in kept) > _NEWEST_BYTES:
            kept.pop(0)
        self.newest = kept

    def reopen(self) -> None:
        """Equal shares of changed limits for all open shards; what they use decides from there."""
        held: list[Share] = []
        for shard in self.open:
            shard.grant = Grant(opening(self._job.limits, self._slots, held))
            held.append(shard.grant.share)

    def share_out(self) -> None:
        """Share the budgets among the open shards. Only those whose share changes much are sent anything."""
        if not limited(self._job.limits) or self._job.leaving:
            return
        shards = {shard.index: shard for shard in self.open}
        grants = {index: shard.grant for index, shard in shards.items()}
        changed = redistribute(self._job.limits, grants, self._slots)
        if changed:
            self._job.control_seq += 1
        for index, share in changed.items():
            shards[index].grant, shards[index].wanted = Grant(share), self._job.control_seq
