"""`reindexer compare` beside dynamodb-replicator's `diff-tables`: whole commands, on the same tables.

Ours: the command is started, plans, workers that run already compare, the command prints the report. Every
read is consistent, and each difference is in the ledger. Theirs: the command is started, scans the primary and
looks up each row in the replica, then the other way round; reads are eventually consistent, and differences
are lines of its output. It runs as it comes, but that connections are kept, and once more as two commands side
by side, a segment each. Both have to find what is planted.
"""

from __future__ import annotations

import json
import os
import sys
import uuid
from collections import Counter
from collections.abc import Callable

from evidence.benchmarks.commands import Took, run_commands
from evidence.benchmarks.measured import Floor, Row, Run, Section, Way, cpu_facts, interleaved, ratio
from evidence.benchmarks.metering import metered
from evidence.benchmarks.pairs import Pair, make_pairs
from evidence.benchmarks.procfs import cpu_seconds, peak_mb
from evidence.benchmarks.stand import crew, servers_cpu
from evidence.replicator.programs import Said, command, environment, of
from testbed.stack import Stack

_FASTER = 1.5  # than the faster way to run theirs: else no one would change over
_SHARE = 2  # each n-th record of the large table: theirs takes half a minute for these
_SEGMENTS = 2  # commands side by side: as many as our workers have processes


def measure(servers: Stack, records: int, repeat: int, announce: Callable[[str], None]) -> Section:
    """Both pairs of tables, each way in turn."""
    equal, altered, ten = make_pairs(servers, max(1000, records // _SHARE))
    found = Section("compare")
    for pair in (equal, altered):
        ours = Row(f"reindexer compare, {pair.name}", note=f"whole command; {servers.processes} processes")
        theirs = Row(f"diff-tables, {pair.name}", note="whole command, connections kept")
        split = Row(f"diff-tables twice, {pair.name}", note=f"{_SEGMENTS} segments side by side")
        rows: list[Way] = [
            (ours, lambda pair=pair: _ours(servers, pair, ten)),  # type: ignore[misc]
            (theirs, lambda pair=pair: _theirs(servers, pair, 1)),  # type: ignore[misc]
            (split, lambda pair=pair: _theirs(servers, pair, _SEGMENTS)),  # type: ignore[misc]
        ]
        interleaved(rows, repeat, announce)
        found.rows += [ours, theirs, split]
        found.floors += [
            Floor(f"compare / diff-tables, {pair.name}", ratio(ours, theirs), _FASTER),
            Floor(f"compare / diff-tables twice, {pair.name}", ratio(ours, split), _FASTER),
        ]
        found.facts += [*cpu_facts(ours, theirs), *_units(servers, pair, ten)]
    return found


def _ours(servers: Stack, pair: Pair, ten: Pair, endpoint: str | None = None) -> Run:
    """By workers that have compared ten rows: they have connected, and imported what they import late."""
    with crew(servers, endpoint=endpoint) as workers:
        _compare(ten)
        before, used = servers_cpu(servers), cpu_seconds(*workers.children())
        seconds, cpu, peak = _compare(pair)
        cpu += cpu_seconds(*workers.children()) - used
        return Run(pair.rows, seconds, cpu, max(peak, peak_mb(*workers.children())), _since(servers, before))


def _compare(pair: Pair) -> Took:
    """What the command took, without the workers. Raises if it does not find what is planted."""
    name = f"benchmark-{uuid.uuid4().hex[:8]}"
    asked = [sys.executable, "starter.py", "compare", pair.table, pair.other, "--workflow-id", name]
    [ended], took = run_commands([[*asked, "--yes", "--wait", "--json"]], os.environ)
    counts = json.loads(ended.output)["comparison"]["counts"] if ended.code in (0, 1) else {}
    kinds = Counter({kind: counts.get(kind, 0) for kind in ("different", "missing", "extraneous")})
    if +kinds != pair.planted or ended.code != bool(pair.planted):
        raise RuntimeError(f"compare should find {pair.planted}: {ended}")
    return took


def _theirs(servers: Stack, pair: Pair, segments: int, endpoint: str | None = None) -> Run:
    """One command, or one for each segment. Raises if it does not find what is planted."""
    tables = [of(endpoint or servers.engine.endpoint_url, name) for name in (pair.table, pair.other)]
    parts = [("--segment", str(number), "--segments", str(segments)) for number in range(segments)]
    commands = [command("diff-tables", *tables, *(part if segments > 1 else ())) for part in parts]
    before = servers_cpu(servers)
    every, (seconds, cpu, peak) = run_commands(commands, environment())
    ended = [Said(*each) for each in every]
    kinds = sum((said.kinds for said in ended), Counter[str]())
    kinds["different"] //= 2  # it names each in both directions
    if +kinds != pair.planted or any(said.code for said in ended):
        raise RuntimeError(f"diff-tables should find {pair.planted}: {kinds}, {ended}")
    return Run(pair.rows, seconds, cpu, peak, _since(servers, before))


def _since(servers: Stack, before: dict[str, float]) -> dict[str, float]:
    return {name: cpu - before[name] for name, cpu in servers_cpu(servers).items()}


def _units(servers: Stack, pair: Pair, ten: Pair) -> list[str]:
    """Read units for each row of the first table, of one more run of each, which is not timed."""
    ways: dict[str, Callable[[str], Run]] = {
        "reindexer compare": lambda endpoint: _ours(servers, pair, ten, endpoint),
        "diff-tables": lambda endpoint: _theirs(servers, pair, 1, endpoint),
    }
    lines = []
    for name, run in ways.items():
        with metered(servers.engine.endpoint_url, (pair.table, pair.other)) as (meter, endpoint):
            run(endpoint)
        calls = ", ".join(f"{count:,} {operation}" for operation, count in sorted(meter.calls.items()))
        each = meter.units.total() / pair.rows
        lines.append(f"read units of {name}, {pair.name}: {each:.3f} a row ({calls})")
    return lines
