"""Options of verbs that may follow the table's stream, and what they mean together."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from commands.input.fields import Given
from commands.input.job_input import job_input
from reindexer.errors import BadInput
from reindexer.models import FollowInput, JobInput

Follow = Annotated[
    bool, typer.Option("--follow", help="Follow the table's stream beside the scan and after it.")
]
NoBackfill = Annotated[
    bool, typer.Option("--no-backfill", help="Scan nothing: go on where the last follow was.")
]


def check_following(*, follow: bool, no_backfill: bool, wait: bool) -> None:
    """Raises `BadInput` where they do not go together."""
    if no_backfill and not follow:
        raise BadInput("needs --follow", "--no-backfill")
    if follow and wait:
        raise BadInput("a follow does not end by itself; reindexer watch JOB shows it", "--wait")


def with_verify(given: Given, *, complete: bool) -> Given:
    """With `--verify-complete`. Raises `BadInput` beside `--no-verify`."""
    if not complete:
        return given
    if "verify" in given:
        raise BadInput("cannot be combined with --no-verify", "--verify-complete")
    return {**given, "verify": "complete"}


def input_of(given: Given, operation: dict[str, Any], *, follow: bool, no_backfill: bool) -> JobInput:
    """What the workflow starts with: a job's input, or a follow's. Raises `BadInput`."""
    asked = {**given, "operation": operation, **({"backfill": False} if no_backfill else {})}
    return job_input(asked, None, FollowInput if follow else JobInput)
