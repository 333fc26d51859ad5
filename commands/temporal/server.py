"""Requests to the Temporal server itself: jobs by name, pollers, states."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, TypeVar

from pydantic import ValidationError
from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import (
    Client,
    WorkflowExecutionDescription,
    WorkflowExecutionStatus,
    WorkflowHandle,
    WorkflowQueryFailedError,
    WorkflowQueryRejectedError,
)
from temporalio.service import RPCError, RPCStatusCode

from activities.follows import FOLLOW_TYPE
from commands.input.exits import Exit, Stopped
from reindexer.connect import connect
from reindexer.errors import BadInput
from reindexer.explain import explain
from reindexer.models import JobProgress
from reindexer.settings import settings

T = TypeVar("T")

Kind = Literal["workflow", "activity"]

JOB_TYPE = "ReindexTable"
#: A long poll lasts a minute; a worker that has not polled again a little later is gone.
POLLER_GONE_AFTER = timedelta(seconds=75)
#: How long a control waits for the job to confirm: the rounds hand back within about two seconds.
CONFIRM_SECONDS = 10.0
#: How long a query may take: a worker replays at most some thousand events for an answer.
QUERY_SECONDS = 5.0
#: Seconds until a query is put once more: a run that has just begun to take over answers by then.
_AGAIN = 0.3


#: In our words, and in our spelling.
_ENDED = {
    WorkflowExecutionStatus.COMPLETED: "has completed",
    WorkflowExecutionStatus.FAILED: "failed",
    WorkflowExecutionStatus.CANCELED: "was cancelled",
    WorkflowExecutionStatus.TERMINATED: "was terminated",
    WorkflowExecutionStatus.TIMED_OUT: "timed out",
}


def talk(work: Callable[[Client], Awaitable[T]], seconds: float | None = None) -> T:
    """Connect by Temporal's own settings and do the work. Raises `EnvironmentFault` where no one answers.

    `seconds`: for connecting, then `TimeoutError`; None: as long as gRPC tries.
    """

    async def connected() -> T:
        return await work(await asyncio.wait_for(connect(), seconds))

    return asyncio.run(connected())


async def describe(client: Client, job: str) -> WorkflowExecutionDescription:
    """The newest run of a job. Raises `BadInput` where there is none of that name."""
    try:
        description = await client.get_workflow_handle(job).describe()
    except RPCError as error:
        if is_unknown(error):
            raise BadInput(
                f"there is no job {job} in namespace {client.namespace} at {address(client)}; "
                "`reindexer list` shows the jobs there"
            ) from error
        raise
    if description.workflow_type not in (JOB_TYPE, FOLLOW_TYPE):
        raise BadInput(f"{job} is a workflow of type {description.workflow_type}, not a job ({JOB_TYPE})")
    return description


def is_unknown(error: RPCError) -> bool:
    """Whether the server knows no such workflow; a namespace that is not there says nothing of its jobs."""
    details = error.grpc_status.details
    return error.status is RPCStatusCode.NOT_FOUND and not any(
        detail.type_url.endswith("NamespaceNotFoundFailure") for detail in details
    )


def is_open(description: WorkflowExecutionDescription) -> bool:
    """Whether the job is open. A run that continued as new has a successor, which the next look finds."""
    return description.close_time is None or description.status is WorkflowExecutionStatus.CONTINUED_AS_NEW


def is_halted(description: WorkflowExecutionDescription) -> bool:
    """Whether Temporal itself keeps an open job from going on, as `temporal workflow pause` does."""
    return description.close_time is None and description.status is not WorkflowExecutionStatus.RUNNING


def how_it_ended(description: WorkflowExecutionDescription) -> str:
    """How a closed job ended, to follow its name: "was cancelled"."""
    return "ended" if description.status is None else _ENDED.get(description.status, "ended")


def spelled(status: str) -> str:
    """Temporal's word for a status as people see it beside ours; JSON keeps Temporal's."""
    return "cancelled" if status == "canceled" else status.replace("_", " ")


async def open_job(client: Client, job: str) -> WorkflowHandle[Any, Any]:
    """A handle to a running job, in whichever run it is. Raises `BadInput` where none of that name is running.

    It cancels and terminates this job alone, never a later one of the same name.
    """
    description = await describe(client, job)
    if not is_open(description):
        ended = how_it_ended(description)
        raise BadInput(f"{job} is not running, it {ended}; `reindexer report {job}` shows what it did")
    first = description.raw_description.workflow_execution_info.first_run_id
    return client.get_workflow_handle(job, first_execution_run_id=first or None)


async def open_follow(client: Client, job: str, otherwise: BadInput) -> WorkflowHandle[Any, Any]:
    """As `open_job`. Raises `otherwise` where the job is not a follow."""
    handle = await open_job(client, job)
    if (await handle.describe()).workflow_type != FOLLOW_TYPE:
        raise otherwise
    return handle


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


async def workers_poll(client: Client, seconds: float = 0.0) -> bool:
    """Whether workers poll the job's task queue, now or within this many seconds."""
    return await within(seconds, lambda: pollers(client, settings().task_queue, "workflow"), bool)


def worker_command(queue: str) -> str:
    """What starts workers that poll this queue."""
    if queue in (settings().task_queue, settings().rounds_queue, settings().following_queue):
        return "python worker.py"
    return f"REINDEXER_JOB_QUEUE={shlex.quote(queue)} python worker.py"


async def own_workers(client: Client, queue: str | None, seconds: float = 0.0) -> bool:
    """Whether a job's own workers poll, now or within this many seconds; None: it needs none of its own."""
    return queue is None or await within(seconds, lambda: pollers(client, queue, "activity"), bool)


async def progress_of(handle: WorkflowHandle[Any, Any], *looked: Any) -> JobProgress | None:
    """The `progress` query, computed as if the job had just `looked`. None: no worker answers in time.

    Raises `Stopped` where a worker of another version answers what this one cannot read.
    """
    for wait in (0.0, _AGAIN):
        await asyncio.sleep(wait)
        try:
            answer = await handle.query("progress", args=looked, rpc_timeout=timedelta(seconds=QUERY_SECONDS))
        except WorkflowQueryFailedError:
            continue
        except WorkflowQueryRejectedError:  # of a workflow that Temporal itself has paused
            return None
        except RPCError as error:
            if error.status in (RPCStatusCode.DEADLINE_EXCEEDED, RPCStatusCode.CANCELLED):
                return None  # a second wait as long would find no worker either
            continue
        return _read(handle.id, answer)
    return None


def _read(job: str, answer: Any) -> JobProgress:
    try:
        # What only a newer worker says can be left out; what an older one does not say has its default.
        return JobProgress.model_validate(answer, extra="ignore")
    except ValidationError as error:
        raise Stopped(
            Exit.NOT_FINISHED,
            f"the workers of {job} are of another version, whose answer this one cannot read "
            f"({explain(error)}); run this command with their version. "
            "`pause`, `resume` and `cancel` reach the job all the same",
        ) from None


async def state_of(handle: WorkflowHandle[Any, Any]) -> tuple[str, str]:
    """(state, reason) as the job's workers answer; ("", "") where none does in time."""
    answer = await progress_of(handle)
    return ("", "") if answer is None else (answer.state, answer.reason or "")


async def within(seconds: float, ask: Callable[[], Awaitable[T]], good: Callable[[T], bool]) -> bool:
    """Ask until the answer is good. False: it was not within this many seconds."""
    return good(await last_within(seconds, ask, good))


async def last_within(seconds: float, ask: Callable[[], Awaitable[T]], good: Callable[[T], bool]) -> T:
    """Ask until the answer is good, for at most this many seconds; returns the last answer."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while not good(answer := await ask()) and loop.time() < deadline:
        await asyncio.sleep(0.25)  # seconds: a person feels no delay, a server no load
    return answer
