"""`reindexer index` beside a script with opensearch-py's `parallel_bulk`: whole commands, one OpenSearch.

Ours: the command is started, plans, workers that run already write each document once, whatever fails, count
the index and move the readers' alias; the command prints the report. Theirs: `evidence/benchmarks/bulk.py`,
which ends with the first document that is refused. Both read consistently, and fill a new index of one mapping.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
import urllib.request
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from evidence.benchmarks.commands import Took, run_commands
from evidence.benchmarks.histories import account
from evidence.benchmarks.job import SETTLE_SECONDS
from evidence.benchmarks.measured import Row, Run, Section, Way, compared
from evidence.benchmarks.procfs import cpu_seconds, peak_mb
from evidence.benchmarks.stand import crew, servers_cpu
from evidence.benchmarks.tables import KEY, make_table
from testbed.embedded import cure_parallel_scans
from testbed.search import SearchServer
from testbed.stack import Stack

_FLOOR = ("index / parallel_bulk", 0.85)  # durability and exact counts may cost 15 %, as for a touch
_TABLE, _TEN = "benchmark-indexed", "benchmark-indexed-ten"
_SHARE = 2  # each n-th record of the large table: some ten seconds of either
_PATIENCE = 60.0  # seconds for the removal of an index
_TEXT = {"type": "text", "fields": {"keyword": {"type": "keyword", "ignore_above": 256}}}
_NUMBER = {"type": "double"}
#: As a mapping is made from the cities: the same for both.
_MAPPING: dict[str, Any] = {
    "date_detection": False,
    "properties": {
        **dict.fromkeys((KEY, "name", "countrycode", "timezone", "admin1code", "alternatenames"), _TEXT),
        **dict.fromkeys(("geonameid", "latitude", "longitude", "population"), _NUMBER),
    },
}


def measure(servers: Stack, records: int, repeat: int, announce: Callable[[str], None]) -> Section:
    """Both ways in turn, each into an index of its own, which is removed after it.

    Each has run once before: OpenSearch's compiler has seen the work of both.
    """
    records = max(1000, records // _SHARE)
    for name, size in ((_TABLE, records), (_TEN, 10)):
        make_table(name, size, servers.processes)
        cure_parallel_scans(servers.engine, name)
    mapping = servers.folder / "mapping.json"
    mapping.write_text(json.dumps(_MAPPING))
    with SearchServer(logs=servers.folder, quick=False) as search:
        ours = Row("reindexer index", note=f"whole command; {servers.processes} processes")
        theirs = Row("boto3, parallel_bulk", note="whole command; 4 threads")
        ways: tuple[Way, Way] = (
            (ours, lambda: _ours(servers, search, mapping, records)),
            (theirs, lambda: _theirs(servers, search, mapping, records)),
        )
        for row, run in ways:
            announce(f"{row.name}, warming up: {run().rate:,.0f} records/s")
        found = compared("index", *ways, _FLOOR, repeat, announce)
    phases = ", ".join(f"{name} {ours.detail(name):.2f}" for name in ("planning", "rounds", "closing"))
    found.facts.append(f"the workflow's seconds of {records / ours.rate:.2f} of the command: {phases}")
    return found


def _ours(servers: Stack, search: SearchServer, mapping: Path, records: int) -> Run:
    """By workers that have indexed ten records: they have connected, and imported what they import late."""
    with crew(servers) as workers:
        _index(search, mapping, _TEN, 10)
        time.sleep(SETTLE_SECONDS)
        before, used = _cpu(servers, search), cpu_seconds(*workers.children())
        job, (seconds, cpu, peak) = _index(search, mapping, _TABLE, records)
        cpu += cpu_seconds(*workers.children()) - used
        details = _since(servers, search, before)
        details |= asyncio.run(_phases(servers, job))
        peak = max(peak, peak_mb(*workers.children()))
    return Run(records, seconds, cpu, peak, details)


async def _phases(servers: Stack, job: str) -> dict[str, float]:
    return (await account(await servers.connect(), job)).phases()


def _index(search: SearchServer, mapping: Path, table: str, records: int) -> tuple[str, Took]:
    """The job, and what the command took, without the workers. Raises where the index lacks a record."""
    name = f"benchmark-{uuid.uuid4().hex[:8]}"
    asked = [sys.executable, "starter.py", "index", table, "--to", search.url, "--alias", name]
    asked += ["--mapping", str(mapping), "--workflow-id", name, "--yes", "--wait", "--json"]
    [ended], took = run_commands([asked], os.environ)
    found = json.loads(ended.output)["index"] if ended.code == 0 else {}
    if found.get("documents") != records or not found["moved"]:
        raise RuntimeError(f"index should write {records} documents: {ended}")
    _remove(search, found["index"])
    return name, took


def _theirs(servers: Stack, search: SearchServer, mapping: Path, records: int) -> Run:
    """One command. Raises where the index lacks a record."""
    index = f"script-{uuid.uuid4().hex[:8]}"
    before = _cpu(servers, search)
    module = [sys.executable, "-m", "evidence.benchmarks.bulk"]
    [ended], took = run_commands([[*module, _TABLE, search.url, index, str(mapping)]], os.environ)
    details = _since(servers, search, before)
    if ended.code or int(ended.output) != records:
        raise RuntimeError(f"the script should write {records} documents: {ended}")
    _remove(search, index)
    return Run(records, *took, details)


def _cpu(servers: Stack, search: SearchServer) -> dict[str, float]:
    return {**servers_cpu(servers), "search_cpu": cpu_seconds(search.pid)}


def _since(servers: Stack, search: SearchServer, before: dict[str, float]) -> dict[str, float]:
    return {name: cpu - before[name] for name, cpu in _cpu(servers, search).items()}


def _remove(search: SearchServer, index: str) -> None:
    """So that its merges take nothing from the next run."""
    asked = urllib.request.Request(f"{search.url}/{index}", method="DELETE")
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # whatever http_proxy says
    direct.open(asked, timeout=_PATIENCE).close()
