"""In which region a table is asked for: its own on AWS, the worker's where an endpoint is given."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from activities.clients import Clients
from reindexer.dynamo.client import make_client
from reindexer.ledger import Ledger
from testbed.embedded import TemporalServer, available_engines
from testbed.job import outcome
from testbed.obtain import obtain
from testbed.processes import PATIENCE_SECONDS, Process, free_port, listening
from testbed.stack import worker_environment
from testbed.surroundings import surroundings, without_caller
from testbed.workers import Workers
from tests.driving import target
from tests.stack import SETTINGS
from tests.tables import create_table

ARN = "arn:aws:dynamodb:{}:000000000000:table/t"


def clients() -> Clients:
    return Clients(pool=1, ledger=Ledger("ledger"))


def test_on_aws_a_table_is_asked_for_in_its_own_region(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL_DYNAMODB")
    made = clients()
    there = made.raw(target(table_arn=ARN.format("eu-west-1")))
    assert there.meta.region_name == "eu-west-1"
    assert "eu-west-1" in there.meta.endpoint_url
    assert made.raw(target(table_arn=ARN.format("eu-west-1"))) is there
    assert made.raw(target(table_arn=ARN.format("us-east-1"))) is made.own


@pytest.mark.parametrize("region", ["ddblocal", "eu-west-1", ""])
def test_an_endpoint_that_was_given_is_called_in_the_workers_own_region(region: str) -> None:
    made = clients()
    assert made.raw(target(table_arn=ARN.format(region))) is made.own


@pytest.fixture
def divided(tmp_path: Path) -> Iterator[str]:
    """DynamoDB Local as it comes: each pair of access key and region has tables of its own."""
    if "local" not in available_engines():
        pytest.skip("no DynamoDB Local here")
    port = free_port()
    with Process(
        "local",
        [*obtain("local").command, "-port", str(port), "-inMemory", "-disableTelemetry"],
        port=port,
        log=tmp_path / "local.log",
        environment=without_caller(),
        answers=lambda: listening(port),
        patience=PATIENCE_SECONDS,
        grace=0,
    ):
        yield f"http://127.0.0.1:{port}"


@pytest.mark.nightly
async def test_dynamodb_local_needs_no_shared_database(
    temporal: TemporalServer, divided: str, tmp_path: Path
) -> None:
    settings = {
        **SETTINGS,
        "AWS_REGION": "eu-central-1",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_ACCESS_KEY_ID": "somebody",
        "REINDEXER_PROCESSES": "2",
        "REINDEXER_TASK_QUEUE": "reindexer-divided",
    }
    environment = worker_environment(temporal, divided, settings)
    with surroundings(environment):
        Ledger("reindexer-ledger").store.create()
        table = create_table(make_client(lean=False), rows=50)
    assert ":ddblocal:" in table.arn
    client = await temporal.connect()
    with Workers(environment, tmp_path / "worker.log"):
        handle = await client.start_workflow(
            "ReindexTable", {"table": table.name}, id="divided", task_queue="reindexer-divided"
        )
        kind, report = await outcome(handle)
    assert (kind, report["tally"]["updated"]) == ("complete", 50)
    assert all(item["reindexRun"] == {"S": report["run"]} for item in table.items())
