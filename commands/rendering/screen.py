"""Terminal output: two consoles, aligned tables, and how numbers and times are written."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import TypeAlias

from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

#: A cell of a table: plain text, or text with a colour that means something.
Cell: TypeAlias = str | Text

#: Colour only where it means something; the words say the same without it.
GOOD, BAD, WARN, DIM = "green", "red", "yellow", "dim"

#: Columns of the names on the left, so that several blocks are aligned.
_LABEL = 10

#: Columns between two that are side by side.
_GAP = 2

#: Columns where no width is known: a log file or a pipe. Wide enough for a table, fit for a mail.
PLAIN_WIDTH = 100


def _console(*, stderr: bool) -> Console:
    # Keys and messages are data: nothing in them is markup, an emoji code or worth highlighting.
    console = Console(stderr=stderr, markup=False, emoji=False, highlight=False)
    if not console.is_terminal:
        console.width = shutil.get_terminal_size((PLAIN_WIDTH, 24)).columns  # COLUMNS, where it is set
    return console


out = _console(stderr=False)
err = _console(stderr=True)


def say(*parts: RenderableType) -> None:
    """Print to stdout: the answer to what was asked."""
    out.print(*parts)


def line(text: str) -> None:
    """A line on stdout that is never wrapped, so that it can be copied."""
    out.print(Text(text), soft_wrap=True)


def note(text: str, style: str = "") -> None:
    """One line on stderr: a message besides the answer."""
    err.print(Text(text, style=style), soft_wrap=True)


def columns(rows: Iterable[Sequence[Cell]], head: Sequence[str] = (), right: Sequence[int] = ()) -> Table:
    """Aligned columns without lines. `right`: the columns that hold numbers."""
    table = Table(box=None, show_header=bool(head), header_style=DIM, pad_edge=False, padding=(0, _GAP, 0, 0))
    rows = list(rows)
    for index in range(len(head) or max((len(row) for row in rows), default=0)):
        table.add_column(
            head[index] if head else "",
            justify="right" if index in right else "left",
            overflow="fold",
            no_wrap=index in right,
        )
    for row in rows:
        table.add_row(*row)
    return table


def listing(
    rows: Iterable[Sequence[Cell]], head: Sequence[str], spare: Sequence[int], right: Sequence[int] = ()
) -> None:
    """Print aligned columns to stdout, a row a line: no name is folded or cropped, so that it can be copied.

    A terminal that is too narrow is given less: it loses the columns `spare`, as many as needed, in that order.
    """
    lines = [
        [cell.copy() if isinstance(cell, Text) else Text(cell) for cell in row]
        for row in ([Text(name, DIM) for name in head], *rows)
    ]
    widths = [max(cell_len(line[column].plain) for line in lines) for column in range(len(head))]
    shown = list(range(len(head)))
    for column in spare:
        if not out.is_terminal or sum(widths[column] + _GAP for column in shown) - _GAP <= out.width:
            break
        shown.remove(column)
    for line in lines:
        for column in shown:
            missing = widths[column] - cell_len(line[column].plain)
            line[column].pad_left(missing) if column in right else line[column].pad_right(missing)
        text = Text(" " * _GAP).join(line[column] for column in shown)
        text.rstrip()
        out.print(text, soft_wrap=True)


def facts(rows: Iterable[tuple[str, RenderableType]]) -> Table:
    """A name and its text per line; long text wraps under itself."""
    table = Table.grid(padding=(0, _GAP, 0, 0))
    table.add_column(style=DIM, no_wrap=True, min_width=_LABEL)
    table.add_column(overflow="fold")
    for name, text in rows:
        table.add_row(name, text)
    return table


def moment(at: datetime | str | None) -> str:
    """A time in the reader's zone: of today by the clock, else with its date."""
    if at is None:
        return "–"
    try:
        when = datetime.fromisoformat(at) if isinstance(at, str) else at
    except ValueError:
        return str(at)
    when = (when if when.tzinfo else when.replace(tzinfo=UTC)).astimezone()
    today = datetime.now(UTC).astimezone().date()
    return f"{when:%H:%M:%S}" if when.date() == today else f"{when:%Y-%m-%d %H:%M}"


def step(name: str, text: str) -> None:
    """One line of what was set up, aligned with the others of its kind."""
    out.print(Text.assemble((f"{name:<{_LABEL}}  ", DIM), text), soft_wrap=True)
