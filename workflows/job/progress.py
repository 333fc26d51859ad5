"""What a person or a script sees: the `progress` query, the Web UI's current details, search attributes."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from temporalio import workflow
from temporalio.common import SearchAttributeKey

from workflows.job.counts import Figures, Totals, seen_by
from workflows.job.details import details, failures, planned, warned
from workflows.job.followed import followed, throttled_stream
from workflows.job.following import state_of
from workflows.job.looking import Looking
from workflows.job.partition_totals import PartitionProgress, with_quarantined
from workflows.job.rates import Point, Rates
from workflows.job.running_job import RunningJob
from workflows.job.shard import Shard
from workflows.job.shards import Shards
from workflows.job.upkeep import lineages
from workflows.options import EVERYWHERE

with workflow.unsafe.imports_passed_through():
    from reindexer.items import key_text
    from reindexer.models import (
        FOLLOWING,
        MOVING,
        READING,
        Consumed,
        JobProgress,
        Looked,
        Report,
        ShardsDone,
        Throttle,
    )
    from reindexer.words import duration


class ProgressView:
    """Derived from the root's state; holds only what rates and times need."""

    def __init__(self, job: RunningJob, shards: Shards, looking: Looking, worked_seconds: float) -> None:
        self._job, self._shards, self._looking = job, shards, looking
        self._state, self._since = "planning", ""
        self._throttled_since = ""
        self._worked = worked_seconds
        self._refreshed_at = 0.0
        self._looked_at = ""
        self._rates = Rates()
        self._totals = Totals()
        self._reading = False  # what the rates count: records read by a verification
        self._partitions = PartitionProgress()
        self._planned = ""  # the plan for the Web UI
        self._ended = ""  # how, once it has

    @property
    def worked_seconds(self) -> float:
        """Neither paused nor parked."""
        return self._worked

    def announce(self) -> None:
        """Once planned: what this is, for lists and searches."""
        plan = self._job.known_plan
        self._upsert({"ReindexTable": plan.target.table, "ReindexOperation": plan.target.operation.kind})
        self.refresh()

    def refresh(self) -> None:
        """After any change, once for an activation: state, rates, current details, search attribute."""
        now = workflow.now().timestamp()
        if self._refreshed_at and self._state in MOVING:
            self._worked += now - self._refreshed_at
        self._refreshed_at = now
        reading = self._job.phase in READING
        figures = self._totals.now(self._shards.all)
        if reading != self._reading or len(self._shards.all) == 0:
            self._reading = reading
            self._rates.begin(self._point(figures))
        elif self._looking.at != self._looked_at:
            self._looked_at = self._looking.at
            self._rates.add(self._point(figures))
        self._enter(self._compute())
        workflow.set_current_details(self._details(figures))

    def close(self, report: Report) -> None:
        """The last words: the report, for the Web UI and for `describe`."""
        self._enter("done")
        self._ended = f"**{report.state}** in {duration(report.seconds)}"
        workflow.set_current_details(self._details(self._totals.now(self._shards.all)))
        workflow.upsert_memo(
            {  # below 2 KB, the server's warning limit
                "state": report.state,
                "run": report.run,
                "version": report.version,
                "tally": report.tally.model_dump(),
                "attempts": report.attempts.model_dump(),
                "balanced": report.balanced,
            }
        )

    def _point(self, figures: Figures, more_seconds: float = 0.0) -> Point:
        read = figures.checked.scanned + figures.compared.scanned
        records = read if self._reading else figures.tally.settled
        return Point(self._worked + more_seconds, records, figures.read_units, figures.write_units)

    # ── State ──────────────────────────────────────────────────────────────────────────────────────────────

    def _compute(self) -> str:
        job = self._job
        if job.phase in ("planning", "done"):
            return job.phase
        if job.gate.stopping:
            return "cancelling"
        if job.gate.paused:
            if not self._shards.quiet or job.at_work:
                return "pausing"
            return "parked" if job.parked else "paused"
        throttled = [s for s in self._shards.open if s.situation == "throttled"]
        everywhere = any(s.scope in EVERYWHERE for s in throttled)
        if throttled and (everywhere or len(throttled) == len(self._shards.open)):
            return "throttled"
        if job.phase == "comparing":
            return "comparing"
        if lineages(self._shards):
            return state_of(job, self._shards)
        return "verifying" if job.phase in READING else "running"

    def _enter(self, state: str) -> None:
        if state != self._state or not self._since:
            self._state, self._since = state, workflow.now().isoformat()
            self._upsert({"ReindexState": state})
        throttled = self._waiting() is not None
        self._throttled_since = (self._throttled_since or workflow.now().isoformat()) if throttled else ""

    def _upsert(self, values: dict[str, str]) -> None:
        plan = self._job.plan
        known = plan.search_attributes if plan else []
        updates = [SearchAttributeKey.for_keyword(n).value_set(v) for n, v in values.items() if n in known]
        if updates:
            workflow.upsert_search_attributes(updates)

    # ── Answers ────────────────────────────────────────────────────────────────────────────────────────────

    def progress(self, looked: Looked | None = None) -> JobProgress:
        """The `progress` query: as of the last look, or of the caller's own. Rates leave pauses out."""
        every = self._shards.all
        figures = self._totals.now(every) if looked is None else seen_by(looked, every)
        point = None
        if looked is not None and looked.at is not None:
            moving = self._state in MOVING
            point = self._point(figures, max(0.0, looked.at.timestamp() - self._refreshed_at) * moving)
        return self._answer(figures, self._rates.now(point), looked.at if looked else None)

    def _answer(self, figures: Figures, rates: dict[str, float], at: datetime | None = None) -> JobProgress:
        job, shards = self._job, self._shards
        reading = job.phase in READING
        mine = [s for s in shards.all if s.phase == job.phase] if reading else shards.changing
        remaining = self._remaining(figures)
        rate = rates["records"]
        # Isolated records are scanned already, and take their time yet.
        unsettled = None if remaining is None else remaining + (0 if reading else figures.isolated)
        compares = job.plan is not None and job.plan.verb.compares
        writes_all = job.plan is not None and job.plan.target.writer != "none" and not compares
        planned = len(job.plan.sources) if job.plan and writes_all else 0
        return JobProgress(
            state=self._state,
            reason=self._reason(),
            since=self._since,
            tally=figures.tally,
            attempts=figures.attempts,
            remaining=remaining,
            in_flight=len([s for s in shards.open if s.situation in ("running", "throttled")]),
            isolated=figures.isolated,
            shards=ShardsDone(
                total=len(mine) if reading else max(len(mine), planned),
                done=len([s for s in mine if s.done]),
                running=len([s for s in mine if s.open]),
            ),
            consumed=Consumed(read_units=rates["read_units"], write_units=rates["write_units"]),
            limits=job.limits,
            throttle=self._throttle(figures),
            records_per_second=rate,
            eta_seconds=round(unsettled / rate) if rate and unsettled is not None else None,
            partitions=self._partitions.of(shards.changing),
            run=job.plan.run if job.plan else None,
            verification=figures.checked if reading and not compares else job.verification,
            comparison=figures.compared if compares else None,
            started_at=job.started_at.isoformat(),
            as_of=at.isoformat() if at else self._looking.at or None,
            look_seconds=round(self._looking.seconds, 1) if job.plan else None,
            phase=job.phase,
            cycle=job.cycle,
            cycling=job.cycling,
            resumes_at=job.resume_at.isoformat() if job.resume_at else None,
            **followed(job, figures.followed, self._as_of(at)),
        )

    def _as_of(self, at: datetime | None) -> float:
        """Seconds since 1970 of what is known of a follow: while it does not work, that is known now too."""
        if at is None and self._looking.at and self._state in FOLLOWING:
            at = datetime.fromisoformat(self._looking.at)
        return (at or workflow.now()).timestamp()

    def failures(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Counts by class and one page of what is kept in the workflow; `kept` of `total` are."""
        error, after = asked.get("error"), str(asked.get("after") or "")
        limit = asked.get("limit")
        size = limit if isinstance(limit, int) and 0 < limit <= 1000 else 50  # all that is kept
        counts = self._shards.failures
        rows = [(key_text(r.key), r) for r in self._shards.newest if error in (None, r.error)]
        rows.sort(key=lambda row: row[0])
        page = [row for row in rows if row[0] > after][:size]
        more = bool(page) and page[-1][0] != rows[-1][0]
        return {
            "counts": counts,
            "total": sum(counts.values()),
            "kept": len(rows),
            "failures": [
                record.model_dump(exclude={"given_up", "deleting", "marked", "changed_ms"})
                for _, record in page
            ],
            "after": page[-1][0] if more else None,
        }

    def _reason(self) -> str | None:
        """Why the state is what it is; what was wrong with a resume is shown as long as it matters."""
        reason, refused = self._why(), self._job.refused
        if not refused or self._state == "done":
            return reason
        return f"{reason + '; ' if reason else ''}a resume was refused: {refused}"

    def _why(self) -> str | None:
        job = self._job
        if self._state == "planning" and job.waits_for:
            return job.waits_for
        if self._state == "planning" and job.planned_on:
            return f"the job's own workers plan it, on task queue {job.planned_on}"
        if self._state in ("parked", "pausing") and job.parked:
            return job.parked
        if self._state in ("paused", "pausing"):
            until = f"until {job.resume_at:%Y-%m-%d %H:%M:%S} UTC" if job.resume_at else ""
            return "; ".join(part for part in (job.paused_for, until) if part) or None
        if self._state in FOLLOWING and (why := self._why_not_quite()):
            return why
        if job.confirming:
            return "all is written; it waits until follows of the table have carried it"
        if job.cycling and self._state != "done":
            return "the workflow continues as a new run; the shards go on in seconds"
        if self._state == "throttled":
            waiting = self._waiting()
            return waiting.reason if waiting else None
        return None

    def _why_not_quite(self) -> str:
        """Of a follow that works: whom a part of it waits for, and why readers do not have the index."""
        waiting, index = self._waiting(), self._job.index
        readers = f"readers do not have {index.index}: {index.why}" if index and not index.moved else ""
        return "; ".join(part for part in (waiting.reason if waiting else "", readers) if part)

    def _throttle(self, figures: Figures) -> Throttle | None:
        waiting = self._waiting()
        if waiting is None:
            return throttled_stream(figures.followed)
        return Throttle(reason=waiting.reason, scope=waiting.scope, since=self._throttled_since)

    def _waiting(self) -> Shard | None:
        """A shard that waits for capacity."""
        return next((shard for shard in self._shards.open if shard.situation == "throttled"), None)

    def _remaining(self, figures: Figures) -> int | None:
        """Records still to be scanned, by a count up to six hours old; None where nothing can be said."""
        job, plan = self._job, self._job.plan
        if plan is None:
            return None
        if job.phase in READING:
            read = figures.checked.scanned + figures.compared.scanned
            return max(0, max(figures.tally.scanned, plan.facts.items) - read)
        if job.phase == "repairing":
            return max(0, sum(figures.compared.differences.values()) - figures.tally.scanned)
        if all(shard.done for shard in self._shards.all) and self._shards.all:
            return 0
        expected = plan.expected
        return None if expected is None else max(0, expected - figures.tally.scanned)

    def _details(self, figures: Figures) -> str:
        job, shards = self._job, self._shards
        progress = self._answer(figures, self._rates.now())
        failed = with_quarantined(shards.newest) if progress.partitions else []
        parts = [details(progress, job.plan, failed, self._ended), failures(shards.failures, shards.newest)]
        if job.plan and job.input:
            self._planned = self._planned or planned(job.plan, job.input)  # made once: it may be long
            parts += [warned([*job.plan.warnings, *job.warnings]), self._planned]
        return "\n\n".join(part for part in parts if part)
