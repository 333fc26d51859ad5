"""Drawing the state of a job: a bar with its numbers for a terminal, one line for a log."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from commands.rendering.figures import age, cycling, done_of, expected, scanned, speed, which_run
from commands.rendering.report import attempts_text
from commands.rendering.screen import BAD, DIM, GOOD, WARN, facts, moment
from commands.temporal.status import JobStatus
from reindexer.tally import Attempts, Tally
from reindexer.words import count, duration, per_second, some

#: Colours of states; normal states have none.
_STYLE = {"done": GOOD, "throttled": WARN, "pausing": WARN, "paused": WARN, "parked": BAD, "cancelling": WARN}
_BAR = 36  # columns: leaves room for "1,234,567 of 12,345,678  12,345/s  12 min 05 s left" in 100


def picture(status: JobStatus) -> RenderableType:
    """The whole picture, some six lines."""
    progress = status.progress
    return Group(_title(status), _bar(progress), facts(_lines(status)))


def plain_line(status: JobStatus) -> str:
    """The picture in one line, for logs."""
    progress = status.progress
    shards = progress.get("shards") or {}
    parts = [_state(progress), done_of(progress), cycling(progress)]
    rate = speed(progress)
    if rate:
        parts.append(per_second(rate))
    if shards.get("total"):
        parts.append(f"{shards.get('done') or 0} of {some(shards['total'], 'shard')} done")
    if progress.get("isolated"):
        parts.append(f"{progress['isolated']} isolated")
    if old := age(progress):
        parts.append(old)
    if not status.workers and not status.ending:
        parts.append("no worker answers")
    return ", ".join(part for part in parts if part)


def _state(progress: Mapping[str, Any]) -> str:
    reason = progress.get("reason")
    state = str(progress.get("state") or "unknown")
    return f"{state} ({reason})" if reason else state


def _title(status: JobStatus) -> Text:
    state = str(status.progress.get("state") or "unknown")
    if status.ending:
        state = status.ending.report.state if status.ending.report else status.status
    style = {"complete": GOOD, "completed": GOOD}.get(state, BAD) if status.ending else _STYLE.get(state, "")
    title = Text.assemble((state, f"bold {style}".strip()), f"  {status.job}")
    since = _elapsed(status.started_at)
    if not status.ending:
        title.append(f"  {since}", DIM)
    reason = status.ending.sentence if status.ending else status.progress.get("reason")
    if reason:
        title.append(f"\n{reason}", style or DIM)
    return title


def _elapsed(started: datetime) -> str:
    return duration(max(0.0, (datetime.now(UTC) - started).total_seconds()))


def _bar(progress: Mapping[str, Any]) -> RenderableType:
    goal = expected(progress)
    bar = ProgressBar(
        total=goal or 1,
        completed=(scanned(progress) or 0) if goal else 0,
        width=_BAR,
        complete_style="cyan",
        finished_style=GOOD,
    )
    texts = [done_of(progress)]
    rate, eta = speed(progress), progress.get("eta_seconds")
    if rate:
        texts.append(per_second(rate))
    if rate and eta:
        texts.append(f"{duration(eta)} left")
    if old := age(progress):
        texts.append(old)
    row = Table.grid(padding=(0, 2, 0, 0))
    row.add_row(bar, *(Text(text) for text in texts))
    return row


def _lines(status: JobStatus) -> Iterator[tuple[str, RenderableType]]:
    progress = status.progress
    shards = progress.get("shards") or {}
    if shards.get("total") or shards.get("running"):
        yield "shards", _shards(shards)
    partitions = progress.get("partitions")
    if partitions:
        yield "partitions", f"{count(partitions['total'])}: {count(partitions['done'])} done"
    if progress.get("tally"):
        yield "outcomes", _outcomes(Tally.model_validate(progress["tally"]), int(progress.get("isolated") or 0))
    found = progress.get("verification")
    if found:
        yield "verified", f"{count(found['scanned'])} read consistently, {count(found['behind'])} behind"
    attempts = progress.get("attempts")
    if attempts and any(attempts.values()):
        yield "attempts", attempts_text(Attempts.model_validate(attempts))
    throttle = progress.get("throttle")
    if throttle:
        scope = f", {throttle['scope']}" if throttle.get("scope") else ""
        since = f", since {moment(throttle['since'])}" if throttle.get("since") else ""
        yield "throttled", Text(f"{throttle.get('reason') or 'by DynamoDB'}{scope}{since}", WARN)
    if run := which_run(progress):
        yield "run", run
    limits = _limits(progress.get("limits") or {}, progress.get("consumed") or {})
    if limits:
        yield "limits", limits
    if not status.workers and not status.ending:
        yield "workers", Text("none answers; start workers with `python worker.py`", BAD)


def _shards(shards: Mapping[str, Any]) -> str:
    parts = []
    if shards.get("done") is not None:
        parts.append(f"{count(shards['done'])} done")
    if shards.get("running"):
        parts.append(f"{count(shards['running'])} running")
    total = shards.get("total")
    return (f"{count(total)}: " if total else "") + ", ".join(parts) if parts else count(total or 0)


def _outcomes(tally: Tally, isolated: int) -> str:
    named = tally.model_dump(exclude={"scanned"})
    parts = [f"{count(number)} {name}" for name, number in named.items() if number]
    if isolated:
        parts.append(f"{count(isolated)} isolated")
    return ", ".join(parts) or "none yet"


def _limits(limits: Mapping[str, Any], consumed: Mapping[str, Any]) -> str:
    parts = []
    for name in ("read_units", "write_units", "records"):
        limit = limits.get(f"{name}_per_second")
        used = consumed.get(name, consumed.get(f"{name}_per_second"))
        if isinstance(limit, int | float):
            using = f" (using {count(used)})" if used else ""
            parts.append(f"{count(limit)} {name.replace('_', ' ')}/s{using}")
    if not parts:
        return ""
    return ", ".join(parts)
