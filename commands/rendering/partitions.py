"""The totals by partition key value, as a table: those that matter most, since there may be thousands."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType
from rich.text import Text

from commands.rendering.screen import BAD, DIM, columns
from reindexer.models import Report
from reindexer.models.by_partition import brief, ranked
from reindexer.tally import Outcome, Tally
from reindexer.words import count

#: Rows of the table: a screen, with the report above it.
_ROWS = 20


def partitions(report: Report) -> Iterator[RenderableType]:
    """A table of up to 20, those with records given up first, then the largest; nothing without any."""
    if not report.partitions:
        return
    first = ranked(report.partitions)[:_ROWS]
    # A column for what any of them has, and always for what was changed and what was given up.
    outcomes = [
        outcome
        for outcome in Outcome
        if outcome in (Outcome.UPDATED, Outcome.QUARANTINED) or report.tally[outcome]
    ]
    names = [outcome.value for outcome in outcomes]
    rows = [_row(name, report.partitions[name], outcomes) for name in first]
    yield Text()
    yield columns(rows, ("partition", "scanned", *names), right=range(1, len(names) + 2))
    left = len(report.partitions) - len(first)
    if left:
        yield Text(f"… and {count(left)} more; `reindexer report {report.job} --json` has all", DIM)


def _row(name: str, tally: Tally, outcomes: list[Outcome]) -> list[str | Text]:
    row: list[str | Text] = [brief(name), count(tally.scanned)]
    for outcome in outcomes:
        number = tally[outcome]
        row.append(Text(count(number), BAD if number and outcome is Outcome.QUARANTINED else ""))
    return row
