"""The Web UI's current details, in Markdown: where a job is, what to do, what went wrong, what was planned."""

from __future__ import annotations

from collections.abc import Iterable

from temporalio import workflow

from workflows.job.partition_totals import few

with workflow.unsafe.imports_passed_through():
    from reindexer.errors import cut
    from reindexer.items import key_text
    from reindexer.models import MOVING, Isolated, JobInput, JobProgress, Limits, Plan
    from reindexer.plan_rows import plan_rows
    from reindexer.tally import Outcome, Tally
    from reindexer.words import duration, per_second

#: Records shown of those that were given up: enough to see what they have in common.
_RECORDS = 5
_WARNINGS = 10  # more would hide the rest of the page; the report has all


def details(progress: JobProgress, plan: Plan | None, failed: list[str], ended: str) -> str:
    """`progress` as the query answers it; `failed`: partitions with quarantined records; `ended`: and how."""
    reason = ended or progress.reason
    headline = f"**{progress.state}**" + (f": {reason}" if reason else "")
    if plan is None:
        return headline
    target = plan.target
    aim = f" to version {target.version}" if plan.verb.stamps and not plan.verb.compares else ""
    headline = f"{headline} · {target.operation.words} `{target.table}`{aim}"
    todo = _todo(progress.state)
    figures = _table(_figures(progress, failed), right=True)
    met = [f"Attempts by record: {words}"] if progress.attempts and (words := progress.attempts.words) else []
    return "\n\n".join([headline, *todo, figures, *met, *_limits(progress.limits, plan.limits)])


def failures(counts: dict[str, int], newest: list[Isolated]) -> str:
    """Records given up, by class, and some of them; "" where there are none."""
    if not counts:
        return ""
    job = _job()
    classes = ", ".join(f"{n:,} × {name}" for name, n in sorted(counts.items(), key=lambda one: -one[1]))
    lines = [f"- `{cut(key_text(r.key))}`: {r.error}, {cut(r.message or '')}" for r in newest[-_RECORDS:]]
    todo = [
        f"To list all: `reindexer failures {job}`",
        "",
        f"To run them again, once the job has ended and the cause is gone: `reindexer redrive {job}`",
    ]
    return "\n".join([f"**Quarantined records**: {classes}", "", *lines, "", *todo])


def warned(warnings: list[str]) -> str:
    """The warnings of a job, the first ones; "" where there are none."""
    if not warnings:
        return ""
    more = [f"- and {len(warnings) - _WARNINGS} more"] if len(warnings) > _WARNINGS else []
    return "\n".join(["**Warnings**", "", *(f"- {text}" for text in warnings[:_WARNINGS]), *more])


def planned(plan: Plan, asked: JobInput) -> str:
    """What the plan decided."""
    rows = _table(plan_rows(plan, asked, plan.records_queue), right=False)
    return f"**Plan**\n\n{rows}"


def _job() -> str:
    return workflow.info().workflow_id


def _todo(state: str) -> list[str]:
    """What a person can do in a state that waits for one."""
    if state not in ("paused", "parked"):
        return []
    job = _job()
    before = "Once the cause is gone: " if state == "parked" else "To go on: "
    return [f"{before}`reindexer resume {job}`, or `temporal workflow signal -w {job} --name resume`"]


def _limits(now: Limits | None, planned: Limits) -> list[str]:
    """Those that are not as in the plan: an operator has changed them, or they follow the capacity."""
    values, before = (now or planned).model_dump(), planned.model_dump()
    changed = [
        f"{name.replace('_', ' ')} {value if isinstance(value, str) else f'{value:,.10g}'}"
        for name, value in values.items()
        if value is not None and value != before.get(name)
    ]
    return [f"Limits now: {', '.join(changed)}"] if changed else []


def _figures(progress: JobProgress, failed: list[str]) -> list[tuple[str, str]]:
    # Here all is known; None is for those who see the job without its workers.
    tally = progress.tally or Tally()
    counted = [(outcome.value, tally[outcome]) for outcome in Outcome if tally[outcome]]
    counted.append(("scanned", tally.scanned))
    if progress.isolated:
        counted.append(("isolated", progress.isolated))
    rows = [(name, f"{count:,}") for name, count in counted]
    if progress.remaining:
        rows.append(("remaining", f"about {progress.remaining:,}"))
    rows.append(("shards done", f"{progress.shards.done} of {progress.shards.total}"))
    if progress.state in MOVING:  # in others a rate is history
        rows.append(("rate", per_second(progress.records_per_second or 0.0)))
        if progress.eta_seconds:
            rows.append(("time left", f"about {duration(progress.eta_seconds)}"))
    if partitions := progress.partitions:
        rows.append(("partitions done", f"{partitions.done:,} of {partitions.total:,}"))
        if failed:
            rows.append(("with quarantined records", few(failed)))
    if verification := progress.verification:
        rows.append(("verified", f"{verification.scanned:,}"))
        rows.append(("behind", f"{verification.behind:,}"))
    if comparison := progress.comparison:
        counts = comparison.model_dump(exclude={"clusters"})
        rows += [(name.replace("_", " "), f"{count:,.0f}") for name, count in counts.items() if count]
    if progress.lag_seconds is not None:
        rows.append(("seconds behind the stream", f"{progress.lag_seconds:,.1f}"))
        if progress.hours_left is not None:
            rows.append(("hours until unread changes are trimmed", f"{progress.hours_left:,.1f}"))
    if progress.stops_at:
        rows.append(("ends once changes are carried until", progress.stops_at[:19].replace("T", " ") + " UTC"))
    if progress.cycle:
        rows.append(("runs of the workflow", f"{progress.cycle + 1:,}"))
    if progress.as_of and progress.state != "done":
        rows.append(("as of", progress.as_of[:19].replace("T", " ") + " UTC"))
    return rows


def _table(rows: Iterable[tuple[str, str]], *, right: bool) -> str:
    # The Web UI draws cells without any padding: an em space keeps names and texts apart. A bar ends a cell.
    cells = [f"| {name}\u2003 | {value.replace('|', chr(92) + '|')} |" for name, value in rows]
    return "\n".join(["| | |", f"|---|---{':' if right else ''}|", *cells])
