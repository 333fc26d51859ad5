"""The textbook way: a workflow that slides a window of activities over the records, one activity each.

Also its worker, in as many processes as the reindexer has: `python -m evidence.benchmarks.activity_per_record`.
"""

from __future__ import annotations

import asyncio
import os
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.common import RetryPolicy
from temporalio.worker import PollerBehaviorAutoscaling, Worker

with workflow.unsafe.imports_passed_through():
    import boto3
    from botocore.config import Config

    from evidence.benchmarks.measured import Run
    from evidence.benchmarks.procfs import cpu_seconds, peak_mb
    from evidence.benchmarks.stand import crew
    from evidence.benchmarks.tables import KEY, next_version
    from reindexer.connect import connect
    from supervisor import supervise
    from testbed.stack import Stack

_QUEUE = "activity-per-record"
_WINDOW = 100  # activities in flight: more than all the workers' threads, so that none waits for the workflow
_PER_RUN = 1_000  # records before it continues as new: 3 events each, and as many again for its own tasks
_THREADS = 32  # activities at once in a process; each waits for one answer of DynamoDB most of its time


@dataclass
class Part:
    """What is left to do: the records after `start`, `left` of them."""

    table: str
    version: int
    left: int
    start: Any = None
    done: int = 0


@dataclass
class Page:
    """Keys of a page, and where the next one begins."""

    keys: list[str]
    last: Any


class RecordActivities:
    """As in any such project: an activity for a page of keys, and one for a record."""

    def __init__(self) -> None:
        self._client: Any = boto3.client("dynamodb", config=Config(max_pool_connections=_THREADS))

    @activity.defn
    def list_keys(self, part: Part) -> Page:
        """Up to `_PER_RUN` keys."""
        more = {"ExclusiveStartKey": part.start} if part.start else {}
        limit = min(_PER_RUN, part.left)
        page = self._client.scan(TableName=part.table, ProjectionExpression=KEY, Limit=limit, **more)
        return Page([row[KEY]["S"] for row in page["Items"]], page.get("LastEvaluatedKey"))

    @activity.defn
    def touch_record(self, table: str, key: str, version: int) -> None:
        """The write itself, conditional so that a retry does no harm."""
        self._client.update_item(
            TableName=table,
            Key={KEY: {"S": key}},
            UpdateExpression="SET #v = :v",
            ConditionExpression="attribute_exists(#k) AND NOT #v >= :v",
            ExpressionAttributeNames={"#v": "reindexVersion", "#k": KEY},
            ExpressionAttributeValues={":v": {"N": str(version)}},
        )


@workflow.defn
class ActivityPerRecord:
    """A sliding window: as one activity ends, the next begins."""

    @workflow.run
    async def run(self, part: Part) -> int:
        """How many records were done."""
        page: Page = await workflow.execute_activity(
            "list_keys", part, result_type=Page, start_to_close_timeout=timedelta(seconds=30)
        )
        window = asyncio.Semaphore(_WINDOW)

        async def one(key: str) -> None:
            async with window:
                await workflow.execute_activity(
                    "touch_record",
                    args=[part.table, key, part.version],
                    start_to_close_timeout=timedelta(seconds=10),  # a single write
                    retry_policy=RetryPolicy(maximum_attempts=5),
                )

        await asyncio.gather(*(one(key) for key in page.keys))
        left, done = part.left - len(page.keys), part.done + len(page.keys)
        if left and page.last:
            workflow.continue_as_new(Part(part.table, part.version, left, page.last, done))
        return done


def run_activities(servers: Stack, table: str, records: int) -> Run:
    """As many of the table's first records as asked for, by worker processes of its own."""
    return asyncio.run(_run(servers, table, records))


async def _run(servers: Stack, table: str, records: int) -> Run:
    client = await Client.connect(servers.temporal.address)
    with crew(servers, ["-m", "evidence.benchmarks.activity_per_record"]) as workers:
        await _finish(client, table, 10)  # workers have connected
        used, began = cpu_seconds(*workers.children()), time.monotonic()
        done = await _finish(client, table, records)
        seconds = time.monotonic() - began
        return Run(done, seconds, cpu_seconds(*workers.children()) - used, peak_mb(*workers.children()))


async def _finish(client: Client, table: str, records: int) -> int:
    name = f"{_QUEUE}-{uuid.uuid4().hex[:8]}"
    part = Part(table, next_version(), records)
    return await client.execute_workflow(ActivityPerRecord.run, part, id=name, task_queue=_QUEUE)


async def _serve() -> None:
    activities, pollers = RecordActivities(), PollerBehaviorAutoscaling()
    await Worker(
        # Its own converter, not the reindexer's: dataclasses need none.
        Client((await connect()).service_client, namespace="default"),
        task_queue=_QUEUE,
        workflows=[ActivityPerRecord],
        activities=[activities.list_keys, activities.touch_record],
        activity_executor=ThreadPoolExecutor(_THREADS),
        max_concurrent_activities=_THREADS,
        workflow_task_poller_behavior=pollers,
        activity_task_poller_behavior=pollers,
    ).run()


def one_process() -> None:
    """The body of each worker process."""
    asyncio.run(_serve())


if __name__ == "__main__":
    # By its importable name: a workflow cannot live in `__main__`.
    from evidence.benchmarks import activity_per_record

    supervise(activity_per_record.one_process, int(os.environ["REINDEXER_PROCESSES"]))
