"""The job that runs, as every room of its workflow sees it: what is wanted of it, and where it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from temporalio import workflow

from workflows.controls import Gate

with workflow.unsafe.imports_passed_through():
    from reindexer.models import (
        Arrival,
        Capacity,
        Compared,
        Control,
        ControlEvent,
        DryRun,
        FollowState,
        Indexed,
        JobInput,
        Limits,
        Phase,
        Plan,
        RunCarried,
        Share,
        Verification,
    )

#: Control events kept for the report, the first and the newest: limits may change every minute for days.
_MAX_CONTROLS = 200
#: Warnings kept, and characters of each.
_MAX_WARNINGS, _WARNING_CHARACTERS = 50, 500


class RunningJob:
    """Handlers set what is wanted, the driving task where it is; neither needs to know who looks.

    `when_changed`, set by the workflow, passes a change of the desired state on to the shards.
    """

    def __init__(self, limits: Limits, carried: RunCarried | None) -> None:
        info = workflow.info()
        self.gate = Gate()
        self.job_id = info.workflow_id
        #: The same over all runs of the chain: who holds the lock.
        self.first_run_id = info.first_execution_run_id
        self.started_at: datetime = carried.started_at if carried else info.workflow_start_time
        self.run_started_at = info.start_time  # of this run
        self.cycle = carried.cycle if carried else 0
        self.cycling = False  # this run hands over: nothing is started, everything hands back
        self.ending = False  # it ends by itself: as `cycling`, and no run follows
        self.signals = self.updates = 0  # taken in this run
        self.looked_at = 0  # shards, in all looks of this run
        self.plan: Plan | None = carried.plan if carried else None
        #: As they were given: null in what is to be chosen by the plan.
        self.asked = (carried.asked or carried.limits) if carried else limits
        self.limits = carried.limits if carried else limits  # in force
        self.phase: Phase = carried.phase if carried else "planning"
        self.planned_on = ""  # the task queue of the job's own workers, where they plan it
        self.waits_for = ""  # why it is not planned yet
        self.parked = carried.parked if carried else ""  # why the job paused itself
        self.paused_for = carried.paused_for if carried else ""  # why someone paused it
        self.resume_at = carried.resume_at if carried else None  # a pause for a time is over then
        self.refused = carried.refused if carried else ""  # what was wrong with the last resume
        self.code = carried.code if carried else None  # of the job file, once other than planned was accepted
        self.control_seq = carried.control_seq if carried else 0  # of the desired state in force
        self.paused_since = carried.paused_since if carried else 0  # the seq of the pause in force
        self.gate.paused = carried.paused if carried else False
        self.controls: list[ControlEvent] = list(carried.controls) if carried else []
        self.controls_dropped = carried.controls_dropped if carried else 0
        self.warnings: list[str] = list(carried.warnings) if carried else []
        self.verification: Verification | None = carried.verification if carried else None
        self.compared: Compared | None = carried.compared if carried else None
        self.used = carried.used if carried else None  # the version, for something else
        self.swept = carried.swept if carried else 0  # rows that the sweep takes up
        self.sweeps = False  # rows found behind are swept
        self.input: JobInput | None = None  # None: it could not be read
        self.tried: DryRun | None = None
        self.index: Indexed | None = carried.index if carried else None  # what became of it
        self.followed = carried.followed if carried and carried.followed else FollowState()
        self.arrival: Arrival | None = None  # of what it wrote, where that is to be confirmed
        self.confirming = False  # it has written all, and waits for others to have carried it
        self.at_work = 0  # activities of the root itself that read the table, or write to its destination
        self.when_changed: Callable[[], None] = lambda: None
        self._unseen = True  # whether something changed since it was last looked at

    @property
    def known_plan(self) -> Plan:
        """The plan of a job that has one."""
        assert self.plan is not None, "not planned yet"
        return self.plan

    @property
    def leaving(self) -> bool:
        """Whether everything is to hand back: for good, as it has come to its end, or for a new run."""
        return self.gate.stopping or self.cycling or self.ending

    def control(self, share: Share) -> Control:
        """The whole desired state, for a shard with this share of the budgets."""
        return Control(
            seq=self.control_seq,
            paused=self.gate.paused,
            paused_since=self.paused_since,
            stop=self.gate.stopping,
            cycle=self.cycle + (self.cycling or self.ending),
            share=share,
            code=self.code,
            # A quarter over the limit at most, however many shards give records up at the same time.
            quarantine_step=max(1, self.limits.quarantined // (4 * self.limits.shards_in_flight)),
        )

    # ── What is wanted ─────────────────────────────────────────────────────────────────────────────────────

    def changed(self) -> None:
        """The desired state changed, and the shards must have it."""
        self.control_seq += 1
        self.when_changed()
        self.noticed()

    def pause(self, reason: str | None) -> None:
        """Someone wants it to stand still."""
        self.note("pause", reason)
        self.paused_for, self.refused = reason or "", ""
        self._stand_still()

    def resume(self, reason: str | None, code: str | None) -> None:
        """Someone wants it to go on. `code`: of the job file, if another is accepted with it."""
        self.code = code or self.code
        self.note("resume", reason)
        self.gate.paused, self.parked, self.paused_for, self.refused = False, "", "", ""
        self.resume_at = None
        self.changed()

    def refuse_resume(self, why: str) -> None:
        """It cannot be followed; why is shown as long as the job is paused."""
        self.note("resume refused", why)
        self.refused = why[:_WARNING_CHARACTERS]
        self.noticed()

    def park(self, reason: str) -> None:
        """Pause by itself, with the reason, ready to resume."""
        self.parked = reason
        self.note("parked", reason)
        self._stand_still()

    def _stand_still(self) -> None:
        already, self.gate.paused = self.gate.paused, True
        if not already:
            self.paused_since = self.control_seq + 1
        self.changed()

    def hand_over(self) -> None:
        """This run is long enough: everything hands back, and a new run begins."""
        self.cycling = True
        self.changed()

    def rescan(self, reason: str | None) -> None:
        """Someone wants another scan: everything hands back, and begins again with a new epoch."""
        self.note("rescan", reason)
        self.followed.rescan = True
        self.hand_over()

    def stop_when_drained(self, reason: str | None) -> None:
        """A follow is to end by itself, once all that has changed until now is carried."""
        if self.followed.stop_at is None:
            self.followed.stop_at = workflow.now()
            self.note("stop when drained", reason)
            self.noticed()

    def end(self) -> None:
        """It has come to its end: everything hands back, and the report is made."""
        self.ending = True
        self.changed()

    def planned(self, plan: Plan) -> None:
        """There is a plan. What was changed while it was made stays changed."""
        self.plan = plan
        self.limits, _ = plan.chosen(self.asked)

    def plan_waits(self, why: str) -> None:
        """Planning has met what may pass, and is tried again; "": it is over."""
        if why != self.waits_for:
            self.waits_for = why[:_WARNING_CHARACTERS]
            self.noticed()

    def with_limits(self, change: dict[str, Any]) -> Limits:
        """The limits as they would be asked for. Raises `ValidationError`."""
        return Limits.model_validate({**self.asked.model_dump(), **change})

    def limit(self, change: dict[str, Any], reason: str | None) -> None:
        """Put changed limits in force; who shares them out then calls `changed`."""
        self.asked = self.limits = self.with_limits(change)
        if self.plan:
            self.limits, _ = self.plan.chosen(self.asked)
        self.note("set_limits", reason, change)

    def measured(self, capacity: Capacity) -> bool:
        """The table has another capacity now. True: chosen limits followed; who shares them out as above."""
        plan, before = self.known_plan, self.limits.model_dump()
        self.plan = plan.model_copy(update={"facts": plan.facts.model_copy(update=dict(capacity))})
        self.limits, why = self.plan.chosen(self.asked)
        change = {name: value for name, value in self.limits.model_dump().items() if value != before[name]}
        if change:
            self.note("limits followed the capacity", why, change)
        return bool(change)

    def note(self, what: str, reason: str | None, limits: dict[str, Any] | None = None) -> None:
        """Keep what was done and why, for the report."""
        reason = reason[:_WARNING_CHARACTERS] if reason else reason
        self.controls.append(ControlEvent(at=workflow.now(), what=what, reason=reason, limits=limits))
        if len(self.controls) > _MAX_CONTROLS:
            del self.controls[_MAX_CONTROLS // 2]
            self.controls_dropped += 1

    def warn(self, warning: str) -> None:
        """Keep a warning for the report."""
        if len(self.warnings) < _MAX_WARNINGS:
            self.warnings.append(warning[:_WARNING_CHARACTERS])

    @contextmanager
    def working(self) -> Iterator[None]:
        """Around such an activity: a pause has not taken effect before it ends."""
        self.at_work += 1
        try:
            yield
        finally:
            self.at_work -= 1
            self.noticed()

    # ── What people see ────────────────────────────────────────────────────────────────────────────────────

    def noticed(self) -> None:
        """Something changed that a person sees. Looked at once for all that came together."""
        self._unseen = True

    async def unseen(self) -> None:
        """Wait until something has changed."""
        await workflow.wait_condition(lambda: self._unseen)
        self._unseen = False
