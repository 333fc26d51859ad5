"""start: begin a job, after showing what it is going to do."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from commands.input.confirm import can_ask, confirm
from commands.input.job_input import job_input
from commands.input.job_options import JobName, JobParams, operation_given
from commands.input.options import (
    AsJson,
    QuarantinedLimit,
    ReadUnits,
    Reason,
    RecordsPerSecond,
    ShardsInFlight,
    SkipExpired,
    WriteUnits,
    Yes,
    limits_given,
)
from commands.input.scope_options import (
    IndexName,
    KeysFrom,
    PartitionsFrom,
    PartitionValues,
    Sample,
    SortKeyGiven,
    scope_given,
)
from commands.rendering.plan import look_ahead, plan_text, summary
from commands.rendering.screen import err
from commands.running.launch import Wait, launch
from reindexer.models import JobInput
from reindexer.planning.bounds import check_workflow_id


def start(
    table: Annotated[str | None, typer.Argument(metavar="TABLE", help="A table's name or ARN.")] = None,
    version: Annotated[
        str | None, typer.Option(metavar="N|next", help="The target; default: the start time in ms.")
    ] = None,
    operation: Annotated[
        Literal["touch", "transform", "verify"] | None,
        typer.Option(help="verify only reads; transform needs --job; default: touch."),
    ] = None,
    job_name: JobName = None,
    params: JobParams = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show what would become of a sample; write nothing.")
    ] = False,
    scope: Annotated[
        Literal["complete", "sample", "keys", "partitions"] | None,
        typer.Option(help="Which records; default: complete."),
    ] = None,
    sample: Sample = None,
    keys: KeysFrom = None,
    partition: PartitionValues = None,
    partitions_from: PartitionsFrom = None,
    sort_key: SortKeyGiven = None,
    index: IndexName = None,
    read_units: ReadUnits = None,
    write_units: WriteUnits = None,
    records_per_second: RecordsPerSecond = None,
    shards_in_flight: ShardsInFlight = None,
    quarantined: QuarantinedLimit = None,
    segments: Annotated[int | None, typer.Option(metavar="N", help="Shards, 1 to 400.")] = None,
    isolation: Annotated[
        Literal["batch", "record"] | None, typer.Option(help="record: each record is an activity of its own.")
    ] = None,
    no_verify: Annotated[bool, typer.Option("--no-verify", help="Make no consistent read afterwards.")] = False,
    skip_expired: SkipExpired = False,
    no_sweep: Annotated[bool, typer.Option("--no-sweep", help="Leave rows found behind as they are.")] = False,
    version_attribute: Annotated[str | None, typer.Option(metavar="NAME", help="reindexVersion")] = None,
    run_attribute: Annotated[str | None, typer.Option(metavar="NAME", help="reindexRun")] = None,
    allow_lower: Annotated[
        bool, typer.Option("--allow-lower", help="Accept a target below versions in the table.")
    ] = False,
    allow_used: Annotated[
        bool, typer.Option("--allow-used", help="Accept a version that was used for something else.")
    ] = False,
    allow_no_recovery: Annotated[
        bool, typer.Option("--allow-no-recovery", help="Delete from a table that cannot be restored.")
    ] = False,
    allow_multi_region: Annotated[
        bool, typer.Option("--allow-multi-region", help="Accept a global table.")
    ] = False,
    force_lock: Annotated[
        bool, typer.Option("--force-lock", help="Take the lock of a holder that surely stopped.")
    ] = False,
    reason: Reason = None,
    workflow_id: Annotated[
        str | None, typer.Option(metavar="ID", help="The job's name; default: reindex-<table>.")
    ] = None,
    input_file: Annotated[
        Path | None, typer.Option("--input", metavar="FILE", help="The whole input as JSON; options go on top.")
    ] = None,
    yes: Yes = False,
    wait: Wait = False,
    expect_found: Annotated[
        bool,
        typer.Option(
            "--expect-found",
            help="Incomplete where a record vanished, a named partition is empty, or no record was found.",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Begin a job. It shows the plan and asks; without a terminal it starts with --yes only.

    A dry run writes nothing and is not asked about.

    Exit code 0 started (with --wait: complete), 1 incomplete, 2 refused, 3 no worker is there.
    """
    given = {
        "table": table,
        "operation": operation_given(operation, version, job_name, params),
        "scope": scope_given(scope, sample, keys, partition, partitions_from, sort_key, index),
        "limits": limits_given(read_units, write_units, records_per_second, shards_in_flight, quarantined),
        "attributes": {"version": version_attribute, "run": run_attribute},
        "total_segments": segments,
        "isolation": isolation,
        "verify": False if no_verify else None,
        "sweep": False if no_sweep else None,
        "skip_expired": skip_expired or None,
        "reason": reason,
        "allow_lower": allow_lower or None,
        "allow_used": allow_used or None,
        "dry_run": dry_run or None,
        "allow_no_recovery": allow_no_recovery or None,
        "allow_multi_region": allow_multi_region or None,
        "expect_found": expect_found or None,
        "force_lock": force_lock or None,
    }
    job = job_input(given, input_file)
    name = (
        f"reindex-{job.table.rsplit('/', 1)[-1]}" if workflow_id is None else workflow_id
    )  # of an ARN the table's name
    check_workflow_id(name)  # before anything is shown and asked
    details = _show(job, name, ask=not (yes or job.dry_run))
    code = launch(
        job,
        name,
        summary=summary(job),
        details=details,
        wait=wait or job.dry_run,
        as_json=as_json,
    )
    raise typer.Exit(code)


def _show(job: JobInput, name: str, *, ask: bool) -> str:
    """Show the plan and ask; returns the plan for the Web UI. Raises `Stopped` where no one agrees.

    Everything goes to stderr: stdout belongs to the answer.
    """
    plan = look_ahead(job, name)
    if ask or can_ask():
        err.print(plan_text(plan, job, name))
    confirm("Start?", yes=not ask, otherwise="not started")
    return "" if plan is None else plan.markdown
