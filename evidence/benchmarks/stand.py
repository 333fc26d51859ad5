"""Where everything is measured: one Temporal server, one engine, the ledger, and worker processes on demand."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from evidence.benchmarks.procfs import cpu_seconds
from reindexer.dynamo.client import make_client
from reindexer.ledger import Ledger
from reindexer.settings import settings
from testbed.embedded import (
    Engine,
    TemporalServer,
    caller_free_environment,
    dynamodb_engine,
    temporal_server,
)
from testbed.surroundings import forget_the_caller
from testbed.workers import Workers


@dataclass(frozen=True)
class Stand:
    """The servers that stand. `processes`: worker processes, and processes of the bare loop.

    `region`: as the engine writes it into its ARNs, often a made-up one. Workers are set to be there, as they
    would be on AWS: else each would make a second client when its first round begins.
    """

    folder: Path
    temporal: TemporalServer
    engine: Engine
    processes: int
    region: str


def servers_cpu(stands: Stand) -> dict[str, float]:
    """CPU seconds of both servers so far."""
    return {"engine_cpu": cpu_seconds(stands.engine.pid), "temporal_cpu": cpu_seconds(stands.temporal.pid)}


@contextmanager
def stand(engine: str, folder: Path, processes: int) -> Iterator[Stand]:
    """Both servers for the block. From here on this process sees them, and no setting of its caller."""
    with temporal_server(logs=folder) as temporal, dynamodb_engine(engine, logs=folder) as dynamo:
        environment = caller_free_environment(dynamo.endpoint_url, temporal.address)
        forget_the_caller({name: value for name, value in environment.items() if not _ours(name)})
        settings.cache_clear()
        ledger = settings().ledger_table
        Ledger(ledger).create()
        arn = make_client(lean=False).describe_table(TableName=ledger)["Table"]["TableArn"]
        region = arn.split(":")[3]  # arn:aws:dynamodb:REGION:…
        os.environ.update(_in_region(region))
        yield Stand(folder, temporal, dynamo, processes, region)


@contextmanager
def crew(
    stands: Stand, command: Sequence[str] = ("worker.py",), endpoint: str | None = None
) -> Iterator[Workers]:
    """Fresh worker processes for the block; `endpoint`: where they find DynamoDB, if not at the engine.

    They are in a group that dies with this process, however that ends.
    """
    environment = caller_free_environment(endpoint or stands.engine.endpoint_url, stands.temporal.address)
    environment = {name: value for name, value in environment.items() if not _ours(name)}
    environment |= _in_region(stands.region)
    environment["REINDEXER_PROCESSES"] = str(stands.processes)
    with Workers(environment, stands.folder / f"{Path(command[-1]).stem}.log", command) as workers:
        workers.come_up()
        yield workers
        workers.stop()


def _in_region(region: str) -> dict[str, str]:
    return {"AWS_REGION": region, "AWS_DEFAULT_REGION": region}


def _ours(name: str) -> bool:
    """Settings of the reindexer: it is measured as it comes, whatever the caller has set."""
    return name.startswith("REINDEXER_") and name != "REINDEXER_CACHE"
