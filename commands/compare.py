"""compare: say whether two tables, or a table and its search index, hold the same, key by key."""

from __future__ import annotations

from typing import Annotated

import typer

from commands.input.fields import Fields, Given
from commands.input.job_input import job_input
from commands.input.keys import with_keys
from commands.input.options import AsJson, KeyOptions, Yes
from commands.rendering.plan import summary
from commands.running.both import show_both
from commands.running.launch import Wait, launch
from commands.start import show_plan
from reindexer.errors import BadInput

#: In the order of the help.
_FIELDS = Fields(
    "table", "operation.with.table", "operation.with.region", "operation.with.endpoint",
    "operation.with.role_arn", "operation.with.external_id", "operation.with.search", "operation.with.alias",
    "operation.with.index", "operation.with.auth", "operation.job", "operation.params", "operation.leave_out",
    "operation.lag_seconds", "scope", "limits.read_units_per_second", "limits.other_read_units_per_second",
    "limits.shards_in_flight", "total_segments", "attributes", "reason",
    without=("scope.index",),  # an index has no consistent read
    words={
        "scope.limit": "Only random parts, about N keys: estimates the share that differs.",
        "operation.with.region": "The other table's Region, or that of the domain for --auth aws.",
        "operation.job": "The job that made the index's documents, by document(item, params).",
        "operation.params": "A parameter of the job; default: as the index was made. Can be repeated.",
    },
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
    """Compare two tables by value, or a table and its search index, in both directions. Writes to neither.

    With --key and another table: show both items and how they differ, at once and without a job.

    Exit codes: 0 started (with --wait or --key: equal), 1 different, 2 refused, 3 no verdict.
    """
    beside = given.get("operation", {}).get("with", {})
    if "search" in beside:
        if "index" not in beside:
            beside.setdefault("alias", str(given.get("table", "")).rsplit("/", 1)[-1].lower())
        if key:
            given = with_keys(given, key)
    elif "table" not in beside:
        raise BadInput("is missing; for example `reindexer compare cities cities-eu`", "OTHER")
    job = job_input(given, None)
    if key and "table" in beside:
        raise typer.Exit(show_both(job, key, as_json=as_json))
    name = workflow_id or f"compare-{job.table.rsplit('/', 1)[-1]}"
    show_plan(job, name, ask=not yes)
    raise typer.Exit(launch(job, name, summary=summary(job), wait=wait, as_json=as_json))
