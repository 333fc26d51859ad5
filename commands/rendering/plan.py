"""Looking ahead: the plan as the operator's own credentials see it."""

from __future__ import annotations

from datetime import UTC, datetime

from rich.console import Group, RenderableType
from rich.text import Text

from commands.rendering.screen import DIM, WARN, facts, note
from reindexer.dynamo.client import make_client
from reindexer.errors import EnvironmentFault
from reindexer.ledger import Ledger
from reindexer.models import (
    FollowInput,
    JobInput,
    Plan,
    PlanInput,
)
from reindexer.plan_rows import plan_rows
from reindexer.planning.plan import make_plan
from reindexer.planning.verbs import queue_of
from reindexer.settings import settings


def look_ahead(job: JobInput, workflow_id: str) -> Plan | None:
    """Plan here, without writing anything. None where this machine may not look, and that is said.

    Raises `BadInput` and `Refused` as the job itself would.
    """
    request = PlanInput(
        job=job,
        follows=isinstance(job, FollowInput),
        resumes=isinstance(job, FollowInput) and not job.backfill,
        workflow_id=workflow_id,
        started_at=datetime.now(UTC),
        run="preview",
        preview=True,
    )
    chosen = settings()
    try:
        return make_plan(
            request,
            client=make_client(),
            ledger=Ledger(chosen.ledger_table),
            heartbeat_timeout=chosen.heartbeat_timeout,
        )
    except EnvironmentFault as fault:
        # Who may start jobs need not have access to the table: the workers do.
        note(f"the plan cannot be made from here: {fault}", WARN)
        note("the job is planned by its worker", DIM)
        return None


def summary(job: JobInput) -> str:
    """A line for lists: what is done to which table."""
    scope = "" if job.scope.kind == "complete" else f", {job.scope.kind}"
    version = job.operation.version
    target = f" to version {version}" if version else ""
    what = job.operation.on(job.table.rsplit("/", 1)[-1])
    return f"{what}{target}{scope}{', dry run' if job.dry_run else ''}"


def plan_text(plan: Plan | None, job: JobInput, name: str) -> RenderableType:
    """The plan for a terminal."""
    title = Text.assemble((name, "bold"), f"  {summary(job)}")
    if plan is None:
        return title
    rows = facts(plan_rows(plan, job, queue_of(plan.target.operation)))
    warnings = [Text(f"! {warning}", WARN) for warning in plan.warnings]
    return Group(title, Text(), rows, *([Text(), *warnings] if warnings else []), Text())
