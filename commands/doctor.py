"""doctor: check everything that a job needs, and say what to do."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Annotated

import typer
from rich.text import Text
from temporalio.api.workflowservice.v1 import GetSystemInfoRequest
from temporalio.client import Client
from temporalio.service import RPCError

from commands.input.exits import EXPECTED, Exit, meaning
from commands.input.json_only import emit_json
from commands.input.options import AsJson
from commands.rendering.screen import BAD, GOOD, columns, say
from commands.temporal.server import Kind, address, pollers, worker_command
from reindexer.connect import SEARCH_ATTRIBUTES, connect, registered_search_attributes
from reindexer.dynamo.client import make_client
from reindexer.jobs.catalogue import catalogue
from reindexer.jobs.job import JobBroken
from reindexer.ledger import Ledger
from reindexer.models import JobInput, PlanInput
from reindexer.planning.plan import make_plan
from reindexer.settings import settings
from reindexer.words import some


@dataclass(frozen=True)
class Finding:
    """The result of one check. `todo`: what to do where it failed."""

    what: str
    good: bool
    found: str
    todo: str = ""


def doctor(
    table: Annotated[str | None, typer.Argument(metavar="[TABLE]", help="Check this table too.")] = None,
    as_json: AsJson = False,
) -> None:
    """Check connections, credentials, permissions, ledger, workers and versions. Changes no record.

    Exit codes: 0 no problem, 1 a problem was found.
    """
    findings = [*asyncio.run(_temporal()), *_aws(), _looked("jobs", _jobs)]
    if table:
        findings.append(_looked(f"table {table}", lambda: _table(table)))
    good = all(finding.good for finding in findings)
    if as_json:
        emit_json({"good": good, "findings": [asdict(finding) for finding in findings]})
    else:
        say(columns(_row(finding) for finding in findings))
    raise typer.Exit(Exit.COMPLETE if good else Exit.INCOMPLETE)


def _row(finding: Finding) -> tuple[str | Text, ...]:
    mark = Text("ok", GOOD) if finding.good else Text("problem", BAD)
    return mark, finding.what, f"{finding.found}\n→ {finding.todo}" if finding.todo else finding.found


def _looked(what: str, look: Callable[[], str], todo: str = "") -> Finding:
    """What `look` says, or the error it raises as a problem."""
    try:
        return Finding(what, True, look())
    except EXPECTED as error:
        return Finding(what, False, meaning(error)[1], todo)


# ── Temporal ───────────────────────────────────────────────────────────────────────────────────────────────


async def _temporal() -> list[Finding]:
    try:
        client = await connect()
    except EXPECTED as error:
        return [Finding("Temporal", False, meaning(error)[1])]
    findings = [await _asked("Temporal", _server(client))]
    asked: list[tuple[str, str, Kind]] = [
        ("workers", settings().task_queue, "workflow"),
        ("rounds", settings().rounds_queue, "activity"),
        ("following", settings().following_queue, "activity"),
        *((f"jobs {names}", queue, "activity") for queue, names in _own_queues().items()),
    ]
    for what, queue, kind in asked:
        findings.append(await _asked(what, _pollers(client, what, queue, kind)))
    findings.append(await _asked("search", _search(client)))
    return findings


async def _asked(what: str, answer: Awaitable[Finding]) -> Finding:
    try:
        return await answer
    except RPCError as error:
        return Finding(what, False, meaning(error)[1])


async def _server(client: Client) -> Finding:
    info = await client.workflow_service.get_system_info(GetSystemInfoRequest())
    server = f"server {info.server_version}" if info.server_version else "server of unknown version"
    where = f"namespace {client.namespace} at {address(client)}"
    return Finding("Temporal", True, f"{where}, {server}, SDK {version('temporalio')}")


def _own_queues() -> dict[str, str]:
    """Task queues of jobs with workers of their own, and the names of those jobs."""
    own: dict[str, list[str]] = {}
    try:
        for job in catalogue().values():
            if job.task_queue:
                own.setdefault(job.task_queue, []).append(job.name)
    except JobBroken:
        return {}  # reported as a finding of its own
    return {queue: ", ".join(sorted(names)) for queue, names in sorted(own.items())}


async def _pollers(client: Client, what: str, queue: str, kind: Kind) -> Finding:
    number = await pollers(client, queue, kind)
    if number:
        return Finding(what, True, f"{some(number, 'process', 'processes')} on task queue {queue}")
    return Finding(
        what, False, f"no worker polls task queue {queue}", f"start workers: {worker_command(queue)}"
    )


async def _search(client: Client) -> Finding:
    missing = set(SEARCH_ATTRIBUTES) - set(await registered_search_attributes(client))
    if not missing:
        return Finding("search", True, f"attributes {', '.join(SEARCH_ATTRIBUTES)} are registered")
    found = f"{', '.join(sorted(missing))} not registered: jobs cannot be listed by table and state"
    return Finding("search", False, found, "reindexer setup")


# ── AWS ────────────────────────────────────────────────────────────────────────────────────────────────────


def _aws() -> list[Finding]:
    findings = [_looked("AWS", _identity, "set AWS_REGION and credentials, as for the aws command")]
    findings.append(_looked("ledger", _ledger))
    return findings


def _identity() -> str:
    """The caller and the Region. With an endpoint that is not AWS, STS is not asked."""
    import boto3  # not needed before; a quarter of a second

    session = boto3.session.Session()
    client = make_client()
    where = f"region {client.meta.region_name}, SDK {version('boto3')}"
    endpoint = os.environ.get("AWS_ENDPOINT_URL_DYNAMODB") or os.environ.get("AWS_ENDPOINT_URL")
    if endpoint:
        return f"{where}, endpoint {endpoint} (not AWS, so the caller's identity is not checked)"
    who = session.client("sts", region_name=client.meta.region_name).get_caller_identity()
    return f"{who['Arn']}, {where}"


def _ledger() -> str:
    ledger = Ledger(settings().ledger_table)
    ledger.store.check()
    return f"table {ledger.table} can be written and read"


def _jobs() -> str:
    return f"{some(len(catalogue()), 'job')} here: {', '.join(sorted(catalogue())) or 'none'}"


def _table(table: str) -> str:
    """The plan of a job over it, with its probes of permissions on a key that no item has."""
    request = PlanInput(
        job=JobInput(table=table), workflow_id="doctor", started_at=datetime.now(UTC), run="doctor"
    )
    chosen = settings()
    plan = make_plan(
        request,
        client=make_client(),
        ledger=Ledger(chosen.ledger_table),
        heartbeat_timeout=chosen.heartbeat_timeout,
    )
    about = plan.facts
    parts = [f"about {some(about.items, 'record')}", about.capacity_mode, f"written by {plan.target.writer}"]
    return ", ".join(parts) + "".join(f"\n! {warning}" for warning in plan.warnings)
