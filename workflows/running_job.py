"""The job that runs, as every room of its workflow sees it: what is wanted of it, and where it stands."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from temporalio import workflow

from workflows.controls import Gate

with workflow.unsafe.imports_passed_through():
    from reindexer.models import ControlEvent, DryRun, Limits, Plan, Verification


class RunningJob:
    """Handlers set what is wanted, the driving task where it stands; neither needs to know who looks."""

    def __init__(self) -> None:
        self.gate = Gate()
        self.plan: Plan | None = None
        self.limits = Limits()
        self.phase = "planning"
        self.planned_on = ""  # the task queue of the job's own workers, where they plan it
        self.parked = ""  # why the job paused itself
        self.paused_for = ""  # why somebody paused it
        self.refused = ""  # what was wrong with the last resume
        self.code: str | None = None  # of the job file, once other than planned was accepted
        self.control_seq = 0  # of the desired state in force
        self.controls: list[ControlEvent] = []
        self.warnings: list[str] = []
        self.verification: Verification | None = None
        self.tried: DryRun | None = None
        self._limits_changed: dict[str, Any] = {}
        self._unseen = False  # whether counts changed since they were last looked at
        self._in_flight: dict[int, Callable[[], object]] = {}
        self._interrupts = 0
        self._telling: list[Callable[[], None]] = []

    # ── What is wanted ─────────────────────────────────────────────────────────────────────────────────────

    def changed(self) -> None:
        """The desired state changed: what reads the table is interrupted, and the shards are to be told."""
        self.control_seq += 1
        for interrupt in list(self._in_flight.values()):
            interrupt()
        self.tell()

    def when_changed(self, interrupt: Callable[[], object]) -> Callable[[], None]:
        """Call `interrupt` on every change of the desired state, and on stop, until forgotten."""
        number = self._interrupts = self._interrupts + 1
        self._in_flight[number] = interrupt

        def forget() -> None:
            self._in_flight.pop(number, None)
            self.tell()

        return forget

    @property
    def busy(self) -> bool:
        """Whether an activity of the root itself is reading the table."""
        return bool(self._in_flight)

    def pause(self, reason: str | None) -> None:
        """Somebody wants it to stand still."""
        self.note("pause", reason)
        self.gate.paused, self.paused_for, self.refused = True, reason or "", ""
        self.changed()

    def resume(self, reason: str | None, code: str | None) -> None:
        """Somebody wants it to go on. `code`: of the job file, if another is accepted with it."""
        self.code = code or self.code
        self.note("resume", reason)
        self.gate.paused, self.parked, self.paused_for, self.refused = False, "", "", ""
        self.changed()

    def refuse_resume(self, why: str) -> None:
        """It cannot be followed; why is told as long as the job stands still."""
        self.note("resume refused", why)
        self.refused = why
        self.tell()

    def park(self, reason: str) -> None:
        """Pause by itself, with the reason, ready to resume."""
        self.parked = reason
        self.note("parked", reason)
        self.gate.paused = True
        self.changed()

    def planned(self, plan: Plan) -> None:
        """There is a plan. What was changed while it was made stays changed."""
        self.plan = plan
        self.limits = Limits.model_validate({**plan.limits.model_dump(), **self._limits_changed})

    def with_limits(self, change: dict[str, Any]) -> Limits:
        """The limits as they would be. Raises `ValidationError`."""
        return Limits.model_validate({**self.limits.model_dump(), **change})

    def limit(self, change: dict[str, Any], reason: str | None) -> None:
        """Put changed limits in force; who shares them out then calls `changed`."""
        self._limits_changed |= change
        self.limits = self.with_limits(change)
        self.note("set_limits", reason, change)

    def note(self, what: str, reason: str | None, limits: dict[str, Any] | None = None) -> None:
        """Keep what was done and why, for the report."""
        self.controls.append(ControlEvent(at=workflow.now(), what=what, reason=reason, limits=limits))

    # ── Where it stands ────────────────────────────────────────────────────────────────────────────────────

    def tell(self) -> None:
        """Something changed that a person sees."""
        for telling in self._telling:
            telling()

    def when_told(self, telling: Callable[[], None]) -> None:
        """Call `telling` each time."""
        self._telling.append(telling)

    def noticed(self) -> None:
        """Counts changed. Looked at once for all that came together: 400 shards may report at the same time."""
        self._unseen = True

    async def unseen(self) -> None:
        """Wait until counts have changed."""
        await workflow.wait_condition(lambda: self._unseen)

    def seen(self) -> None:
        """They are being looked at."""
        self._unseen = False
