"""Two million differences between two tables: all found and kept, in memory that does not grow with them.

A key that differs costs most: it is looked up in the other table, read three times more, described, and written
to the ledger.
"""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evidence.benchmarks.commands import Took, run_commands
from evidence.benchmarks.crowd import crowd
from evidence.benchmarks.procfs import peak_mb
from evidence.benchmarks.stand import crew, stand
from evidence.exactness.tables import put
from evidence.scale.parts import Part, table_head, table_row
from reindexer.dynamo.client import make_client
from testbed.embedded import available_engines, cure_parallel_scans
from testbed.stack import Stack

_PROCESSES = 2  # of workers: one for each core of a small machine
_TABLE, _OTHER, _JOB = "differing", "differing-other", "compare-differing"
#: Half of the keys that differ are in both tables, a quarter in the first alone, a quarter in the other alone.
_KINDS = ("different", "missing", "different", "extraneous")
#: MB of any process of ours. A process that has compared ten rows has 170; two million differences would be
#: 4,000 as Python objects.
_MAX_MB = 400


@dataclass(frozen=True)
class Differing:
    """`listed`: differences by kind, as `reindexer differences --output` wrote them. `memory`: peak MB."""

    planted: Counter[str]
    report: dict[str, Any]
    listed: Counter[str]
    compared: Took
    written: Took
    memory: dict[str, float]


def compare_differing(folder: Path, differences: int = 2_000_000) -> Differing:
    """Compare two tables of which no row is like the other's, and list all that differs, by two commands."""
    with stand(available_engines()[0], folder, _PROCESSES) as servers:
        planted = _fill(servers, differences)
        with crew(servers) as workers:
            asked = ("compare", _TABLE, _OTHER, "--workflow-id", _JOB, "--yes", "--wait", "--json")
            [ended], compared = run_commands([_ours(*asked)], os.environ)
            memory = {f"worker {number + 1}": peak_mb(pid) for number, pid in enumerate(workers.children())}
        if ended.code != 1:  # they differ
            raise RuntimeError(f"compare ended with {ended}")
        file = folder / "differences.jsonl"
        [listing], written = run_commands([_ours("differences", _JOB, "--output", str(file))], os.environ)
        if listing.code:
            raise RuntimeError(f"differences ended with {listing}")
        memory |= {"reindexer compare": compared.peak_mb, "reindexer differences": written.peak_mb}
    return Differing(planted, json.loads(ended.output), _listed(file), compared, written, memory)


def of_differing(found: Differing) -> Part:
    """One row, and a line for memory."""
    part = Part(
        table_head("different | missing | extraneous | listed | seconds | differences/s | listing, seconds")
    )
    counts = found.report["comparison"]["counts"]
    part.text += table_row(
        *(f"{counts[kind]:,}" for kind in ("different", "missing", "extraneous")),
        f"{found.listed.total():,}",
        f"{found.compared.seconds:.0f}",
        f"{found.planted.total() / found.compared.seconds:,.0f}",
        f"{found.written.seconds:.0f}",
    )
    memory = ", ".join(f"{name} {mb:,.0f} MB" for name, mb in found.memory.items())
    part.text += f"\nPeak memory: {memory}; at most {_MAX_MB} MB are allowed.\n"
    if {kind: counts[kind] for kind in found.planted} != found.planted or counts["equal"] or counts["moving"]:
        part.wrong.append(f"differences: {found.planted} were planted, {counts} counted")
    if found.listed != found.planted:
        part.wrong.append(f"differences: {found.planted} were planted, {found.listed} listed")
    part.wrong += [f"{name} took {mb:,.0f} MB" for name, mb in found.memory.items() if mb > _MAX_MB]
    return part


def _ours(*arguments: str) -> list[str]:
    return [sys.executable, "starter.py", *arguments]


def _fill(servers: Stack, differences: int) -> Counter[str]:
    client: Any = make_client(lean=False)
    for name in (_TABLE, _OTHER):
        client.create_table(
            TableName=name,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        )
        client.get_waiter("table_exists").wait(TableName=name)
        crowd(prepare, servers.processes, name, differences)
        cure_parallel_scans(servers.engine, name)
    return Counter(_KINDS[number % len(_KINDS)] for number in range(differences))


def prepare(number: int, count: int, table: str, differences: int) -> Callable[[], int]:
    """Every `count`-th row of a table, ready to be written."""
    client: Any = make_client(lean=False)
    absent = "extraneous" if table == _TABLE else "missing"

    def work() -> int:
        mine = range(number, differences, count)
        rows = ({"id": {"S": f"row-{n:07}"}, "in": {"S": table}} for n in mine if _KINDS[n % 4] != absent)
        put(client, table, rows)
        return len(mine)

    return work


def _listed(file: Path) -> Counter[str]:
    """By kind; a key that is named twice would be one too many, and another one would lack."""
    kinds: Counter[str] = Counter()
    keys: set[str] = set()
    with file.open() as lines:
        for line in lines:
            found = json.loads(line)
            key = found["key"]["id"]["S"]
            if key not in keys:
                keys.add(key)
                kinds[found["kind"]] += 1
    return kinds
