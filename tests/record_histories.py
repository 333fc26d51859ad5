"""Record histories for `test_replay.py` from real runs: `python -m tests.record_histories [JOB …]`.

With names of jobs, such as `compared`, these alone: the histories of the others stay as they are.
Run it on a commit whose workflow code is released, never to make a failing replay pass: a replay that fails
says that running jobs would break on an upgrade.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import tests.conftest as setting  # takes the caller's settings away before anything can read them
from reindexer.dynamo.client import make_client
from testbed.faults import Fault, FaultKind, FaultPlan
from testbed.job import outcome, until
from testbed.stack import Stack
from tests.planted import FAST as FAST_READS
from tests.planted import SLOW as SLOW_READS
from tests.planted import Planted, has_compared
from tests.record_search import compared_index, confirmed, followed, indexed, refreshed, rescanned, verified
from tests.recording import HISTORIES, keep, kill, table
from tests.stack import quick_stack
from tests.tables import create_table

SLOW = FaultPlan(faults=(Fault(kind=FaultKind.SLOW, seconds=0.05, operations="writes"),))
#: Rounds of a second and short runs, so that shards continue as new.
SHORT = {"REINDEXER_ROUND_SECONDS": "1", "REINDEXER_CONTINUE_AFTER_EVENTS": "12"}
#: A root's run is bounded after eight looks: here after 1.6 s.
CYCLING = {"REINDEXER_CYCLE_EVENTS": "60", "REINDEXER_LOOK_SECONDS": "0.2", "REINDEXER_ROUND_SECONDS": "1"}

Job = Callable[[Stack, Any], Awaitable[None]]


async def plain(stack: Stack, client: Any) -> None:
    handle = await stack.start({"table": table(client, 300).name, "total_segments": 2})
    await outcome(handle)
    await keep("plain", stack, handle, "shard-000", "verify-002")


async def paused_and_killed(stack: Stack, client: Any) -> None:
    stack.proxy.set_plan(SLOW)
    handle = await stack.start({"table": table(client, 4000).name, "total_segments": 2})
    await asyncio.sleep(2)
    await handle.signal("pause", {"reason": "recording"})
    await until(handle, lambda p: p["state"] == "paused")
    await handle.execute_update("set_limits", {"records_per_second": 5000})
    await handle.signal("resume")
    await asyncio.sleep(1)
    kill(stack)
    stack.proxy.set_plan(FaultPlan())
    await outcome(handle)
    await keep("paused-and-killed", stack, handle)


async def cancelled(stack: Stack, client: Any) -> None:
    # Records that wait for a retry hold the cursor back: when it is cancelled, others are ahead of it.
    waiting = Fault(kind=FaultKind.STATEMENT_THROTTLE, probability=0.4)
    stack.proxy.set_plan(FaultPlan(faults=(*SLOW.faults, waiting)))
    handle = await stack.start({"table": table(client, 2000).name, "total_segments": 2})
    await asyncio.sleep(2)
    await handle.cancel()
    await outcome(handle)
    await keep("cancelled", stack, handle, "shard-000", "shard-001")


async def parked_and_quarantined(stack: Stack, client: Any) -> None:
    bad = {"id": {"S": "row-000007"}}
    fault = Fault(kind=FaultKind.STATEMENT_ERROR, code="ValidationError", keys=(bad,))
    stack.proxy.set_plan(FaultPlan(faults=(fault,)))
    handle = await stack.start({"table": table(client, 200).name, "limits": {"quarantined": 0}})
    await until(handle, lambda p: p["state"] == "parked")
    await handle.execute_update("set_limits", {"quarantined": 5})
    await handle.signal("resume")
    await outcome(handle)
    run = (await handle.query("progress"))["run"]
    [entry] = stack.ledger().failures.open(handle.id, run)
    assert entry.key == bad
    shards = [f"shard-{number:03}" for number in range(4)]
    await keep("parked-and-quarantined", stack, handle, *shards)


async def keys(stack: Stack, client: Any) -> None:
    scope = {"kind": "keys", "keys": [{"id": "row-000001"}, {"id": "nobody"}]}
    handle = await stack.start({"table": table(client, 10).name, "scope": scope})
    await outcome(handle)
    await keep("keys", stack, handle)


async def swept(stack: Stack, client: Any) -> None:
    """A row that is written behind the cursor of a paused shard is found by the verification."""
    made = table(client, 600)
    stack.proxy.set_plan(SLOW)
    handle = await stack.start({"table": made.name, "total_segments": 1})
    await until(handle, lambda p: p["tally"]["scanned"] >= 100)
    await handle.signal("pause")
    await until(handle, lambda p: p["state"] == "paused")
    first = next(item for item in made.items() if item.get("reindexVersion"))
    made.put({"id": first["id"]})  # as another writer would: whole, without the stamp
    stack.proxy.set_plan(FaultPlan())
    await handle.signal("resume")
    _, report = await outcome(handle)
    assert any("swept once" in warning for warning in report["warnings"]), report
    await keep("swept", stack, handle, "verify-001", "shard-002", "verify-003")


async def partitions(stack: Stack, client: Any) -> None:
    """Enough of them for a shard's totals to go through the ledger."""
    made = create_table(client, range_type="S")
    names = [f"tenant-{number:03}" for number in range(150)]
    rows: list[Any] = [{"id": {"S": name}, "sort": {"S": str(row)}} for name in names for row in range(3)]
    made.put(*rows)
    scope = {"kind": "partitions", "values": names}
    handle = await stack.start({"table": made.name, "scope": scope, "total_segments": 2})
    kind, report = await outcome(handle)
    assert (kind, len(report["partitions"])) == ("complete", 150)
    await keep("partitions", stack, handle, "shard-000", "verify-002")


async def long_keys(stack: Stack, client: Any) -> None:
    """A shard's state does not fit its next run's input: it goes through the ledger."""
    made = create_table(client)
    made.put(*({"id": {"S": f"{number:04}" + "k" * 2000}} for number in range(600)))
    slower = Fault(kind=FaultKind.SLOW, seconds=0.4, operations="writes")
    stack.proxy.set_plan(FaultPlan(faults=(slower,)))
    handle = await stack.start({"table": made.name, "total_segments": 1})
    await outcome(handle)
    await keep("long-keys", stack, handle)


async def cycled(stack: Stack, client: Any) -> None:
    """Its root hands over twice, once while it is paused; then a verification."""
    stack.proxy.set_plan(SLOW)
    handle = await stack.start({"table": table(client, 6000).name, "total_segments": 3})
    await until(handle, lambda p: p["cycle"] >= 1, seconds=60)
    await handle.signal("pause", {"reason": "recording"})
    await until(handle, lambda p: p["state"] == "paused")
    await handle.signal("resume")
    await until(handle, lambda p: p["cycle"] >= 2, seconds=60)
    stack.proxy.set_plan(FaultPlan())
    await outcome(handle)
    await keep("cycled", stack, handle)


async def compared(stack: Stack, client: Any) -> None:
    """A comparison of tables that differ, over several runs of a shard; paused once."""
    planted = planted_in(client)
    handle = await stack.start(planted.job(limits=SLOW_READS))
    await pause_once_compared(handle)
    _, report = await outcome(handle)
    planted.assert_found(report, stack.ledger())
    await keep("compared", stack, handle, "compare-000")


async def repaired(stack: Stack, client: Any) -> None:
    """The same, repaired: paused while it compares, all workers killed while it writes."""
    planted = planted_in(client)
    job = planted.job(limits={**SLOW_READS, "write_units_per_second": 20}, allow_no_recovery=True)
    job["operation"]["kind"] = "repair"
    handle = await stack.start(job)
    await pause_once_compared(handle)
    await until(handle, lambda p: p["phase"] == "repairing" and p["tally"]["scanned"] > 0)
    kill(stack)
    _, report = await outcome(handle)
    assert report["tally"]["scanned"] == len(planted.kinds), report
    await keep("repaired", stack, handle, "compare-000", "shard-003")


def planted_in(client: Any) -> Planted:
    return Planted(partial(create_table, client))


async def pause_once_compared(handle: Any) -> None:
    await until(handle, partial(has_compared, 1))
    await handle.signal("pause", {"reason": "recording"})
    await until(handle, lambda p: p["state"] == "paused")
    await handle.execute_update("set_limits", FAST_READS)
    await handle.signal("resume")


#: In the order in which they are recorded; those of the last line by workers whose roots run short.
JOBS: dict[str, tuple[Mapping[str, str], Sequence[Job]]] = {
    "recording": (
        SHORT,
        (
            plain,
            paused_and_killed,
            cancelled,
            parked_and_quarantined,
            keys,
            swept,
            partitions,
            long_keys,
            compared,
            repaired,
            indexed,
            verified,
            compared_index,
            refreshed,
            confirmed,
        ),
    ),
    "recording-cycles": (CYCLING, (cycled, followed, rescanned)),
}


async def main(wanted: Collection[str]) -> None:
    """Record these jobs; their earlier histories go, those of the others stay."""
    HISTORIES.mkdir(exist_ok=True)
    assert setting.FAKE_AWS["AWS_ACCESS_KEY_ID"] == "fake"
    logs = Path(tempfile.mkdtemp(prefix="histories-"))
    with quick_stack(logs, "recording") as servers, servers.surroundings():
        for queue, (settings, jobs) in JOBS.items():
            asked = [job for job in jobs if job.__name__ in wanted]
            if not asked:
                continue
            made = servers.beside(queue, settings)
            with made.workers:
                for job in asked:
                    remove(job.__name__.replace("_", "-"))
                    await job(made, make_client())
                    made.proxy.set_plan(FaultPlan())


def remove(name: str) -> None:
    """The histories of one job: of its root, and of its shards."""
    for old in HISTORIES.glob("*.json"):
        if old.stem == name or old.stem.startswith(f"{name}-"):
            old.unlink()


def names() -> list[str]:
    """Of the jobs that the command line asks for; all where it names none."""
    every = [job.__name__ for _, jobs in JOBS.values() for job in jobs]
    parser = argparse.ArgumentParser(prog="python -m tests.record_histories", description=__doc__)
    parser.add_argument("jobs", nargs="*", metavar="JOB", help=", ".join(every))
    asked: list[str] = parser.parse_args().jobs
    if unknown := set(asked).difference(every):
        parser.error(f"no such job: {', '.join(sorted(unknown))}")
    return asked or every


if __name__ == "__main__":
    asyncio.run(main(names()))
