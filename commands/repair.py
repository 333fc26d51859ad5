"""repair: make a second table equal to the first, key by key."""

from __future__ import annotations

from typing import Annotated

import typer

from commands.input.fields import Fields, Given
from commands.input.job_input import job_input
from commands.input.keys import with_keys
from commands.input.options import AsJson, KeyOptions, Yes
from commands.rendering.plan import summary
from commands.running.launch import Wait, launch
from commands.start import show_plan
from reindexer.errors import BadInput

#: In the order of the help.
_FIELDS = Fields(
    "table", "operation.with.table", "operation.with.region", "operation.with.endpoint",
    "operation.with.role_arn", "operation.with.external_id", "operation.leave_out",
    "operation.lag_seconds", "operation.backfill", "scope", "dry_run",
    "limits.read_units_per_second", "limits.other_read_units_per_second", "limits.write_units_per_second",
    "limits.records_per_second", "limits.shards_in_flight", "limits.quarantined", "total_segments",
    "attributes", "allow_no_recovery", "allow_multi_region", "force_lock", "reason",
    without=("scope.limit", "scope.index"),  # a part that no one chose; an index has no consistent read
)  # fmt: skip


def repair(
    *,
    given: Annotated[Given, _FIELDS],
    key: KeyOptions = None,
    workflow_id: Annotated[
        str | None, typer.Option(metavar="ID", help="The job's workflow ID; default: repair-<table>.")
    ] = None,
    yes: Yes = False,
    wait: Wait = False,
    as_json: AsJson = False,
) -> None:
    """Compare two tables, and make the other one equal: create, replace and remove records there.

    Each write is refused if the record is no longer what was compared. With --dry-run: compare alone.

    Exit codes: 0 started (with --wait: complete), 1 incomplete or failed, 2 refused, 3 not finished.
    """
    if "with" not in given.get("operation", {}) or "table" not in given["operation"]["with"]:
        raise BadInput("is missing; for example `reindexer repair cities cities-eu`", "OTHER")
    if key:
        given = with_keys(given, key)
    job = job_input({**given, "operation": {**given["operation"], "kind": "repair"}}, None)
    name = workflow_id or f"repair-{job.table.rsplit('/', 1)[-1]}"
    show_plan(job, name, ask=not yes)
    raise typer.Exit(launch(job, name, summary=summary(job), wait=wait, as_json=as_json))
