"""Temporal, DynamoDB, a fault proxy and workers as one stack, for the demo, the tests and `evidence`.

    with stack(folder, faults=FaultPlan()) as running, running.workers:
        running.workers.come_up()
        handle = await running.start({"table": "cities"})

What runs is on loopback, and never sees the caller's AWS and Temporal settings.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from temporalio.client import Client, WorkflowHandle

from reindexer.connect import SEARCH_ATTRIBUTES
from reindexer.ledger import Ledger
from reindexer.settings import Settings
from reindexer.settings import settings as current_settings
from testbed.development_server import TemporalServer, temporal_server
from testbed.engines import Engine, dynamodb_engine
from testbed.faults import FaultPlan, FaultProxy, fault_proxy
from testbed.surroundings import caller_free_environment, surroundings
from testbed.workers import WORKER, Start, Workers

#: A dead worker is noticed in 3 s and rounds end after 5 s: a disturbed job takes seconds, not a minute.
QUICK = {
    "REINDEXER_HEARTBEAT_TIMEOUT": "3",
    "REINDEXER_HEARTBEAT_INTERVAL": "0.2",
    "REINDEXER_ROUND_SECONDS": "5",
}
DEFAULT_QUEUE: str = Settings.model_fields["task_queue"].default


@dataclass(frozen=True)
class Stack:
    """Servers that run, and workers that are not started yet.

    `direct_environment` reaches both servers, past the proxy. `faults` is None where no proxy was asked for.
    """

    folder: Path
    temporal: TemporalServer
    engine: Engine
    direct_environment: Mapping[str, str]
    workers: Workers
    faults: FaultProxy | None

    @property
    def environment(self) -> dict[str, str]:
        """What the workers see: through the proxy, if there is one."""
        return self.workers.environment

    @property
    def proxy(self) -> FaultProxy:
        """The fault proxy of a stack that has one."""
        assert self.faults is not None, "this stack was made without a fault proxy"
        return self.faults

    @property
    def processes(self) -> int:
        """How many worker processes there are once the workers are up."""
        return int(self.environment["REINDEXER_PROCESSES"])

    @property
    def queue(self) -> str:
        """The task queue of the workers."""
        return self.environment["REINDEXER_TASK_QUEUE"]

    def surroundings(self) -> AbstractContextManager[None]:
        """This process sees the stack, and no setting of its caller, for the block."""
        return surroundings(self.direct_environment)

    def ledger(self) -> Ledger:
        """The ledger, past the proxy."""
        with self.surroundings():
            return Ledger(current_settings().ledger_table)

    async def connect(self) -> Client:
        """A client of the Temporal server."""
        return await self.temporal.connect()

    async def start(self, job: Any, workflow_id: str | None = None, **options: Any) -> WorkflowHandle[Any, Any]:
        """Start a job; `options` are those of `Client.start_workflow`."""
        client = await self.connect()
        name = workflow_id or f"job-{uuid.uuid4().hex[:8]}"
        return await client.start_workflow("ReindexTable", job, id=name, task_queue=self.queue, **options)

    def beside(
        self,
        queue: str | None = None,
        settings: Mapping[str, str] | None = None,
        *,
        without: Collection[str] = (),
        command: Sequence[str] | Start | None = None,
        log: str | None = None,
    ) -> Self:
        """The same servers with other workers, not started yet.

        `settings` are environment variables over those of this stack, less those in `without`; `queue` is the
        workers' own task queue, `command` what Python runs instead of what it runs here, `log` a file in the
        folder.
        """
        environment = {**self.environment, **(settings or {})}
        if queue is not None:
            environment["REINDEXER_TASK_QUEUE"] = queue
        seen = {name: value for name, value in environment.items() if name not in without}
        file = self.folder / (log or f"{queue or 'worker'}.log")
        return replace(self, workers=Workers(seen, file, command or self.workers.command))


@contextmanager
def stack(
    folder: Path,
    *,
    temporal: TemporalServer | None = None,
    engine: Engine | str = "auto",
    faults: FaultPlan | None = None,
    settings: Mapping[str, str] | None = None,
    processes: int = 2,
    keep_settings: bool = False,
    temporal_database: Path | None = None,
    engine_database: Path | None = None,
    dynamic_config: Mapping[str, object] | None = None,
    command: Sequence[str] | Start = WORKER,
) -> Iterator[Stack]:
    """Both servers and the ledger for the block, with a fault proxy where `faults` is its plan.

    `temporal` and `engine` may run already. Logs go to `folder`. `settings` are REINDEXER_ variables of the
    workers; those of the caller are seen with `keep_settings` only. A server may crash and start again with its
    data if it has a database: a file of Temporal's, a folder of the engine's. `dynamic_config` is Temporal's,
    `command` what Python runs as workers.
    Raises `ServerUnavailable`.
    """
    with ExitStack() as running:
        if temporal is None:
            temporal = running.enter_context(
                temporal_server(
                    logs=folder,
                    database=temporal_database,
                    search_attributes=dict.fromkeys(SEARCH_ATTRIBUTES, "Keyword"),
                    dynamic_config=dynamic_config,
                )
            )
        if isinstance(engine, str):
            engine = running.enter_context(dynamodb_engine(engine, logs=folder, database=engine_database))
        proxy = None
        if faults is not None:
            proxy = running.enter_context(fault_proxy(engine.endpoint_url, faults, logs=folder))
        direct, workers = (
            worker_environment(temporal, endpoint, settings or {}, keep_settings=keep_settings)
            for endpoint in (engine.endpoint_url, (proxy or engine).endpoint_url)
        )
        workers["REINDEXER_PROCESSES"] = str(processes)
        workers.setdefault("REINDEXER_TASK_QUEUE", DEFAULT_QUEUE)
        own = Workers(workers, folder / "worker.log", command)
        made = Stack(folder, temporal, engine, direct, own, proxy)
        made.ledger().store.create()
        yield made


def worker_environment(
    temporal: TemporalServer, endpoint: str, settings: Mapping[str, str], *, keep_settings: bool = False
) -> dict[str, str]:
    """What workers need in their environment to reach Temporal and the DynamoDB at `endpoint`.

    The caller's REINDEXER_ variables are left out, except for the place of the cache, unless `keep_settings`.
    """
    environment = caller_free_environment(endpoint, temporal.address)
    if not keep_settings:
        ours = {name for name in environment if name.startswith("REINDEXER_")}
        environment = {name: environment[name] for name in environment.keys() - (ours - {"REINDEXER_CACHE"})}
    return {**environment, **settings}
