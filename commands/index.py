"""index: write a document of every record into a new search index."""

from __future__ import annotations

from typing import Annotated

import typer

from commands.input.fields import Fields, Given
from commands.input.following import Follow, NoBackfill, check_following, input_of, with_verify
from commands.input.options import AsJson, Yes
from commands.rendering.plan import summary
from commands.running.launch import Wait, launch
from commands.start import show_plan
from reindexer.errors import BadInput, EnvironmentFault
from reindexer.models import SearchAddress
from reindexer.planning.search import cluster_of
from reindexer.search.client import NO_SECRET, SearchClient

#: In the order of the help.
_FIELDS = Fields(
    "table", "operation.to.search", "operation.to.alias", "operation.to.auth", "operation.to.region",
    "operation.mapping", "operation.settings", "operation.job", "operation.params", "operation.move_alias",
    "operation.replace_index", "dry_run", "limits.read_units_per_second", "limits.bytes_per_second",
    "limits.records_per_second", "limits.shards_in_flight", "limits.quarantined", "total_segments",
    "skip_expired", "verify", "attributes", "force_lock", "reason",
    words={
        "operation.job": "Make documents by this job's document(item, params); `reindexer jobs` lists them.",
        "dry_run": "Write documents of a sample to a temporary index, show them, and remove it.",
        "verify": "Neither count the documents at the end nor compare a sample of them.",
    },
)  # fmt: skip


def index(
    *,
    given: Annotated[Given, _FIELDS],
    workflow_id: Annotated[
        str | None,
        typer.Option(metavar="ID", help="Workflow ID; default: index-<table>, or follow-index-<table>."),
    ] = None,
    follow: Follow = False,
    no_backfill: NoBackfill = False,
    verify_complete: Annotated[
        bool,
        typer.Option(
            "--verify-complete",
            help="Compare every document with its record before readers get the index.",
        ),
    ] = False,
    no_check: Annotated[
        bool, typer.Option("--no-check", help="Start although OpenSearch is not reached from this machine.")
    ] = False,
    yes: Yes = False,
    wait: Wait = False,
    as_json: AsJson = False,
) -> None:
    """Write a document of every record into a new OpenSearch index, and give it to the readers of the alias.

    The index is called <alias>-<time>. When it is complete, the alias moves to it, in one request. With
    --follow every change is carried there too, until the follow is cancelled. Whether OpenSearch answers is
    checked from this machine first; --no-check leaves that to the workers.

    Exit codes: 0 started (with --wait: complete), 1 incomplete or failed, 2 refused, 3 not finished.
    """
    operation = given.get("operation", {})
    if "search" not in operation.get("to", {}):
        raise BadInput("is missing; for example `reindexer index cities --to http://localhost:9200`", "--to")
    table = str(given.get("table", "")).rsplit("/", 1)[-1]  # of an ARN the table's name
    operation["to"].setdefault("alias", table.lower())
    check_following(follow=follow, no_backfill=no_backfill, wait=wait)
    if follow and given.get("dry_run"):
        raise BadInput("cannot be combined with --follow", "--dry-run")
    asked = with_verify(given, complete=verify_complete)
    job = input_of(asked, operation, follow=follow, no_backfill=no_backfill)
    name = workflow_id or f"{'follow-' if follow else ''}index-{table}"
    if not no_check and job.operation.readers:
        _check_cluster(job.operation.readers.address)
    show_plan(job, name, ask=not (yes or job.dry_run))
    about = ("follow, " if follow else "") + summary(job)
    raise typer.Exit(launch(job, name, summary=about, wait=wait or job.dry_run, as_json=as_json))


def _check_cluster(address: SearchAddress) -> None:
    """Raises `BadInput`, `Refused` where OpenSearch does not answer as it has to: nothing is started then.

    Who may start jobs need not have the workers' secret: then only they can ask.
    """
    try:
        cluster_of(SearchClient(address))
    except EnvironmentFault as fault:
        if fault.code == NO_SECRET:
            return
        why = f"{fault.message.rstrip('. ')}; if only the workers reach it: --no-check"
        raise BadInput(why, "--to") from fault
