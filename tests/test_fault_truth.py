"""The fault proxy as a witness: its truth about every kind of write, its repeatability, its life and end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError

from testbed.faults import FaultPlan, FaultProxy, fault_proxy
from testbed.processes import ServerUnavailable
from tests.faulty import RUN, update
from tests.tables import Table

pytest_plugins = ["tests.proxied"]


def test_the_truth_of_every_kind_of_write(
    proxy: FaultProxy, through: Any, make_table: Callable[..., Table]
) -> None:
    table = make_table(range_type="N")
    name, place = table.name, {"id": {"S": "a"}, "sort": {"N": "1.0"}}
    item = {**place, "reindexRun": {"S": RUN}, "reindexVersion": {"N": "1"}}
    through.put_item(TableName=name, Item=item)
    through.batch_write_item(RequestItems={name: [{"PutRequest": {"Item": item}}]})
    through.transact_write_items(TransactItems=[{"Put": {"TableName": name, "Item": item}}])
    through.execute_transaction(
        TransactStatements=[
            {
                "Statement": f'UPDATE "{name}" SET "reindexRun"=\'{RUN}\' WHERE "sort"=1e0 AND ?="id"',
                "Parameters": [{"S": "a"}],
            }
        ]
    )
    with pytest.raises(ClientError, match="TransactionCanceled"):
        through.transact_write_items(
            TransactItems=[
                {"Update": {**update(table, 0), "Key": {**place, "sort": {"N": "2"}}}},
                {"Put": {"TableName": name, "Item": item}},
            ]
        )
    with pytest.raises(ClientError, match="Validation"):
        through.update_item(TableName=name, Key=place, UpdateExpression="nonsense")
    through.delete_item(TableName=name, Key=place)
    with pytest.raises(ClientError, match="ConditionalCheckFailed"):
        through.delete_item(TableName=name, Key=place, ConditionExpression="attribute_exists(id)")
    truth = proxy.truth()
    row = truth.key(name, {"sort": {"N": "1"}, "id": {"S": "a"}})
    assert (row.forwarded, row.applied, row.refused, row.rejected, row.unknown) == (8, 5, 1, 2, 0)
    assert row.runs == {RUN: 4}
    assert truth.key(name, {**place, "sort": {"N": "2"}}).refused == 1
    assert truth.changed_twice(RUN) == [(name, '{"id":{"S":"a"},"sort":{"N":"1"}}')]
    assert truth.unread == 0


@pytest.mark.parametrize("rate", [0.1, 1 / 3])
def test_mixed_faults_repeat_whatever_the_order(
    rate: float, proxy: FaultProxy, through: Any, make_table: Callable[..., Table]
) -> None:
    table = make_table(rows=300)

    def sweep(version: int, numbers: list[int], seed: int) -> tuple[list[str], dict[str, int]]:
        proxy.reset()
        proxy.set_plan(FaultPlan.mixed(rate, seed))

        def write(number: int) -> str:
            try:
                answer = through.update_item(**update(table, number, version))
            except (ClientError, ConnectionClosedError) as error:
                return type(error).__name__ + str(error)[:40]
            return str(len(answer))

        with ThreadPoolExecutor(8) as pool:
            seen = dict(zip(numbers, pool.map(write, numbers), strict=True))
        return [seen[number] for number in range(300)], proxy.truth().injected

    there, injected = sweep(1, list(range(300)), seed=5)
    assert (there, injected) == sweep(2, list(reversed(range(300))), seed=5)
    assert there != sweep(3, list(range(300)), seed=6)[0]
    assert rate / 2 < sum(injected.values()) / 300 < rate * 1.5  # three standard deviations at 0.1


def test_a_table_made_again_is_another_one(
    proxy: FaultProxy, through: Any, make_table: Callable[..., Table]
) -> None:
    table = make_table(rows=3, range_type="N", stream="NEW_IMAGE")
    before = through.describe_table(TableName=table.name)["Table"]
    proxy.recreate_table(table.name)
    after = through.describe_table(TableName=table.name)["Table"]
    for field in ("KeySchema", "AttributeDefinitions", "StreamSpecification"):
        assert after[field] == before[field]
    identity = [(about.get("TableId"), about["CreationDateTime"]) for about in (before, after)]
    assert identity[0] != identity[1]  # DynamoDB Local has no TableId
    assert list(table.items()) == []
    with pytest.raises(RuntimeError, match="ResourceNotFound"):
        proxy.recreate_table("no-such-table")


@pytest.mark.engines
def test_an_engine_that_is_gone_is_a_closed_connection(table: Table) -> None:
    with fault_proxy("http://127.0.0.1:9", FaultPlan()) as proxy:  # the discard port: no one answers there
        config = Config(retries={"total_max_attempts": 1})
        client = boto3.client("dynamodb", endpoint_url=proxy.endpoint_url, config=config)
        with pytest.raises(ConnectionClosedError):
            client.update_item(**update(table, 0))
        truth = proxy.truth()
        assert (truth.engine_lost, truth.tables) == (1, {})
        port = int(proxy.endpoint_url.rpartition(":")[2])
        with (
            pytest.raises(ServerUnavailable, match="taken"),
            fault_proxy("http://127.0.0.1:9", FaultPlan(), port=port),
        ):
            pass


def test_the_proxy_ends_with_its_parent(engine: Any) -> None:
    code = (
        "import sys, time; from testbed.faults import FaultPlan, fault_proxy\n"
        "with fault_proxy(sys.argv[1], FaultPlan()) as proxy: print(proxy.pid, flush=True); time.sleep(60)"
    )
    checkout = Path(__file__).resolve().parent.parent
    command = [sys.executable, "-c", code, engine.endpoint_url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=checkout) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.send_signal(signal.SIGKILL)
    for _ in range(100):  # 5 s in all; it takes some milliseconds
        state = Path(f"/proc/{pid}/stat")
        if not _alive(pid, state):
            return
        time.sleep(0.05)
    raise AssertionError("the proxy outlived its parent")


def _alive(pid: int, state: Path) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return not (state.exists() and ") Z " in state.read_text())  # dead, but no one has asked yet
