"""`reindexer replicate` beside dynamodb-replicator's `diff-tables --backfill`: whole commands, empty replicas.

Ours: the command is started, plans, workers that run already read consistently, write each record at its order,
and account for it; the command prints the report. Theirs: the command is started, scans the primary and sends
what it finds with BatchWriteItem, without a condition. Nothing is compared afterwards; each replica has to hold
as many items as the table.
"""

from __future__ import annotations

import json
import os
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from evidence.benchmarks.commands import Took, run_commands
from evidence.benchmarks.measured import Row, Run, Section, Way, compared
from evidence.benchmarks.procfs import cpu_seconds, peak_mb
from evidence.benchmarks.stand import crew, servers_cpu
from evidence.benchmarks.tables import make_table
from evidence.replicator.programs import command, environment, of
from reindexer.dynamo.client import make_client
from testbed.embedded import cure_parallel_scans
from testbed.stack import Stack

_FLOOR = ("replicate / diff-tables --backfill", 1.5)  # else no one would change over
_TABLE, _TEN = "benchmark-replicated", "benchmark-replicated-ten"


def measure(servers: Stack, records: int, repeat: int, announce: Callable[[str], None]) -> Section:
    """Both ways in turn, each into an empty table of its own, which is removed after it."""
    for name, size in ((_TABLE, records), (_TEN, 10)):
        make_table(name, size, servers.processes)
        cure_parallel_scans(servers.engine, name)
    ours = Row("reindexer replicate", note=f"whole command; {servers.processes} processes")
    theirs = Row("diff-tables --backfill", note="whole command, connections kept")
    ways: tuple[Way, Way] = (
        (ours, lambda: _ours(servers, records)),
        (theirs, lambda: _theirs(servers, records)),
    )
    return compared("replicate", *ways, _FLOOR, repeat, announce)


def _ours(servers: Stack, records: int) -> Run:
    """By workers that have copied ten records: they have connected, and imported what they import late."""
    with crew(servers) as workers:
        with _empty(servers) as replica:
            _replicate(_TEN, replica, 10)
        before, used = servers_cpu(servers), cpu_seconds(*workers.children())
        with _empty(servers) as replica:
            seconds, cpu, peak = _replicate(_TABLE, replica, records)
        cpu += cpu_seconds(*workers.children()) - used
        peak = max(peak, peak_mb(*workers.children()))
        return Run(records, seconds, cpu, peak, _since(servers, before))


def _replicate(table: str, replica: str, records: int) -> Took:
    """What the command took, without the workers. Raises where the replica lacks a record."""
    name = f"benchmark-{uuid.uuid4().hex[:8]}"
    asked = [sys.executable, "starter.py", "replicate", table, replica, "--no-verify", "--workflow-id", name]
    [ended], took = run_commands([[*asked, "--yes", "--wait", "--json"]], os.environ)
    tally = json.loads(ended.output)["tally"] if ended.code == 0 else {}
    if tally.get("updated") != records or _count(replica) != records:
        raise RuntimeError(f"replicate should write {records} records: {ended}")
    return took


def _theirs(servers: Stack, records: int) -> Run:
    """One command. Raises where the replica lacks a record."""
    with _empty(servers) as replica:
        tables = [of(servers.engine.endpoint_url, name) for name in (_TABLE, replica)]
        before = servers_cpu(servers)
        [ended], took = run_commands([command("diff-tables", *tables, "--repair", "--backfill")], environment())
        found = _count(replica)
    if ended.code or found != records:
        raise RuntimeError(f"diff-tables should write {records} records, and wrote {found}: {ended}")
    return Run(records, *took, _since(servers, before))


@contextmanager
def _empty(servers: Stack) -> Iterator[str]:
    """A table without records, removed at the end."""
    name = f"benchmark-replica-{uuid.uuid4().hex[:8]}"
    make_table(name, 0, servers.processes)
    try:
        yield name
    finally:
        make_client(lean=False).delete_table(TableName=name)


def _count(table: str) -> int:
    client: Any = make_client(lean=False)
    pages = client.get_paginator("scan").paginate(TableName=table, Select="COUNT", ConsistentRead=True)
    return sum(page["Count"] for page in pages)


def _since(servers: Stack, before: dict[str, float]) -> dict[str, float]:
    return {name: cpu - before[name] for name, cpu in servers_cpu(servers).items()}
