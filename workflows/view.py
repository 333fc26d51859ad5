"""What a person or a script sees: the `progress` query, the Web UI's current details, search attributes."""

from __future__ import annotations

from typing import Any

from temporalio import workflow
from temporalio.common import SearchAttributeKey

from workflows.by_partition import Standing, with_quarantined
from workflows.details import details
from workflows.options import EVERYWHERE
from workflows.rates import Rates
from workflows.readers import Readers, Waiting
from workflows.running_job import RunningJob
from workflows.shards import Shards
from workflows.slot import Shard

with workflow.unsafe.imports_passed_through():
    from reindexer.items import key_text
    from reindexer.models import Report


class View:
    """Derived from the root's state whenever that changes; holds only what rates need."""

    def __init__(self, job: RunningJob, shards: Shards, readers: Readers) -> None:
        self._job, self._shards, self._readers = job, shards, readers
        self._state, self._since = "planning", ""
        self._throttled_since = ""
        self._rates = Rates()
        self._partitions = Standing()

    def announce(self) -> None:
        """Once planned: what this is, for lists and searches."""
        plan = self._job.plan
        assert plan is not None
        values = {"ReindexTable": plan.target.table, "ReindexOperation": plan.target.operation.kind}
        self._upsert(values)
        self.refresh()

    def refresh(self) -> None:
        """After any change: state, rates, current details, the state's search attribute."""
        working = self._state in ("running", "throttled", "verifying")
        self._rates.look(workflow.now().timestamp(), self._shards.all, working=working)
        self._enter(self._compute())
        workflow.set_current_details(self._details())

    def close(self, report: Report) -> None:
        """The last words: the report, for the Web UI and for `describe`."""
        self._enter("done")
        workflow.set_current_details(self._details() + f"\n\n**{report.state}** in {report.seconds:.1f} s")
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

    # ── State ──────────────────────────────────────────────────────────────────────────────────────────────

    def _compute(self) -> str:
        job = self._job
        if job.phase in ("planning", "done"):
            return job.phase
        if job.gate.stopping:
            return "cancelling"
        if job.gate.paused:
            if not self._shards.quiet or job.busy:
                return "pausing"
            return "parked" if job.parked else "paused"
        if job.phase == "verifying":
            return "throttled" if self._readers.waiting else "verifying"
        throttled = [s for s in self._shards.open if s.situation == "throttled"]
        everywhere = any(s.scope in EVERYWHERE for s in throttled)
        if throttled and (everywhere or len(throttled) == len(self._shards.open)):
            return "throttled"
        return "running"

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

    def progress(self) -> dict[str, Any]:
        """The `progress` query. Counts are as of the shards' last reports; rates leave paused time out."""
        job, shards = self._job, self._shards
        tally = shards.tally
        rates = self._rates.now()
        remaining = self._remaining()
        rate = rates["records"]
        return {
            "state": self._state,
            "reason": self._reason(),
            "since": self._since,
            "tally": tally.model_dump(),
            "attempts": shards.attempts.model_dump(),
            "remaining": remaining,
            "in_flight": len([s for s in shards.open if s.situation in ("running", "throttled")]),
            "isolated": shards.isolated,
            "shards": {
                "total": max(len(shards.all), len(job.plan.sources) if job.plan else 0),
                "done": len([s for s in shards.all if s.done]),
                "running": len(shards.open),
            },
            "consumed": {"read_units": rates["read_units"], "write_units": rates["write_units"]},
            "limits": job.limits.model_dump(),
            "throttle": self._throttle(),
            "records_per_second": rate,
            "eta_seconds": round(remaining / rate) if rate and remaining is not None else None,
            "partitions": self._partitions.of(shards.all),
            "run": job.plan.run if job.plan else None,
            "verification": job.verification.model_dump() if job.verification else None,
        }

    def failures(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Counts by class and one page of what is kept in the workflow; `kept` of `total` are."""
        error, after = asked.get("error"), str(asked.get("after") or "")
        limit = asked.get("limit")
        size = limit if isinstance(limit, int) and 0 < limit <= 1000 else 50  # a screen; at most about 300 kB
        counts: dict[str, int] = {}
        rows = []
        for shard in self._shards.all:
            for name, count in shard.state.failures.items():
                counts[name] = counts.get(name, 0) + count
            rows += [(key_text(r.key), r) for r in shard.state.quarantined if error in (None, r.error)]
        rows.sort(key=lambda row: row[0])
        page = [row for row in rows if row[0] > after][:size]
        more = bool(page) and page[-1][0] != rows[-1][0]
        return {
            "counts": counts,
            "total": sum(counts.values()),
            "kept": len(rows),
            "failures": [record.model_dump(exclude={"given_up", "deleting"}) for _, record in page],
            "after": page[-1][0] if more else None,
        }

    def _reason(self) -> str | None:
        """Why the state is what it is; what was wrong with a resume is told as long as it matters."""
        reason, refused = self._why(), self._job.refused
        if not refused or self._state == "done":
            return reason
        return f"{reason + '; ' if reason else ''}a resume was refused: {refused}"

    def _why(self) -> str | None:
        job = self._job
        if self._state == "planning" and job.planned_on:
            return f"the job's own workers plan it, on task queue {job.planned_on}"
        if self._state in ("parked", "pausing") and job.parked:
            return job.parked
        if self._state in ("paused", "pausing"):
            return job.paused_for or None
        if self._state == "throttled":
            waiting = self._waiting()
            return waiting.reason if waiting else None
        return None

    def _throttle(self) -> dict[str, Any] | None:
        waiting = self._waiting()
        if waiting is None:
            return None
        return {"reason": waiting.reason, "scope": waiting.scope, "since": self._throttled_since}

    def _waiting(self) -> Shard | Waiting | None:
        """A shard that waits for capacity, or the readers of a verification."""
        throttled = (shard for shard in self._shards.open if shard.situation == "throttled")
        return next(throttled, None) or self._readers.waiting

    def _remaining(self) -> int | None:
        """An estimate from a count up to six hours old; None where nothing can be said."""
        plan = self._job.plan
        if plan is None:
            return None
        if all(shard.done for shard in self._shards.all) and self._shards.all:
            return 0
        expected = plan.expected
        return None if expected is None else max(0, expected - self._shards.tally.settled)

    def _details(self) -> str:
        job, progress = self._job, self.progress()
        failed = with_quarantined(self._shards.all) if progress["partitions"] else []
        return details(progress, job.plan.target if job.plan else None, failed)
