"""refresh: write named records again, into the index that readers have or into a replica."""

from __future__ import annotations

from typing import Annotated

import typer

from commands.input.fields import Fields, Given
from commands.input.job_input import job_input
from commands.input.keys import with_keys
from commands.input.options import AsJson, KeyOptions, ReplicaRegion, Yes
from commands.rendering.plan import summary
from commands.running.launch import Wait, launch
from commands.start import show_plan
from reindexer.errors import BadInput

#: In the order of the help.
_FIELDS = Fields(
    "table", "operation.to.table", "operation.to.search", "operation.to.alias", "operation.to.auth",
    "operation.to.region", "operation.to.endpoint", "operation.to.role_arn", "operation.to.external_id",
    "scope.keys", "scope.values", "scope.values_from", "scope.sort_key", "scope.index", "operation.job",
    "operation.params", "skip_expired", "limits.read_units_per_second", "limits.write_units_per_second",
    "limits.bytes_per_second", "limits.records_per_second", "limits.shards_in_flight", "limits.quarantined",
    "isolation", "attributes", "expect_found", "force_lock", "reason",
    words={
        "operation.to.table": "The replica's name or ARN; with --to URL none.",
        "limits.write_units_per_second": "Write units of the replica, indexes included.",
        "operation.job": "The job that made the index's documents, by document(item, params).",
        "operation.params": "A parameter of the job; default: as the index was made. Can be repeated.",
    },
)  # fmt: skip


def refresh(
    *,
    given: Annotated[Given, _FIELDS],
    region: ReplicaRegion = None,
    key: KeyOptions = None,
    workflow_id: Annotated[
        str | None, typer.Option(metavar="ID", help="The job's workflow ID; default: refresh-<table>.")
    ] = None,
    yes: Yes = False,
    wait: Wait = False,
    as_json: AsJson = False,
) -> None:
    """Write named records or partitions again, into the index that readers of the alias have or into a replica.

    Also beside a running follow, whose newer changes are never hidden. A record that is gone goes there, too.

    Exit codes: 0 started (with --wait: complete), 1 incomplete or failed, 2 refused, 3 not finished.
    """
    operation = given.get("operation", {})
    to = operation.get("to", {})
    if not {"search", "table"} & to.keys():
        example = "`reindexer refresh cities cities-eu`, or with --to http://localhost:9200"
        raise BadInput(f"is missing; for example {example}", "OTHER")
    if key:
        given = with_keys(given, key)
    if "scope" not in given:
        raise BadInput("is missing: name records by --key, --keys, --partition or --partitions-from", "--keys")
    table = str(given.get("table", "")).rsplit("/", 1)[-1]  # of an ARN the table's name
    if "search" in to:
        to.setdefault("alias", table.lower())
    if region:
        to["region"] = region
    job = job_input({**given, "operation": {**operation, "kind": "refresh"}}, None)
    name = workflow_id or f"refresh-{table}"
    show_plan(job, name, ask=not yes)
    raise typer.Exit(launch(job, name, summary=summary(job), wait=wait, as_json=as_json))
