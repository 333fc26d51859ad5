"""Where the time of a round and of a verification goes: one thread, no Temporal server, sampled.

The real activities run in Temporal's own test environment, heartbeats encoded as they would be. Samples are
taken by two signals, each millisecond of wall time and of CPU time: a profiler that hooks every call would make
small functions look dear.
"""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any, Self, cast

from temporalio.testing import ActivityEnvironment

from activities.clients import Clients
from activities.guard import Guard
from activities.identity import Identities
from activities.lock_held import LockHeld
from activities.round import RoundActivities
from activities.verify import VerifyActivities
from evidence.benchmarks.job import touch, transform
from reindexer.connect import DATA_CONVERTER
from reindexer.items import WireItem
from reindexer.ledger import Ledger
from reindexer.models import JobInput, PlanInput, RoundInput, Segment, Target, VerifyInput
from reindexer.operations.transform import prepared
from reindexer.planning.plan import make_plan
from reindexer.settings import settings

_SAMPLE_SECONDS = 0.001  # a batch call takes 2 ms: each of its parts is met
_WHOLE_TABLE = 3600.0  # seconds of a time slice that never ends

#: Microseconds a record by part: of wall time, of CPU time.
Parts = dict[str, tuple[float, float]]

#: Which function belongs to which part. The first line with a frame anywhere in the stack wins: the answer to a
#: scan is parsed by the same function as the answer to a batch, and counts as scanning.
_PARTS: Sequence[tuple[str, set[tuple[str, str]]]] = (
    ("heartbeat", {("activities/round_context.py", "heartbeat")}),
    ("query, function, encoding", {("reindexer/jobs/bounded.py", "run")}),
    ("decode what is read", {("reindexer/jobs/row.py", "__getitem__")}),
    ("function", {("jobs/size_class.py", "transform")}),
    ("query", {("reindexer/jobs/conditions.py", "<lambda>")}),
    ("guard", {("reindexer/jobs/deciding.py", "_guarded")}),
    ("encode what changed", {("reindexer/jobs/deciding.py", "_update")}),
    ("scan", {("sources/scan.py", "pages")}),
    ("wait for the engine", {("python/socket.py", "readinto")}),
    ("HTTP client", {("botocore/httpsession.py", "send")}),
    ("sign", {("dynamo/transport.py", "_signed"), ("botocore/awsrequest.py", "prepare")}),
    ("parse", {("dynamo/transport.py", "_parsed")}),
    ("build", {("dynamo/wire.py", "statement"), ("dynamo/transport.py", "call")}),
    ("parse", {("dynamo/table.py", "execute_batch")}),
    ("build", {("sinks/table.py", "attempt")}),
    ("settle", {("reindexer/rounds/delivery.py", "_attempt"), ("reindexer/rounds/checkpoint.py", "advance")}),
    ("decide", {("reindexer/rounds/round.py", "_works")}),
    ("loop", {("reindexer/rounds/delivery.py", "deliver")}),
)


def run_anatomy(table: str) -> dict[str, Parts]:
    """The whole table in one round, read in one verification, then transformed in one round.

    Last the transform's own part again, on rows in memory: in a round it runs on a thread of its own.
    """
    clients = Clients(pool=1, ledger=Ledger(settings().ledger_table))
    environment = ActivityEnvironment()
    environment.payload_converter = DATA_CONVERTER.payload_converter
    environment.on_heartbeat = _encode
    target = _target(clients, table, touch())
    found = {"touch: round": _round(clients, environment, target)}
    with _Sampler() as reading:
        read = environment.run(
            VerifyActivities(clients, Identities(clients), Guard()).verify_segment,
            VerifyInput(target=target, source=Segment(segment=0, total=1), seconds=_WHOLE_TABLE),
        )
    found["verification"] = reading.parts(read.scanned)
    target = _target(clients, table, transform())
    found["transform: round"] = _round(clients, environment, target)
    found["transform: a record"] = _decisions(clients, target)
    return found


def _round(clients: Clients, environment: ActivityEnvironment, target: Target) -> Parts:
    with _Sampler() as sampler:
        result = environment.run(
            RoundActivities(clients, Identities(clients), LockHeld(clients), Guard()).reindex_round,
            RoundInput(target=target, source=Segment(segment=0, total=1), seconds=_WHOLE_TABLE),
        )
    return sampler.parts(result.progress.tally.scanned)


def _decisions(clients: Clients, target: Target) -> Parts:
    _, decide = prepared(target)
    pages = clients.own.get_paginator("scan").paginate(TableName=target.table)
    rows = [row for page in pages for row in page["Items"]]
    with _Sampler() as sampler:
        for row in rows:
            decide(cast(WireItem, row))
    return sampler.parts(len(rows))


def _encode(*details: Any) -> None:
    """A heartbeat up to where the SDK's native half takes it."""
    DATA_CONVERTER.payload_converter.to_payloads(details)


def _target(clients: Clients, table: str, operation: dict[str, Any]) -> Target:
    job = JobInput.model_validate({"table": table, "operation": operation})
    request = PlanInput(job=job, workflow_id="anatomy", started_at=datetime.now(UTC), run="anatomy")
    return make_plan(request, client=clients.own, ledger=clients.ledger, heartbeat_timeout=10.0).target


class _Sampler:
    """Counts, in the main thread, in which part each sample falls."""

    def __init__(self) -> None:
        self._wall: Counter[str] = Counter()
        self._cpu: Counter[str] = Counter()
        self._own = 0.0  # CPU seconds of the sampling: they belong to no part
        self._known: dict[str, str] = {}  # file → its last two names; a path is cut once

    def __enter__(self) -> Self:
        self._before = [
            signal.signal(signal.SIGALRM, lambda _, frame: self._sample(self._wall, frame)),
            signal.signal(signal.SIGPROF, lambda _, frame: self._sample(self._cpu, frame)),
        ]
        self._began, self._used = time.monotonic(), time.process_time()
        for timer in (signal.ITIMER_REAL, signal.ITIMER_PROF):
            signal.setitimer(timer, _SAMPLE_SECONDS, _SAMPLE_SECONDS)
        return self

    def __exit__(self, *_: object) -> None:
        for timer in (signal.ITIMER_REAL, signal.ITIMER_PROF):
            signal.setitimer(timer, 0)
        self._seconds = time.monotonic() - self._began
        self._used = time.process_time() - self._used - self._own
        for number, handler in zip((signal.SIGALRM, signal.SIGPROF), self._before, strict=True):
            signal.signal(number, handler)

    def parts(self, records: int) -> Parts:
        """Microseconds a record by part, the dearest first, and the sum of all."""
        wall = self._seconds / records * 1e6 / max(1, self._wall.total())
        cpu = self._used / records * 1e6 / max(1, self._cpu.total())
        found = {part: (wall * count, cpu * self._cpu[part]) for part, count in self._wall.most_common()}
        return found | {"all": (wall * self._wall.total(), cpu * self._cpu.total())}

    def _sample(self, counts: Counter[str], frame: FrameType | None) -> Any:
        began = time.process_time()
        stack = set()
        while frame is not None:
            code = frame.f_code
            stack.add((self._file(code.co_filename), code.co_name))
            frame = frame.f_back
        counts[next((name for name, frames in _PARTS if stack & frames), "other")] += 1
        self._own += time.process_time() - began

    def _file(self, path: str) -> str:
        known = self._known.get(path)
        if known is None:
            place = Path(path)
            folder = "python" if place.name == "socket.py" else place.parent.name
            known = self._known[path] = f"{folder}/{place.name}"
        return known
