"""The worker: settings → clients → telemetry → registration. One process per core.

    python worker.py

SIGTERM and SIGINT end it gracefully: rounds hand back their state, and nothing is lost.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from opentelemetry import metrics
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.environment_variables import (
    OTEL_EXPORTER_OTLP_ENDPOINT,
    OTEL_EXPORTER_OTLP_METRICS_ENDPOINT,
)
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from pydantic import ValidationError
from temporalio.client import Client
from temporalio.worker import PollerBehaviorAutoscaling, Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from activities.clients import Clients
from activities.guard import Guard
from activities.heartbeats import Heartbeats
from activities.register import Questions, control_activities, job_activities, round_activities
from eviction import EvictingRunner
from reindexer.answers import CallFailed
from reindexer.connect import connect
from reindexer.dynamo.table import TableClient
from reindexer.errors import ReindexerError
from reindexer.explain import explain
from reindexer.jobs.catalogue import catalogue
from reindexer.jobs.job import CODE_SHOWN, Job
from reindexer.ledger import Ledger
from reindexer.rounds.under_way import MAX_BATCHES
from reindexer.settings import Settings, settings
from supervisor import supervise
from workflows.follow_table import FollowTable
from workflows.reindex_shard import ReindexShard
from workflows.reindex_table import ReindexTable

log = logging.getLogger("reindexer.worker")

#: Control activities at once in one process: records under way (10 a shard) and a few plans.
_CONTROL_SLOTS = 32
#: Workflow tasks at once in one process. Python runs one at a time; of many, each has so small a part of a core
#: that a root with 400 shards (0.25 s of CPU) would pass the SDK's two seconds and be taken for a deadlock.
_WORKFLOW_TASKS = 6


def workers(client: Client, clients: Clients, chosen: Settings, guard: Guard) -> list[Worker]:
    """The workers of one process: workflows and control on one queue, rounds on another, following on a third.

    A process for jobs that have workers of their own runs no workflows, and of control what those jobs need.
    """
    own = bool(chosen.job_queue)
    pollers = PollerBehaviorAutoscaling(minimum=1, initial=2, maximum=20)
    grace = timedelta(seconds=chosen.graceful_shutdown_seconds)
    heartbeat = timedelta(seconds=chosen.heartbeat_interval)
    questions = Questions(clients)
    runner = EvictingRunner(SandboxedWorkflowRunner())
    control = Worker(
        client,
        task_queue=chosen.serves,
        workflow_runner=runner,
        workflows=[] if own else [ReindexTable, FollowTable, ReindexShard],
        activities=job_activities(clients, chosen, questions, guard)
        if own
        else control_activities(clients, client, chosen, questions, guard),
        activity_executor=ThreadPoolExecutor(_CONTROL_SLOTS, "control"),
        interceptors=[Heartbeats()],
        max_concurrent_activities=_CONTROL_SLOTS,
        workflow_task_poller_behavior=pollers,
        activity_task_poller_behavior=pollers,
        max_concurrent_workflow_tasks=_WORKFLOW_TASKS,
        max_heartbeat_throttle_interval=heartbeat,
        graceful_shutdown_timeout=grace,
        # Signals to the workflows of a dead worker wait for this long before another takes over.
        sticky_queue_schedule_to_start_timeout=timedelta(seconds=1),
    )
    slots = {
        chosen.rounds_queue: chosen.rounds_per_process,
        chosen.following_queue: chosen.following_per_process,
    }
    rounds = [
        Worker(
            client,
            task_queue=queue,
            activities=round_activities(clients, questions, guard),
            activity_executor=ThreadPoolExecutor(number, queue.removeprefix(chosen.serves).strip("-")),
            max_concurrent_activities=number,
            activity_task_poller_behavior=pollers,
            max_heartbeat_throttle_interval=heartbeat,
            graceful_shutdown_timeout=grace,
        )
        for queue, number in slots.items()
    ]
    # No public name has it. Where it is gone, every worker fails here, not one job later.
    runner.evict = control._bridge_worker.request_workflow_eviction
    return [control, *rounds]


def export_metrics() -> None:
    """Where OpenTelemetry's own settings name an endpoint, send metrics there every minute."""
    if not {OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_EXPORTER_OTLP_METRICS_ENDPOINT} & os.environ.keys():
        return
    reader = PeriodicExportingMetricReader(OTLPMetricExporter())
    metrics.set_meter_provider(MeterProvider(metric_readers=[reader]))


async def serve(chosen: Settings) -> str:
    """One process's life: connect, warm up, poll until asked to stop ("") or not fit to work (why)."""
    export_metrics()
    client = await connect()
    ahead = chosen.following_per_process * (MAX_BATCHES + 1)  # each reads a page ahead, too
    pool = chosen.rounds_per_process + chosen.following_per_process + ahead + _CONTROL_SLOTS
    clients = Clients(pool=pool, ledger=Ledger(chosen.ledger_table), ahead=ahead)
    log.info(
        "serving namespace %s at %s, queues %s and %s; DynamoDB account %s, region %s at %s, ledger %s; "
        "jobs %s",
        client.namespace,
        client.service_client.config.target_host,
        chosen.serves,
        chosen.rounds_queue,
        await asyncio.to_thread(_account, clients, chosen.ledger_table),
        clients.own.meta.region_name,
        clients.own.meta.endpoint_url,
        chosen.ledger_table,
        served(catalogue(), chosen),
    )
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    guard = Guard()
    all_workers = workers(client, clients, chosen, guard)
    gc.freeze()  # what lives as long as the process need not be looked through: an eighth of its CPU
    # A page of records is 100,000 objects without reference cycles. To look at all as often as Python does by
    # itself is a quarter of a follow's CPU; now it is once in 50 million, and memory stays as it was.
    gc.set_threshold(10_000, 50, 100)
    running = [asyncio.create_task(worker.run()) for worker in all_workers]
    ended = asyncio.create_task(stop.wait())
    watching = asyncio.create_task(guard.watch(client, chosen.heartbeat_timeout))
    await asyncio.wait([ended, watching, *running], return_when=asyncio.FIRST_COMPLETED)
    log.info("handing back what is under way")
    await asyncio.gather(*(worker.shutdown() for worker in all_workers))
    await asyncio.gather(*running)
    return watching.result() if watching.done() else ""


def served(jobs: Mapping[str, Job], chosen: Settings) -> str:
    """The jobs that this process runs, each with as much of its code's hash as tells versions apart."""
    mine = [job for job in jobs.values() if (job.task_queue or chosen.task_queue) == chosen.serves]
    return ", ".join(f"{job.name} ({job.code[:CODE_SHOWN]})" for job in mine) or "none"


def _account(clients: Clients, ledger: str) -> str:
    """The account whose tables these credentials reach; the call also opens the first connection."""
    try:
        found = TableClient(clients.own, ledger).call("describe_table", TableName=ledger)
    except CallFailed as failed:
        return f"unknown ({failed.failure.code} on the ledger)"
    return str(found["Table"]["TableArn"]).split(":")[4]  # arn:aws:dynamodb:REGION:ACCOUNT:…


def one_process() -> None:
    """The body of each process."""
    chosen = settings()
    logging.basicConfig(
        level=chosen.log_level, format=f"%(asctime)s %(levelname)s [{os.getpid()}] %(name)s: %(message)s"
    )
    logging.getLogger("botocore").setLevel(logging.WARNING)
    try:
        catalogue()  # loaded before the first round needs one; `main` has reported a broken file
        unfit = asyncio.run(serve(chosen))
    except ReindexerError as error:
        log.error("%s", error)
        sys.exit(2)  # settings that do not suffice, or no one there
    if unfit:
        log.error("%s; set it, by NTP for example: until then this machine does no work", unfit)
        sys.exit(1)  # replaced, after a growing pause: the clock may have been set meanwhile


def main() -> None:
    """One process per core, until asked to stop."""
    try:
        chosen = settings()
    except ValidationError as error:
        sys.stderr.write(f"settings: {explain(error)}\n")
        sys.exit(2)  # bad input
    try:
        catalogue()
    except ReindexerError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(2)
    logging.basicConfig(level=chosen.log_level)
    supervise(one_process, chosen.processes or os.cpu_count() or 1)


if __name__ == "__main__":
    main()
