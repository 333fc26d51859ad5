"""The raw limit: scan and batched statements from as many processes as we have, without Temporal.

No retries, no counts, no cursor: what DynamoDB and the way to it allow, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from benchmarks.crowd import crowd
from benchmarks.measured import Run
from benchmarks.stand import Stand, servers_cpu
from benchmarks.tables import KEY, next_version
from reindexer.dynamo.client import make_client
from reindexer.dynamo.taxonomy import of_statement
from reindexer.dynamo.wire import Stamp, StatementBuilder, projection, quoted
from reindexer.items import WireItem, WireKey, Write

_STATEMENTS = 25  # DynamoDB's most for BatchExecuteStatement, and what the reindexer sends
_VERSION, _RUN = "reindexVersion", "reindexRun"  # the reindexer's own defaults
_TOUCH = Write()


@dataclass(frozen=True)
class Bare:
    """How the bare loop goes. `safe`: stamped and conditional as the reindexer's; else a plain overwrite."""

    table: str
    lean: bool = True
    safe: bool = True
    threads: int = 2  # a process: one sends while the other builds; more were no faster on two cores
    version: int = field(default_factory=next_version)


def run_bare(stands: Stand, how: Bare) -> Run:
    """Every record of the table, once."""
    before = servers_cpu(stands)
    run = crowd(prepare, stands.processes, how)
    run.details.update({name: cpu - before[name] for name, cpu in servers_cpu(stands).items()})
    return run


def prepare(number: int, count: int, how: Bare) -> Callable[[], int]:
    """A client with open connections, and the work on this process's segments."""
    client = make_client(pool=how.threads, lean=how.lean)
    total = count * how.threads
    mine = range(number * how.threads, (number + 1) * how.threads)
    pool = ThreadPoolExecutor(how.threads)
    list(pool.map(lambda _: client.scan(TableName=how.table, Limit=1), mine))
    return lambda: sum(pool.map(lambda segment: _segment(client, how, segment, total), mine))


def _segment(client: Any, how: Bare, segment: int, total: int) -> int:
    stamp = Stamp(_VERSION, _RUN, how.version, f"bare-{how.version}")
    build = StatementBuilder(how.table, (KEY,), stamp).statement if how.safe else _overwrite(how)
    done = 0
    for rows in _pages(client, how.table, segment, total):
        for start in range(0, len(rows), _STATEMENTS):
            statements = [build({KEY: row[KEY]}, _TOUCH) for row in rows[start : start + _STATEMENTS]]
            answer = client.batch_execute_statement(Statements=statements, ReturnConsumedCapacity="TOTAL")
            if how.safe:
                failures = [of_statement(r["Error"]) for r in answer["Responses"] if r.get("Error")]
                if failures:
                    raise RuntimeError(f"a statement was refused: {failures[0]}")
            done += len(statements)
    return done


def _pages(client: Any, table: str, segment: int, total: int) -> Iterator[list[WireItem]]:
    request = {
        "TableName": table,
        "Segment": segment,
        "TotalSegments": total,
        "ReturnConsumedCapacity": "TOTAL",
    }
    request |= projection((KEY, _VERSION, _RUN))
    while True:
        page = client.scan(**request)
        yield page["Items"]
        if not page.get("LastEvaluatedKey"):
            return
        request["ExclusiveStartKey"] = page["LastEvaluatedKey"]


def _overwrite(how: Bare) -> Callable[[WireKey, Write], dict[str, Any]]:
    """The statement of somebody who takes no precautions."""
    text = f"UPDATE {quoted(how.table)} SET {quoted(_VERSION)}=? WHERE {quoted(KEY)}=?"
    version = {"N": str(how.version)}
    return lambda key, _: {"Statement": text, "Parameters": [version, key[KEY]]}
