"""replicate: write every record into a second table, and keep it equal."""

from __future__ import annotations

from typing import Annotated

import typer

from commands.input.fields import Fields, Given
from commands.input.following import Follow, NoBackfill, check_following, input_of, with_verify
from commands.input.options import AsJson, ReplicaRegion, Yes
from commands.rendering.plan import summary
from commands.running.launch import Wait, launch
from commands.start import show_plan
from reindexer.errors import BadInput

#: In the order of the help.
_FIELDS = Fields(
    "table", "operation.to.table", "operation.to.endpoint", "operation.to.role_arn",
    "operation.to.external_id", "operation.create", "operation.replace", "operation.allow_chain",
    "limits.read_units_per_second", "limits.write_units_per_second", "limits.records_per_second",
    "limits.shards_in_flight", "limits.quarantined", "total_segments", "skip_expired", "verify", "attributes",
    "allow_multi_region", "force_lock", "reason",
    words={
        "operation.to.table": "The replica's name or ARN.",
        "limits.write_units_per_second": "Write units of the replica, indexes included.",
        "verify": "Do not compare the replica with the table at the end.",
    },
)  # fmt: skip


def replicate(
    *,
    given: Annotated[Given, _FIELDS],
    region: ReplicaRegion = None,
    workflow_id: Annotated[
        str | None,
        typer.Option(
            metavar="ID", help="Workflow ID; default: replicate-<table>, or follow-replicate-<table>."
        ),
    ] = None,
    follow: Follow = False,
    no_backfill: NoBackfill = False,
    verify_complete: Annotated[
        bool, typer.Option("--verify-complete", help="Compare all of both tables at the end, not a sample.")
    ] = False,
    yes: Yes = False,
    wait: Wait = False,
    as_json: AsJson = False,
) -> None:
    """Write every record of a table into a second one, which never goes back to an older state of any.

    With --follow every change is carried there too, until the follow is cancelled.

    Exit codes: 0 started (with --wait: complete), 1 incomplete or failed, 2 refused, 3 not finished.
    """
    operation = given.get("operation", {})
    if "table" not in operation.get("to", {}):
        raise BadInput("is missing; for example `reindexer replicate cities cities-eu`", "OTHER")
    check_following(follow=follow, no_backfill=no_backfill, wait=wait)
    if no_backfill and (operation.get("create") or verify_complete):
        raise BadInput("cannot be combined with --create or --verify-complete", "--no-backfill")
    to = {**operation["to"], **({"region": region} if region else {})}
    operation = {**operation, "kind": "replicate", "to": to}
    asked = with_verify(given, complete=verify_complete)
    job = input_of(asked, operation, follow=follow, no_backfill=no_backfill)
    name = workflow_id or f"{'follow-' if follow else ''}replicate-{job.table.rsplit('/', 1)[-1]}"
    show_plan(job, name, ask=not yes)
    about = ("follow, " if follow else "") + summary(job)
    raise typer.Exit(launch(job, name, summary=about, wait=wait, as_json=as_json))
