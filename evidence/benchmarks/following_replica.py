"""A follow into a second table beside dynamodb-replicator's Lambda function; and how late a change is there.

Ours: `FollowTable` by workers that run already, drained before, paused while changes are written, resumed.
Theirs: the function `replicate` as it is published, called with each page of the same stream as Lambda would at
its best: 1,000 records at once, and no time between two calls. It writes 25 items a call without a condition,
40 calls at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from evidence.benchmarks.at_the_tip import measure_tip
from evidence.benchmarks.catching_up import CHANGES, ROWS_SHARE, catch_up, cpu_of_servers, drained, since
from evidence.benchmarks.commands import run_commands
from evidence.benchmarks.crowd import crowd
from evidence.benchmarks.destinations import ReplicaTable
from evidence.benchmarks.followed import Followed, make_streamed, prepare_changes
from evidence.benchmarks.measured import Row, Run, Section, Way, compared
from evidence.benchmarks.stand import crew
from evidence.replicator.programs import command, environment
from testbed.stack import Stack

_FLOOR = ("replicate --follow / Lambda function", 1.5)  # else no one would change over
_TABLE = "benchmark-replicated-followed"


def measure(servers: Stack, records: int, repeat: int, announce: Callable[[str], None]) -> Section:
    """All of it, on a table of its own."""
    changes = min(CHANGES, records)
    stream = make_streamed(_TABLE)
    crowd(prepare_changes, 1, _TABLE, changes // ROWS_SHARE, changes // ROWS_SHARE, 0)
    followed = Followed(servers, ReplicaTable(), _TABLE, stream)
    with crew(servers) as workers:
        asyncio.run(drained(followed))
        announce(f"{_TABLE} is followed, and its replica drained")
        ours = Row("reindexer replicate --follow", note=f"catching up; {servers.processes} processes")
        theirs = Row("Lambda function", note="dynamodb-replicator's, called in a loop")
        ways: tuple[Way, Way] = (
            (ours, lambda: catch_up(followed, workers, changes)),
            (theirs, lambda: _theirs(followed, changes)),
        )
        found = compared("replicate-follow", *ways, _FLOOR, repeat, announce)
        asyncio.run(measure_tip(followed, found))
        announce(found.facts[-1])
        asyncio.run(followed.end())
    return found


def _theirs(followed: Followed, changes: int) -> Run:
    """The first changes of the stream, into a table of its own."""
    replica, before = ReplicaTable(), cpu_of_servers(followed)
    asked = command("follow", followed.servers.engine.endpoint_url, followed.stream, replica.name, str(changes))
    [ended], took = run_commands([asked], environment())
    if ended.code:
        raise RuntimeError(f"the function failed: {ended.error}")
    details = since(followed, before)
    replica.remove()
    return Run(changes, float(ended.output.splitlines()[-1]), took.cpu, took.peak_mb, details)
