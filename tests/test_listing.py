"""Lists whose names are copied: no name is folded or cropped, whatever the width."""

from __future__ import annotations

import io

import pytest
from rich.console import Console
from rich.text import Text

from commands.rendering import screen

HEAD = ("job", "state", "table", "operation", "started", "took")
SPARE = (3, 2, 5, 4)
ROWS = [
    ("follow-replicate-cities-to-cities-eu-after-the-move", Text("catching_up", "green"), "places",
     "copied to there", "2026-11-27 09:14", "3 h 5 min"),
    ("job-北京", Text("failed", "red"), "orders", "touch", "10:11:12", "8 s"),
]  # fmt: skip


def shown(monkeypatch: pytest.MonkeyPatch, width: int | None) -> list[str]:
    """Of a terminal with this many columns; None: of a pipe."""
    file = io.StringIO()
    console = Console(file=file, width=width or 40, force_terminal=width is not None, color_system=None)
    monkeypatch.setattr(screen, "out", console)
    screen.listing(ROWS, HEAD, SPARE)
    return file.getvalue().splitlines()


@pytest.mark.parametrize(
    ("width", "left"),
    [
        (None, HEAD),
        (200, HEAD),
        (120, HEAD),
        (115, ("job", "state", "table", "started", "took")),
        (100, ("job", "state", "started", "took")),
        (82, ("job", "state", "started")),
        (80, ("job", "state")),
        (30, ("job", "state")),
    ],
)
def test_a_row_is_a_line_and_its_name_is_whole(
    monkeypatch: pytest.MonkeyPatch, width: int | None, left: tuple[str, ...]
) -> None:
    head, *lines = shown(monkeypatch, width)
    assert tuple(head.split()) == left
    assert [line.split()[0] for line in lines] == [str(row[0]) for row in ROWS]
    for column, name in enumerate(HEAD):
        assert all((str(row[column]) in line) == (name in left) for row, line in zip(ROWS, lines, strict=True))
    if width and width > 80:
        assert all(len(line) <= width for line in (head, *lines))


def test_columns_are_aligned_and_numbers_to_the_right(monkeypatch: pytest.MonkeyPatch) -> None:
    file = io.StringIO()
    monkeypatch.setattr(screen, "out", Console(file=file, width=80))
    screen.listing(
        [("cities-17", "1,234", "kept"), ("c", "5", "")], ("index", "documents", ""), (1,), right=(1,)
    )
    assert file.getvalue().splitlines() == [
        "index      documents",
        "cities-17      1,234  kept",
        "c                  5",
    ]
