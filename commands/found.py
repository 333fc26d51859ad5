"""What a job did not find: named keys that vanished, named partitions that are empty, no record at all."""

from __future__ import annotations

from typing import Annotated

import typer

from commands.exits import Exit
from commands.screen import count, some
from reindexer.models import Report

ExpectFound = Annotated[
    bool,
    typer.Option(
        "--expect-found",
        help="Exit code 1 where a record vanished, a named partition is empty, or no record was found.",
    ),
]


def not_found(report: Report) -> list[str]:
    """What was not found, in words; nothing of a job that did not look everywhere."""
    if report.state not in ("complete", "incomplete"):
        return []
    told = []
    tally = report.dry_run.tally if report.dry_run else report.tally
    looked = tally.scanned or (report.verification.scanned if report.verification else 0)
    if report.partitions:
        empty = sum(not part.scanned for part in report.partitions.values())
        if empty:
            told.append(f"{count(empty)} of {some(len(report.partitions), 'partition')} empty")
    if tally.vanished:
        told.append(f"{count(tally.vanished)} of {some(tally.scanned, 'record')} vanished")
    if not looked and not told:
        of_query = report.operation.get("kind") == "transform"
        told.append("the query found no record" if of_query else "no record found")
    return told


def as_expected(code: Exit, report: Report | None, *, expect_found: bool) -> Exit:
    """The exit code; with `--expect-found` a complete job that did not find what was named is incomplete."""
    if expect_found and code is Exit.COMPLETE and report is not None and not_found(report):
        return Exit.INCOMPLETE
    return code
