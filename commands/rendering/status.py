"""Drawing the state of a job: a bar with its numbers for a terminal, one line for a log."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from commands.rendering.comparison import compared_text
from commands.rendering.figures import (
    age,
    attempts_text,
    behind_text,
    consumed,
    cycling,
    done_of,
    expected,
    scanned,
    speed,
    stopping_text,
    which_run,
)
from commands.rendering.screen import BAD, DIM, GOOD, WARN, facts, moment
from commands.temporal.server import spelled
from commands.temporal.status import JobStatus
from reindexer.models import Consumed, JobProgress, Limits, ShardsDone
from reindexer.tally import Tally
from reindexer.words import count, duration, per_second, some

#: Colours of states; normal states have none.
_STYLE = {"done": GOOD, "throttled": WARN, "pausing": WARN, "paused": WARN, "parked": BAD, "cancelling": WARN}
_BAR = 36  # columns: leaves room for "1,234,567 of 12,345,678  12,345/s  12 min 05 s left" in 100


def picture(status: JobStatus) -> RenderableType:
    """The whole picture, some six lines."""
    progress = status.progress
    return Group(_title(status), _bar(progress), facts(_lines(status)))


def plain_line(status: JobStatus, *, aged: bool = True) -> str:
    """The picture in one line, for logs. `aged`: with the age of figures, which grows from look to look."""
    progress, shards = status.progress, status.progress.shards
    parts = [_state(progress), done_of(progress), cycling(progress)]
    rate = speed(progress)
    if rate:
        parts.append(per_second(rate))
    if shards.total:
        parts.append(f"{shards.done or 0} of {some(shards.total, 'shard')} done")
    parts += [behind_text(progress), stopping_text(progress)]
    if progress.isolated:
        parts.append(f"{progress.isolated} isolated")
    if aged and (old := age(progress)):
        parts.append(old)
    if not status.workers and not status.ending:
        parts.append("no worker answers")
    return ", ".join(part for part in parts if part)


def _state(progress: JobProgress) -> str:
    return f"{progress.state} ({progress.reason})" if progress.reason else progress.state


def _title(status: JobStatus) -> Text:
    state = status.progress.state
    if status.ending:
        state = status.ending.report.state if status.ending.report else spelled(status.status)
    style = {"complete": GOOD, "completed": GOOD}.get(state, BAD) if status.ending else _STYLE.get(state, "")
    title = Text.assemble((state, f"bold {style}".strip()), f"  {status.job}")
    since = _elapsed(status.started_at)
    if not status.ending:
        title.append(f"  {since}", DIM)
    reason = status.ending.sentence if status.ending else status.progress.reason
    if reason:
        title.append(f"\n{reason}", style or DIM)
    return title


def _elapsed(started: datetime) -> str:
    return duration(max(0.0, (datetime.now(UTC) - started).total_seconds()))


def _bar(progress: JobProgress) -> RenderableType:
    goal = expected(progress)
    bar = ProgressBar(
        total=goal or 1,
        completed=(scanned(progress) or 0) if goal else 0,
        width=_BAR,
        complete_style="cyan",
        finished_style=GOOD,
    )
    texts = [done_of(progress)]
    rate, eta = speed(progress), progress.eta_seconds
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
    if progress.shards.total or progress.shards.running:
        yield "shards", _shards(progress.shards)
    if partitions := progress.partitions:
        yield "partitions", f"{count(partitions.total)}: {count(partitions.done)} done"
    if progress.comparison:
        yield "compared", compared_text(progress.comparison)
    elif progress.tally:
        yield "outcomes", _outcomes(progress.tally, progress.isolated)
    if behind := behind_text(progress):
        yield "stream", behind
    if stopping := stopping_text(progress):
        yield "", stopping
    if found := progress.verification:
        yield "verified", f"{count(found.scanned)} read consistently, {count(found.behind)} behind"
    if (attempts := progress.attempts) and any(attempts.model_dump().values()):
        yield "attempts", attempts_text(attempts)
    if throttle := progress.throttle:
        scope = f", {throttle.scope}" if throttle.scope else ""
        since = f", since {moment(throttle.since)}" if throttle.since else ""
        yield "throttled", Text(f"{throttle.reason or 'by DynamoDB'}{scope}{since}", WARN)
    if run := which_run(progress):
        yield "run", run
    if limits := _limits(progress.limits or Limits(), consumed(progress)):
        yield "limits", limits
    if not status.workers and not status.ending:
        yield "workers", Text("none answers; start workers with `python worker.py`", BAD)


def _shards(shards: ShardsDone) -> str:
    parts = []
    if shards.done is not None:
        parts.append(f"{count(shards.done)} done")
    if shards.running:
        parts.append(f"{count(shards.running)} running")
    total = shards.total
    return (f"{count(total)}: " if total else "") + ", ".join(parts) if parts else count(total or 0)


def _outcomes(tally: Tally, isolated: int) -> str:
    named = tally.model_dump(exclude={"scanned"})
    parts = [f"{count(number)} {name}" for name, number in named.items() if number]
    if isolated:
        parts.append(f"{count(isolated)} isolated")
    return ", ".join(parts) or "none yet"


def _limits(limits: Limits, consumed: Consumed) -> str:
    """The rates that are limited; "" where none is."""
    rates = (
        ("read units", limits.read_units_per_second, consumed.read_units),
        ("write units", limits.write_units_per_second, consumed.write_units),
        ("read units of the other table", limits.other_read_units_per_second, None),
        ("records", limits.records_per_second, None),  # how many a second is beside the bar
    )
    parts = []
    for name, limit, used in rates:
        if isinstance(limit, int | float):
            using = f" (using {count(used)})" if used else ""
            parts.append(f"{count(limit)} {name}/s{using}")
    return ", ".join(parts)
