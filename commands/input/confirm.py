"""Asking for confirmation before a job starts or records are closed for good."""

from __future__ import annotations

import sys

import typer

from commands.input.exits import Exit, Stopped


def can_ask() -> bool:
    """Whether someone sees a question on stderr and can answer it on stdin."""
    # Not rich's `is_terminal`, which FORCE_COLOR makes true.
    return sys.stderr.isatty() and typer.get_text_stream("stdin").isatty()


def confirm(question: str, *, yes: bool, otherwise: str) -> None:
    """Return if the user agrees, by `--yes` or by an answer. Raises `Stopped` with the text `otherwise` if not.

    Without a terminal there is no answer: a script needs `--yes`.
    """
    if yes:
        return
    if not can_ask():
        raise Stopped(
            Exit.BAD_INPUT, f"{otherwise}: there is no terminal to ask on; use --yes to skip the question"
        )
    try:
        agreed = typer.confirm(question, err=True)
    except typer.Abort:  # Ctrl-C or the end of the input, instead of an answer
        agreed = False
    if not agreed:
        raise Stopped(Exit.BAD_INPUT, otherwise)
