"""Record histories for `test_replay.py` from real runs: `python -m tests.record_histories`.

Run it on a commit whose workflow code is released, never to make a failing replay pass: a replay that fails
says that running jobs would break on an upgrade.
"""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
from pathlib import Path
from typing import Any

import tests.conftest as setting  # takes the caller's settings away before anything can read them
from deploy.embedded import dynamodb_engine, temporal_server
from deploy.faults import Fault, FaultKind, FaultPlan, fault_proxy
from deploy.workers import Workers
from reindexer.dynamo.client import make_client
from reindexer.ledger import Ledger
from tests.stack import CHECKOUT, Stack, outcome, stack_environment, until
from tests.tables import Table, create_table

HISTORIES = Path(__file__).parent / "histories"
SLOW = FaultPlan(faults=(Fault(kind=FaultKind.SLOW, seconds=0.05, operations="writes"),))


def write(name: str, history: Any) -> None:
    """Without the paths of the machine it was recorded on."""
    (HISTORIES / f"{name}.json").write_text(history.to_json().replace(f"{CHECKOUT}/", ""))


async def keep(name: str, stack: Stack, handle: Any) -> None:
    """The root's history, and that of one shard, every run of it."""
    client = await stack.connect()
    write(name, await handle.fetch_history())
    run = (await handle.query("progress"))["run"]
    shard = f'WorkflowId="{handle.id}/{run}/shard-000"'
    runs = [child async for child in client.list_workflows(shard)]
    for number, child in enumerate(sorted(runs, key=lambda child: child.start_time)):
        history = await client.get_workflow_handle(child.id, run_id=child.run_id).fetch_history()
        write(f"{name}-shard-{number}", history)


def table(client: Any, rows: int) -> Table:
    made = create_table(client)
    made.fill(rows)
    return made


async def record(stack: Stack, client: Any) -> None:
    plain = await stack.start({"table": table(client, 300).name, "total_segments": 2})
    await outcome(plain)
    await keep("plain", stack, plain)

    stack.proxy.set_plan(SLOW)
    paused = await stack.start({"table": table(client, 2000).name, "total_segments": 2})
    await asyncio.sleep(2)
    await paused.signal("pause", {"reason": "recording"})
    await until(paused, lambda p: p["state"] == "paused")
    await paused.execute_update("set_limits", {"records_per_second": 5000})
    await paused.signal("resume")
    await asyncio.sleep(1)
    os.kill(stack.workers.children()[0], signal.SIGKILL)
    stack.proxy.set_plan(FaultPlan())
    await outcome(paused)
    await keep("paused-and-killed", stack, paused)

    stack.proxy.set_plan(SLOW)
    cancelled = await stack.start({"table": table(client, 2000).name, "total_segments": 2})
    await asyncio.sleep(2)
    await cancelled.cancel()
    await outcome(cancelled)
    await keep("cancelled", stack, cancelled)

    poisoned = table(client, 200)
    bad = {"id": {"S": "row-000007"}}
    fault = Fault(kind=FaultKind.STATEMENT_ERROR, code="ValidationError", keys=(bad,))
    stack.proxy.set_plan(FaultPlan(faults=(fault,)))
    quarantined = await stack.start({"table": poisoned.name, "limits": {"quarantined": 0}})
    await until(quarantined, lambda p: p["state"] == "parked")
    await quarantined.execute_update("set_limits", {"quarantined": 5})
    await quarantined.signal("resume")
    await outcome(quarantined)
    await keep("parked-and-quarantined", stack, quarantined)
    stack.proxy.set_plan(FaultPlan())

    scope = {"kind": "keys", "keys": [{"id": "row-000001"}, {"id": "nobody"}]}
    keys = await stack.start({"table": poisoned.name, "scope": scope})
    await outcome(keys)
    await keep("keys", stack, keys)


async def main() -> None:
    HISTORIES.mkdir(exist_ok=True)
    for old in HISTORIES.glob("*.json"):
        old.unlink()
    assert setting.FAKE_AWS["AWS_ACCESS_KEY_ID"] == "fake"
    logs = Path(tempfile.mkdtemp(prefix="histories-"))
    with (
        temporal_server(logs=logs) as temporal,
        dynamodb_engine(logs=logs) as engine,
        fault_proxy(engine.endpoint_url, FaultPlan(), logs=logs) as proxy,
    ):
        os.environ["AWS_ENDPOINT_URL_DYNAMODB"] = engine.endpoint_url
        Ledger("reindexer-ledger").create()
        environment = stack_environment(temporal, proxy.endpoint_url, "recording")
        # Rounds of a second and short runs, so that the shards continue as new.
        environment |= {"REINDEXER_ROUND_SECONDS": "1", "REINDEXER_CONTINUE_AFTER_EVENTS": "12"}
        with Workers(environment, logs / "worker.log") as workers:
            await record(Stack(temporal, engine, proxy, workers, "recording"), make_client())


if __name__ == "__main__":
    asyncio.run(main())
