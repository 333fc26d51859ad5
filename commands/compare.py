"""compare: say whether two tables hold the same, key by key."""

from __future__ import annotations

from typing import Annotated

import typer

from commands.input.fields import Fields, Given
from commands.input.job_input import job_input
from commands.input.options import AsJson, KeyOptions, Yes
from commands.rendering.plan import summary
from commands.running.both import show_both
from commands.running.launch import Wait, launch
from commands.start import show_plan
from reindexer.errors import BadInput

#: In the order of the help.
_FIELDS = Fields(
    "table", "operation.with.table", "operation.with.region", "operation.with.endpoint",
    "operation.with.role_arn", "operation.with.external_id", "operation.leave_out",
    "operation.lag_seconds", "scope", "limits.read_units_per_second", "limits.other_read_units_per_second",
    "limits.shards_in_flight", "total_segments", "attributes", "reason",
    without=("scope.index",),  # an index has no consistent read
    words={"scope.limit": "Only random parts, about N keys: estimates the share that differs."},
)  # fmt: skip


def compare(
    *,
    given: Annotated[Given, _FIELDS],
    key: KeyOptions = None,
    workflow_id: Annotated[
        str | None, typer.Option(metavar="ID", help="The job's workflow ID; default: compare-<table>.")
    ] = None,
    yes: Yes = False,
    wait: Wait = False,
    as_json: AsJson = False,
) -> None:
    """Compare two tables by value, in both directions. Writes to neither.

    With --key: show both items and how they differ, at once and without a job.

    Exit codes: 0 started (with --wait or --key: equal), 1 different, 2 refused, 3 no verdict.
    """
    if "with" not in given.get("operation", {}) or "table" not in given["operation"]["with"]:
        raise BadInput("with which one? For example `reindexer compare cities cities-eu`", "OTHER")
    job = job_input(given, None)
    if key:
        raise typer.Exit(show_both(job, key, as_json=as_json))
    name = workflow_id or f"compare-{job.table.rsplit('/', 1)[-1]}"
    show_plan(job, name, ask=not yes)
    raise typer.Exit(launch(job, name, summary=summary(job), wait=wait, as_json=as_json))
