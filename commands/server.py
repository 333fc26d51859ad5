"""What is asked of the Temporal server itself: jobs by name, who polls, how a job ended."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, TypeVar

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import (
    Client,
    WorkflowExecutionDescription,
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowHandle,
    WorkflowQueryFailedError,
)
from temporalio.exceptions import (
    ActivityError,
    ApplicationError,
    CancelledError,
    ChildWorkflowError,
    TerminatedError,
)
from temporalio.exceptions import TimeoutError as RanOutOfTime
from temporalio.service import RPCError, RPCStatusCode

from commands.account import exit_code
from commands.exits import Exit
from reindexer.connect import connect
from reindexer.errors import BadInput, EnvironmentFault, ReindexerError
from reindexer.ledger import Ledger
from reindexer.models import Report
from reindexer.settings import settings

T = TypeVar("T")

Kind = Literal["workflow", "activity"]

JOB_TYPE = "ReindexTable"
#: A long poll lasts a minute; who has not come back after that and a little more is gone.
POLLER_GONE_AFTER = timedelta(seconds=75)
#: How long a control waits for the job to confirm: the rounds hand back within about two seconds.
CONFIRM_SECONDS = 10.0
#: Types of failures with which a job ends because of a defect, not because it was refused.
_DEFECTS = frozenset(("PlanFailed", "Unbalanced"))


def talk(work: Callable[[Client], Awaitable[T]]) -> T:
    """Connect by Temporal's own settings and do the work. Raises `EnvironmentFault` where nobody answers."""

    async def connected() -> T:
        return await work(await connect())

    return asyncio.run(connected())


async def describe(client: Client, job: str) -> WorkflowExecutionDescription:
    """The newest run of a job. Raises `BadInput` where there is none of that name."""
    try:
        description = await client.get_workflow_handle(job).describe()
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            raise BadInput(
                f"there is no job {job} in namespace {client.namespace} at {address(client)}; "
                "`reindexer list` shows those that are there"
            ) from error
        raise
    if description.workflow_type != JOB_TYPE:
        raise BadInput(f"{job} is a workflow of type {description.workflow_type}, not a job ({JOB_TYPE})")
    return description


async def open_job(client: Client, job: str) -> WorkflowHandle[Any, Any]:
    """A handle to the running run of a job. Raises `BadInput` where it does not exist or has ended."""
    description = await describe(client, job)
    if description.status is not WorkflowExecutionStatus.RUNNING:
        ended = description.status.name.lower() if description.status else "ended"
        raise BadInput(f"{job} is not running, it has {ended}; `reindexer report {job}` shows what it did")
    return client.get_workflow_handle(job, run_id=description.run_id)


def address(client: Client) -> str:
    """Where the server is, for people."""
    return client.service_client.config.target_host


async def pollers(client: Client, queue: str, kind: Kind) -> int:
    """How many workers poll a task queue now. A worker that was killed counts for up to a minute more."""
    kinds = {
        "workflow": TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
        "activity": TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY,
    }
    answer = await client.workflow_service.describe_task_queue(
        DescribeTaskQueueRequest(
            namespace=client.namespace, task_queue=TaskQueue(name=queue), task_queue_type=kinds[kind]
        )
    )
    since = datetime.now(UTC) - POLLER_GONE_AFTER
    return len(
        {
            poller.identity
            for poller in answer.pollers
            if poller.last_access_time.ToDatetime(tzinfo=UTC) >= since
        }
    )


async def somebody_works(client: Client, seconds: float = 0.0) -> bool:
    """Whether workers poll the job's task queue, now or within so many seconds."""
    return await within(seconds, lambda: pollers(client, settings().task_queue, "workflow"), bool)


def worker_command(queue: str) -> str:
    """What starts workers that poll this queue."""
    if queue in (settings().task_queue, settings().rounds_queue):
        return "python worker.py"
    return f"REINDEXER_JOB_QUEUE={shlex.quote(queue)} python worker.py"


async def own_workers(client: Client, queue: str | None, seconds: float = 0.0) -> bool:
    """Whether a job's own workers are there, now or within so many seconds; None: it needs none of its own."""
    return queue is None or await within(seconds, lambda: pollers(client, queue, "activity"), bool)


async def state_of(handle: WorkflowHandle[Any, Any]) -> tuple[str, str]:
    """(state, reason) as the job's workers answer; ("", "") where none does in time."""
    try:
        answer: dict[str, Any] = await handle.query("progress", rpc_timeout=timedelta(seconds=5))
    except (RPCError, WorkflowQueryFailedError):
        return "", ""
    return str(answer["state"]), str(answer.get("reason") or "")


async def within(seconds: float, ask: Callable[[], Awaitable[T]], good: Callable[[T], bool]) -> bool:
    """Ask until the answer is good. False: it was not within so many seconds."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while not good(await ask()):
        if loop.time() >= deadline:
            return False
        await asyncio.sleep(0.25)  # seconds: a person feels no delay, a server no load
    return True


@dataclass(frozen=True)
class Ending:
    """How a job ended. `sentence` is what to say where there is no report."""

    code: Exit
    report: Report | None
    sentence: str = ""


async def ending(handle: WorkflowHandle[Any, Any]) -> Ending:
    """Wait for the end of a job; needs no workers once it has ended."""
    try:
        report = Report.model_validate(await handle.result())
    except WorkflowFailureError as failure:
        return await asyncio.to_thread(_failed, handle.id, failure.cause)
    return Ending(exit_code(report), report)


def _failed(job: str, cause: BaseException) -> Ending:
    # Taking the lock is an activity: what it refuses arrives inside an ActivityError.
    while isinstance(cause, ActivityError | ChildWorkflowError) and cause.cause is not None:
        cause = cause.cause
    if isinstance(cause, ApplicationError):
        if cause.type == "Incomplete" and cause.details:
            return Ending(Exit.INCOMPLETE, Report.model_validate(cause.details[0]))
        refused = cause.non_retryable and cause.type not in _DEFECTS
        code = Exit.BAD_INPUT if refused else Exit.INCOMPLETE
        return Ending(code, None, f"{job} {'was refused' if refused else 'failed'}: {cause.message}")
    if isinstance(cause, CancelledError):
        # What it did until then is in the ledger; Temporal keeps no result of a cancelled workflow.
        report = _kept_report(job)
        return Ending(Exit.INCOMPLETE, report, f"{job} was cancelled")
    if isinstance(cause, TerminatedError):
        return Ending(Exit.INCOMPLETE, None, f"{job} was terminated, so it left no report: {cause.message}")
    if isinstance(cause, RanOutOfTime):
        return Ending(Exit.INCOMPLETE, None, f"{job} ran into a time limit set at its start")
    return Ending(Exit.INCOMPLETE, None, f"{job} failed: {cause}")


def _kept_report(job: str) -> Report | None:
    try:
        report = Ledger(settings().ledger_table).report(job)
    except (ReindexerError, EnvironmentFault):
        return None
    return report if report and report.state == "cancelled" else None
