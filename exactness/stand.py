"""What the matrix runs on: one Temporal server, one engine behind the fault proxy, worker processes to kill."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from deploy.embedded import Engine, TemporalServer, caller_free_environment, dynamodb_engine, temporal_server
from deploy.faults import FaultPlan, FaultProxy, fault_proxy
from deploy.processes import Keeper
from reindexer.ledger import Ledger

_ROOT = Path(__file__).resolve().parent.parent
QUEUE = "exactness"
LEDGER = "exactness-ledger"
#: A dead worker is noticed in 3 s and rounds end after 5 s: a cell with a crash takes seconds, not a minute.
HEARTBEAT_SECONDS = 3
_SETTINGS = {
    "REINDEXER_TASK_QUEUE": QUEUE,
    "REINDEXER_LEDGER_TABLE": LEDGER,
    "REINDEXER_JOBS": str(_ROOT / "exactness" / "jobs"),
    "REINDEXER_PROCESSES": "2",  # one to kill, one to take over
    "REINDEXER_HEARTBEAT_TIMEOUT": str(HEARTBEAT_SECONDS),
    "REINDEXER_HEARTBEAT_INTERVAL": "0.2",
    "REINDEXER_ROUND_SECONDS": "5",
    "REINDEXER_LOG_LEVEL": "WARNING",
}
_START_SECONDS = 60.0  # imports take 1 to 2, on a busy machine 10


class Workers:
    """One `worker.py` and its processes, in a group that dies with us, whatever happens."""

    def __init__(self, environment: dict[str, str], log: Path) -> None:
        self._environment, self._log = environment, log
        self._keeper = Keeper()
        self._parent: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Return once its processes are there."""
        command = [sys.executable, "worker.py"]
        self._parent = self._keeper.spawn(command, log=self._log, environment=self._environment, folder=_ROOT)
        deadline = time.monotonic() + _START_SECONDS
        while len(self.pids()) < int(_SETTINGS["REINDEXER_PROCESSES"]):
            if self._parent.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the workers did not start: see {self._log}")
            time.sleep(0.05)  # seconds; short against the start of a Python process

    def pids(self) -> list[int]:
        """The processes that work; the parent that watches over them is none."""
        assert self._parent is not None
        listed = subprocess.run(
            ["ps", "-wwAo", "pid=,ppid=,command="], capture_output=True, text=True, check=True
        )
        rows = [line.split(None, 2) for line in listed.stdout.splitlines()]
        own = str(self._parent.pid)
        return [int(row[0]) for row in rows if len(row) == 3 and row[1] == own and "spawn_main" in row[2]]

    def kill_one(self) -> None:
        """kill -9 one process; its parent starts another."""
        os.kill(self.pids()[0], signal.SIGKILL)

    def kill_all(self) -> None:
        """kill -9 the parent and all its processes at once."""
        assert self._parent is not None
        for pid in [self._parent.pid, *self.pids()]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._parent.wait()

    def close(self) -> None:
        """End all of them, at once."""
        self._keeper.release()


@dataclass
class Stand:
    """Everything a cell needs. `direct`: the engine past the proxy, for filling tables and looking at them."""

    temporal: TemporalServer
    engine: Engine
    proxy: FaultProxy
    workers: Workers
    direct: Any  # boto3's client: wire dictionaries in and out
    tables: list[str] = field(default_factory=list)

    async def connect(self) -> Client:
        """A client of this Temporal server."""
        return await Client.connect(self.temporal.address, data_converter=pydantic_data_converter)

    def quiet(self) -> None:
        """No faults, and the truth begins anew."""
        self.proxy.set_plan(FaultPlan())
        self.proxy.reset()


@contextmanager
def stand(folder: Path) -> Iterator[Stand]:
    """Servers, proxy and workers for the block. From here on this process sees no setting of its caller."""
    with (
        temporal_server(logs=folder) as temporal,
        dynamodb_engine("auto", logs=folder) as engine,
        fault_proxy(engine.endpoint_url, FaultPlan(), logs=folder) as proxy,
    ):
        _forget_the_caller(caller_free_environment(engine.endpoint_url, temporal.address))
        direct = client(engine.endpoint_url)
        Ledger(LEDGER).create()
        arn = direct.describe_table(TableName=LEDGER)["Table"]["TableArn"]
        region = arn.split(":")[3]  # arn:aws:dynamodb:REGION:…; an engine's own word, and workers must be there
        environment = caller_free_environment(proxy.endpoint_url, temporal.address) | _SETTINGS
        environment |= {"AWS_REGION": region, "AWS_DEFAULT_REGION": region}
        workers = Workers(environment, folder / "worker.log")
        try:
            workers.start()
            yield Stand(temporal, engine, proxy, workers, direct)
        finally:
            workers.close()


def client(endpoint: str, **config: Any) -> Any:
    """boto3's client as it comes, retries and all, but for `config`."""
    return boto3.client("dynamodb", endpoint_url=endpoint, config=Config(max_pool_connections=64, **config))


def _forget_the_caller(environment: dict[str, str]) -> None:
    for name in list(os.environ):
        if name.startswith(("AWS_", "TEMPORAL_", "REINDEXER_")) and name != "REINDEXER_CACHE":
            del os.environ[name]
    os.environ.update(environment)
