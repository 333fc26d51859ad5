"""What is measured on: one Temporal server, one engine, the ledger, and worker processes on demand."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from evidence.benchmarks.procfs import cpu_seconds
from reindexer.dynamo.client import make_client
from reindexer.settings import settings
from testbed.stack import Stack, stack
from testbed.workers import WORKER, Workers

_REGION = ("AWS_REGION", "AWS_DEFAULT_REGION")


def servers_cpu(servers: Stack) -> dict[str, float]:
    """CPU seconds of both servers so far."""
    return {"engine_cpu": cpu_seconds(servers.engine.pid), "temporal_cpu": cpu_seconds(servers.temporal.pid)}


@contextmanager
def stand(engine: str, folder: Path, processes: int) -> Iterator[Stack]:
    """Both servers for the block, in which this process sees them, and no setting of its caller."""
    with stack(folder, engine=engine, processes=processes) as servers, servers.surroundings():
        ledger = settings().ledger_table
        arn = make_client(lean=False).describe_table(TableName=ledger)["Table"]["TableArn"]
        # The region as the engine writes it into its ARNs, often a made-up one.
        os.environ.update(dict.fromkeys(_REGION, arn.split(":")[3]))  # arn:aws:dynamodb:REGION:…
        yield servers


@contextmanager
def crew(servers: Stack, command: Sequence[str] = WORKER, endpoint: str | None = None) -> Iterator[Workers]:
    """Fresh worker processes for the block; `endpoint`: where they find DynamoDB, if not at the engine.

    They are in the table's region, as on AWS: else each would make a second client when its first round begins.
    """
    variables = {name: os.environ[name] for name in _REGION}
    if endpoint:
        variables["AWS_ENDPOINT_URL_DYNAMODB"] = endpoint
    log = f"{Path(command[-1]).stem}.log"
    with servers.beside(settings=variables, command=command, log=log).workers as workers:
        workers.come_up()
        yield workers
        workers.stop()
