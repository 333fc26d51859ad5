"""The raw limit: scan and batched statements from as many processes as we have, without Temporal.

No retries, no counts, no cursor: what DynamoDB and the way to it allow, and nothing else. A job reads the table
once more when all is written, to verify; so does `run_checked`, for the same work on both sides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from evidence.benchmarks.crowd import crowd
from evidence.benchmarks.measured import Run
from evidence.benchmarks.stand import servers_cpu
from evidence.benchmarks.tables import KEY, next_version
from reindexer.checks.behind import BEHIND
from reindexer.dynamo.client import make_client
from reindexer.dynamo.taxonomy import of_statement
from reindexer.dynamo.wire import Stamp, StatementBuilder, projection, quoted
from reindexer.items import WireKey, Write
from reindexer.sources.scan import PAGE_ROWS
from testbed.stack import Stack

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


def run_bare(running: Stack, how: Bare) -> Run:
    """Every record of the table, once."""
    before = servers_cpu(running)
    run = crowd(prepare, running.processes, how)
    run.details.update({name: cpu - before[name] for name, cpu in servers_cpu(running).items()})
    return run


def run_checked(running: Stack, how: Bare) -> tuple[Run, Run]:
    """The same, and the same with a consistent read of all rows after it. Raises if that finds one behind."""
    loop, before = run_bare(running, how), servers_cpu(running)
    read = crowd(prepare_reading, 1, how)  # one call at a time, as the job does: more at once were no faster
    servers = {name: loop.details[name] + cpu - before[name] for name, cpu in servers_cpu(running).items()}
    peak = max(loop.peak_mb, read.peak_mb)
    return loop, Run(loop.records, loop.seconds + read.seconds, loop.cpu + read.cpu, peak, servers)


def prepare(number: int, count: int, how: Bare) -> Callable[[], int]:
    """A client with open connections, and the work on this process's segments."""
    client = make_client(pool=how.threads, lean=how.lean)
    total = count * how.threads
    mine = range(number * how.threads, (number + 1) * how.threads)
    pool = ThreadPoolExecutor(how.threads)
    list(pool.map(lambda _: client.scan(TableName=how.table, Limit=1), mine))
    return lambda: sum(pool.map(lambda segment: _segment(client, how, segment, total), mine))


def prepare_reading(_number: int, _count: int, how: Bare) -> Callable[[], int]:
    """A client with an open connection, and the read that a verification is: rows behind the target counted."""
    client: Any = make_client(pool=1)
    client.scan(TableName=how.table, Limit=1)
    request = {
        "ConsistentRead": True,
        "Select": "COUNT",
        "FilterExpression": BEHIND,
        "ExpressionAttributeNames": {"#v": _VERSION},
        "ExpressionAttributeValues": {":v": {"N": str(how.version)}, ":n": {"S": "N"}},
    }

    def work() -> int:
        rows = 0
        for page in _pages(client, how.table, request):
            if page["Count"]:
                raise RuntimeError(f"{page['Count']} rows of {how.table} are behind")
            rows += page["ScannedCount"]
        return rows

    return work


def _segment(client: Any, how: Bare, segment: int, total: int) -> int:
    stamp = Stamp(_VERSION, _RUN, how.version, f"bare-{how.version}")
    build = StatementBuilder(how.table, (KEY,), stamp).statement if how.safe else _overwrite(how)
    done = 0
    request = {"Segment": segment, "TotalSegments": total, **projection((KEY, _VERSION, _RUN))}
    for rows in (page["Items"] for page in _pages(client, how.table, request)):
        for start in range(0, len(rows), _STATEMENTS):
            statements = [build({KEY: row[KEY]}, _TOUCH) for row in rows[start : start + _STATEMENTS]]
            answer = client.batch_execute_statement(Statements=statements, ReturnConsumedCapacity="TOTAL")
            if how.safe:
                failures = [of_statement(r["Error"]) for r in answer["Responses"] if r.get("Error")]
                if failures:
                    raise RuntimeError(f"a statement was refused: {failures[0]}")
            done += len(statements)
    return done


def _pages(client: Any, table: str, request: dict[str, Any]) -> Iterator[dict[str, Any]]:
    start: dict[str, Any] = {}
    while True:
        page = client.scan(TableName=table, Limit=PAGE_ROWS, ReturnConsumedCapacity="TOTAL", **request, **start)
        yield page
        if not page.get("LastEvaluatedKey"):
            return
        start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}


def _overwrite(how: Bare) -> Callable[[WireKey, Write], dict[str, Any]]:
    """The statement of someone who takes no precautions."""
    text = f"UPDATE {quoted(how.table)} SET {quoted(_VERSION)}=? WHERE {quoted(KEY)}=?"
    version = {"N": str(how.version)}
    return lambda key, _: {"Statement": text, "Parameters": [version, key[KEY]]}
