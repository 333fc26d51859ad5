"""Starting a job and announcing it, for `start`, `redrive` and `demo`."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import typer
from temporalio.client import Client, WorkflowHandle
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError

from activities.follows import FOLLOW_TYPE
from commands.input.exits import Exit
from commands.input.json_only import emit_json
from commands.rendering.screen import WARN, note
from commands.running.watching import goes_on, show_ending, watch_job
from commands.temporal.server import (
    JOB_TYPE,
    address,
    is_open,
    is_unknown,
    own_workers,
    talk,
    worker_command,
    workers_poll,
)
from reindexer.errors import BadInput, ReindexerError
from reindexer.ledger import Ledger
from reindexer.models import FollowInput, JobInput
from reindexer.operations import verb_of
from reindexer.planning.bounds import check_workflow_id
from reindexer.planning.redrive import operation_of
from reindexer.planning.verbs import queue_of
from reindexer.settings import settings

Wait = Annotated[bool, typer.Option("--wait", help="Follow the job until it ends, then show its report.")]

#: Workers that start at the same time as the job need some seconds to poll.
_WORKERS_SECONDS = 5.0


def launch(job: JobInput, workflow_id: str, *, summary: str, wait: bool, as_json: bool) -> Exit:
    """Start the job, and follow it if asked.

    Raises `BadInput` where one of that name is running, or the name is too long.
    """
    check_workflow_id(workflow_id)

    async def work(client: Client) -> Exit:
        handle = await begin(client, job, workflow_id, summary=summary)
        missing = await _unserved(client, job)
        _announce(handle, missing, as_json=as_json and not wait)
        if missing:
            return Exit.NOT_FINISHED
        if not wait:
            return Exit.COMPLETE
        end = await watch_job(client, workflow_id, quiet=as_json)
        show_ending(end, as_json=as_json)
        verb = verb_of(job.operation)
        failed = end.report is None and end.code is Exit.INCOMPLETE
        if failed and verb.compares and not verb.writes:
            return Exit.NOT_FINISHED  # neither equal nor different
        return end.code

    try:
        return talk(work)
    except KeyboardInterrupt:
        return goes_on(workflow_id)


async def begin(client: Client, job: JobInput, workflow_id: str, *, summary: str) -> WorkflowHandle[Any, Any]:
    """Start the workflow. Raises `BadInput` where one of that name is running."""
    try:
        return await client.start_workflow(
            FOLLOW_TYPE if isinstance(job, FollowInput) else JOB_TYPE,
            # Only what was given: defaults are the workflow's own, also of a newer one.
            job.model_dump(mode="json", exclude_unset=True),
            id=workflow_id,
            task_queue=settings().task_queue,
            id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
            static_summary=summary[:200],  # bytes Temporal recommends at most
        )
    except WorkflowAlreadyStartedError:
        raise _already_running(client, workflow_id) from None


async def require_free(client: Client, workflow_id: str) -> None:
    """Raises `BadInput` where a job of that name is running, as `begin` does."""
    try:
        description = await client.get_workflow_handle(workflow_id).describe()
    except RPCError as error:
        if is_unknown(error):
            return
        raise
    if is_open(description):
        raise _already_running(client, workflow_id)


def _already_running(client: Client, workflow_id: str) -> BadInput:
    return BadInput(
        f"a job {workflow_id} is already running in namespace {client.namespace}; wait for it, "
        f"`reindexer cancel {workflow_id}`, or choose another name with --workflow-id"
    )


async def _unserved(client: Client, job: JobInput) -> str:
    """A sentence that names the queue the job needs and that has no workers; "" if all have some."""
    if not await workers_poll(client, _WORKERS_SECONDS):
        queue = settings().task_queue
    else:
        own = await asyncio.to_thread(_own_queue, job)
        if own is None or await own_workers(client, own, _WORKERS_SECONDS):
            return ""
        queue = own
    return (
        f"no worker polls the task queue {queue} at {address(client)}: the job begins once one does "
        f"({worker_command(queue)})"
    )


def _own_queue(job: JobInput) -> str | None:
    """The queue of the job's own workers, as far as this machine knows."""
    try:
        return queue_of(operation_of(job, Ledger(settings().ledger_table)))
    except ReindexerError:  # a redrive may be started without the job's file
        return None


def _announce(handle: WorkflowHandle[Any, Any], missing: str, *, as_json: bool) -> None:
    if as_json:
        emit_json({"job": handle.id, "run_id": handle.first_execution_run_id, "workers": not missing})
    else:
        note(f"started {handle.id}; reindexer watch {handle.id}")
    if missing:
        note(missing, WARN)
