"""The option `--expect-found`: a job has to find its named keys and partitions, and some record at all."""

from __future__ import annotations

from typing import Annotated

import typer

from commands.input.exits import Exit
from reindexer.models import Report

ExpectFound = Annotated[
    bool,
    typer.Option(
        "--expect-found",
        help="Exit code 1 if a record vanished, a named partition is empty, or no record was found.",
    ),
]


def as_expected(code: Exit, report: Report | None, *, expect_found: bool) -> Exit:
    """The exit code; with `--expect-found` a complete job that did not find what was named is incomplete."""
    if expect_found and code is Exit.COMPLETE and report is not None and report.not_found:
        return Exit.INCOMPLETE
    return code
