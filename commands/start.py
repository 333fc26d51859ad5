"""start: start a job, after showing its plan."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from commands.input.confirm import can_ask, confirm
from commands.input.fields import Fields, Given
from commands.input.job_input import job_input
from commands.input.options import AsJson, Yes
from commands.rendering.plan import look_ahead, plan_text, summary
from commands.rendering.screen import err
from commands.running.launch import Wait, launch, require_free
from commands.temporal.server import talk
from reindexer.models import JobInput
from reindexer.planning.bounds import check_workflow_id

#: In the order of the help.
_FIELDS = Fields(
    "table", "operation.version", "operation.kind", "operation.job", "operation.params", "dry_run", "scope",
    "limits", "total_segments", "isolation", "verify", "skip_expired", "sweep", "attributes", "allow_lower",
    "allow_used", "allow_no_recovery", "allow_multi_region", "force_lock", "reason",
)  # fmt: skip


def start(
    *,
    given: Annotated[Given, _FIELDS],
    workflow_id: Annotated[
        str | None, typer.Option(metavar="ID", help="The job's workflow ID; default: reindex-<table>.")
    ] = None,
    input_file: Annotated[
        Path | None, typer.Option("--input", metavar="FILE", help="The input as JSON; options override it.")
    ] = None,
    yes: Yes = False,
    wait: Wait = False,
    expected: Annotated[Given, Fields("expect_found", "confirm")],
    as_json: AsJson = False,
) -> None:
    """Start a job. Shows the plan and asks for confirmation; without a terminal, --yes is required.

    A dry run writes nothing and needs no confirmation.

    Exit codes: 0 started (with --wait: complete), 1 incomplete, 2 refused, 3 no worker is running.
    """
    job = job_input({**given, **expected}, input_file)
    name = (
        f"reindex-{job.table.rsplit('/', 1)[-1]}" if workflow_id is None else workflow_id
    )  # of an ARN the table's name
    check_workflow_id(name)  # before anything is shown and asked
    show_plan(job, name, ask=not (yes or job.dry_run))
    raise typer.Exit(launch(job, name, summary=summary(job), wait=wait or job.dry_run, as_json=as_json))


def show_plan(job: JobInput, name: str, *, ask: bool) -> None:
    """Show the plan and ask. Raises `Stopped` where no one agrees.

    Everything goes to stderr: stdout belongs to the answer.
    """
    if ask and can_ask():
        talk(lambda client: require_free(client, name))  # rather than once the plan is read and agreed to
    plan = look_ahead(job, name)
    if ask or can_ask():
        err.print(plan_text(plan, job, name))
    confirm("Start?", yes=not ask, otherwise="not started")
