"""What the matrix runs on: one Temporal server, one engine behind the fault proxy, worker processes to kill."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from testbed.faults import FaultPlan
from testbed.forwarder import Forwarder
from testbed.stack import QUICK, Stack, stack
from testbed.token_service import TokenService

VISITS = "visits.txt"  # where the job `visit` writes down what it was called for
HEARTBEAT_SECONDS = float(QUICK["REINDEXER_HEARTBEAT_TIMEOUT"])
HEARTBEAT_INTERVAL_SECONDS = float(QUICK["REINDEXER_HEARTBEAT_INTERVAL"])
_SETTINGS = {
    **QUICK,
    "REINDEXER_TASK_QUEUE": "exactness",
    "REINDEXER_LEDGER_TABLE": "exactness-ledger",
    "REINDEXER_JOBS": str(Path(__file__).resolve().parent / "jobs"),
    "REINDEXER_LOG_LEVEL": "WARNING",
}
_PROCESSES = 2  # one to kill, one to take over


@dataclass(frozen=True, kw_only=True)
class Stand(Stack):
    """Everything a cell needs. `direct`: the engine past the proxy, for filling tables and looking at them."""

    direct: Any  # boto3's client: wire dictionaries in and out
    forwarder: Forwarder | None = None  # between Temporal and one of two worker processes, in cells that cut it
    tokens: TokenService | None = None  # whom workers have their credentials from, in cells where it fails

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


@contextmanager
def stand(folder: Path) -> Iterator[Stand]:
    """Servers, proxy and workers for the block, in which this process sees no setting of its caller."""
    settings = {**_SETTINGS, "EXACTNESS_VISITS": str(folder / VISITS)}
    with (
        stack(
            folder,
            faults=FaultPlan(),
            settings=settings,
            processes=_PROCESSES,
            temporal_database=folder / "temporal.db",  # so that it may crash and start again
        ) as servers,
        servers.surroundings(),
        servers.workers as workers,
    ):
        workers.come_up()
        yield Stand(**vars(servers), direct=client(servers.engine.endpoint_url))


def client(endpoint: str, **config: Any) -> Any:
    """boto3's client as it comes, retries and all, but for `config`."""
    return boto3.client("dynamodb", endpoint_url=endpoint, config=Config(max_pool_connections=64, **config))
