"""Starting a job and saying so: what `start`, `redrive` and `demo` have in common."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from temporalio.client import Client, WorkflowHandle
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.exceptions import WorkflowAlreadyStartedError

from commands.exits import Exit
from commands.screen import WARN, emit_json, note
from commands.server import JOB_TYPE, address, somebody_works, talk
from commands.watching import goes_on, show_ending, watch_job
from reindexer.errors import BadInput
from reindexer.models import JobInput
from reindexer.settings import settings

Wait = Annotated[bool, typer.Option("--wait", help="Follow the job to its end, show its report.")]

#: Workers that start at the same time as the job need some seconds to poll.
_WORKERS_SECONDS = 5.0


def launch(job: JobInput, workflow_id: str, *, summary: str, details: str, wait: bool, as_json: bool) -> Exit:
    """Start the job, and follow it if asked. Raises `BadInput` where one of that name is running."""

    async def work(client: Client) -> Exit:
        handle = await begin(client, job, workflow_id, summary=summary, details=details)
        there = await somebody_works(client, _WORKERS_SECONDS)
        _announce(client, handle, there, as_json=as_json and not wait)
        if not there:
            return Exit.NOT_FINISHED
        if not wait:
            return Exit.COMPLETE
        end = await watch_job(client, workflow_id, quiet=as_json)
        show_ending(end, as_json=as_json)
        return end.code

    try:
        return talk(work)
    except KeyboardInterrupt:
        return goes_on(workflow_id)


async def begin(
    client: Client, job: JobInput, workflow_id: str, *, summary: str, details: str
) -> WorkflowHandle[Any, Any]:
    """Start the workflow. Raises `BadInput` where one of that name is running."""
    try:
        return await client.start_workflow(
            JOB_TYPE,
            # Only what was given: defaults are the workflow's own, also of a newer one.
            job.model_dump(mode="json", exclude_unset=True),
            id=workflow_id,
            task_queue=settings().task_queue,
            id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
            static_summary=summary[:200],  # bytes Temporal recommends at most
            static_details=details or None,
        )
    except WorkflowAlreadyStartedError:
        raise BadInput(
            f"a job {workflow_id} is running already in namespace {client.namespace}; wait for it, "
            f"`reindexer cancel {workflow_id}`, or choose another name with --workflow-id"
        ) from None


def _announce(client: Client, handle: WorkflowHandle[Any, Any], there: bool, *, as_json: bool) -> None:
    if as_json:
        emit_json({"job": handle.id, "run_id": handle.first_execution_run_id, "workers": there})
    else:
        note(f"started {handle.id}; reindexer watch {handle.id}")
    if not there:
        note(
            f"no worker polls the task queue {settings().task_queue} at {address(client)}: the job begins "
            "when one comes (python worker.py)",
            WARN,
        )
