"""What the matrix runs on: one Temporal server, one engine behind the fault proxy, worker processes to kill."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from reindexer.ledger import Ledger
from testbed.embedded import Engine, TemporalServer, caller_free_environment, dynamodb_engine, temporal_server
from testbed.faults import FaultPlan, FaultProxy, fault_proxy
from testbed.forwarder import Forwarder
from testbed.surroundings import forget_the_caller
from testbed.token_service import TokenService
from testbed.workers import Workers

QUEUE = "exactness"
LEDGER = "exactness-ledger"
VISITS = "visits.txt"  # where the job `visit` writes down what it was called for
#: A dead worker is noticed in 3 s and rounds end after 5 s: a cell with a crash takes seconds, not a minute.
HEARTBEAT_SECONDS = 3
HEARTBEAT_INTERVAL_SECONDS = 0.2
_SETTINGS = {
    "REINDEXER_TASK_QUEUE": QUEUE,
    "REINDEXER_LEDGER_TABLE": LEDGER,
    "REINDEXER_JOBS": str(Path(__file__).resolve().parent / "jobs"),
    "REINDEXER_PROCESSES": "2",  # one to kill, one to take over
    "REINDEXER_HEARTBEAT_TIMEOUT": str(HEARTBEAT_SECONDS),
    "REINDEXER_HEARTBEAT_INTERVAL": str(HEARTBEAT_INTERVAL_SECONDS),
    "REINDEXER_ROUND_SECONDS": "5",
    "REINDEXER_LOG_LEVEL": "WARNING",
}


@dataclass(frozen=True)
class Stand:
    """Everything a cell needs. `direct`: the engine past the proxy, for filling tables and looking at them."""

    temporal: TemporalServer
    engine: Engine
    proxy: FaultProxy
    workers: Workers
    direct: Any  # boto3's client: wire dictionaries in and out
    folder: Path
    queue: str = QUEUE
    forwarder: Forwarder | None = None  # between Temporal and one of two worker processes, in cells that cut it
    tokens: TokenService | None = None  # whom workers have their credentials from, in cells where it fails

    async def connect(self) -> Client:
        """A client of this Temporal server."""
        return await Client.connect(self.temporal.address, data_converter=pydantic_data_converter)

    def quiet(self) -> None:
        """No faults, and the truth begins again."""
        self.proxy.set_plan(FaultPlan())
        self.proxy.reset()
        self._visits.write_bytes(b"")

    def recover(self) -> None:
        """Workers that are up, after a cell that could not be brought to its end."""
        self.workers.kill()
        self.workers.start()
        self.workers.come_up()

    def visits(self) -> Counter[str]:
        """What the job `visit` has written down, and how often, since it was quiet."""
        return Counter(self._visits.read_text().splitlines())

    @property
    def _visits(self) -> Path:
        return self.folder / VISITS

    def workers_of_its_own(
        self, queue: str, settings: Mapping[str, str], without: Collection[str] = ()
    ) -> Workers:
        """Workers with other settings on a queue of their own, not started yet."""
        environment = {**self.workers.environment, "REINDEXER_TASK_QUEUE": queue, **settings}
        kept = {name: value for name, value in environment.items() if name not in without}
        return Workers(kept, self.folder / f"{queue}.log")


@contextmanager
def stand(folder: Path) -> Iterator[Stand]:
    """Servers, proxy and workers for the block. From here on this process sees no setting of its caller."""
    with (
        # On a file, so that it may crash and start again.
        temporal_server(logs=folder, database=folder / "temporal.db") as temporal,
        dynamodb_engine("auto", logs=folder) as engine,
        fault_proxy(engine.endpoint_url, FaultPlan(), logs=folder) as proxy,
    ):
        forget_the_caller(caller_free_environment(engine.endpoint_url, temporal.address))
        direct = client(engine.endpoint_url)
        Ledger(LEDGER).create()
        arn = direct.describe_table(TableName=LEDGER)["Table"]["TableArn"]
        region = arn.split(":")[3]  # arn:aws:dynamodb:REGION:…; an engine's own word, and workers must be there
        environment = caller_free_environment(proxy.endpoint_url, temporal.address) | _SETTINGS
        environment |= {"AWS_REGION": region, "AWS_DEFAULT_REGION": region}
        environment["EXACTNESS_VISITS"] = str(folder / VISITS)
        with Workers(environment, folder / "worker.log") as workers:
            workers.come_up()
            yield Stand(temporal, engine, proxy, workers, direct, folder)


def client(endpoint: str, **config: Any) -> Any:
    """boto3's client as it comes, retries and all, but for `config`."""
    return boto3.client("dynamodb", endpoint_url=endpoint, config=Config(max_pool_connections=64, **config))
