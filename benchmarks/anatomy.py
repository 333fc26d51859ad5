"""Where the time of a round and of a verification goes: one thread, no Temporal server, sampled.

The real activities run in Temporal's own test environment, heartbeats encoded as they would be. A sample is
taken each millisecond of wall time, by a signal: a profiler that hooks every call would make small functions
look dear.
"""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any, Self

from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import ActivityEnvironment

from activities.clients import Clients
from activities.round import RoundActivities
from activities.verify import VerifyActivities
from reindexer.ledger import Ledger
from reindexer.models import JobInput, Plan, PlanInput, RoundInput, Segment, VerifyInput
from reindexer.planning import make_plan
from reindexer.settings import settings

_SAMPLE_SECONDS = 0.001  # a batch call takes 2 ms: each of its parts is met
_WHOLE_TABLE = 3600.0  # seconds of a time slice that never ends

#: Microseconds a record by part: of wall time, of CPU time.
Parts = dict[str, tuple[float, float]]

#: Which function belongs to which part. The first line with a frame anywhere in the stack wins: the answer to a
#: scan is parsed by the same function as the answer to a batch, and counts as scanning.
_PARTS: Sequence[tuple[str, set[tuple[str, str]]]] = (
    ("heartbeat", {("activities/pulse.py", "beat")}),
    ("scan", {("sources/scan.py", "pages")}),
    ("verify", {("reindexer/verification.py", "_call")}),
    ("wait for the engine", {("python/socket.py", "readinto")}),
    ("HTTP client", {("botocore/httpsession.py", "send")}),
    ("sign", {("dynamo/transport.py", "_signed"), ("botocore/awsrequest.py", "prepare")}),
    ("parse", {("dynamo/transport.py", "_parsed")}),
    ("build", {("dynamo/wire.py", "statement"), ("dynamo/transport.py", "call")}),
    ("parse", {("dynamo/table.py", "execute_batch")}),
    ("build", {("sinks/table.py", "attempt")}),
    ("settle", {("reindexer/delivery.py", "_attempt"), ("reindexer/round.py", "_advance")}),
    ("decide", {("reindexer/round.py", "_works")}),
    ("loop", {("reindexer/delivery.py", "deliver")}),
)


def run_anatomy(table: str) -> dict[str, Parts]:
    """The whole table in one round, then read in one verification."""
    clients = Clients(pool=1, ledger=Ledger(settings().ledger_table))
    target = _plan(clients, table).target
    environment = ActivityEnvironment()
    environment.payload_converter = pydantic_data_converter.payload_converter
    environment.on_heartbeat = _encode
    with _Sampler() as round_sampler:
        result = environment.run(
            RoundActivities(clients).reindex_round,
            RoundInput(target=target, source=Segment(segment=0, total=1), seconds=_WHOLE_TABLE),
        )
    with _Sampler() as read_sampler:
        environment.run(
            VerifyActivities(clients).verify_segment,
            VerifyInput(target=target, segment=0, total=1, seconds=_WHOLE_TABLE),
        )
    scanned = result.progress.tally.scanned
    return {"round": round_sampler.parts(scanned), "verification": read_sampler.parts(scanned)}


def _encode(*details: Any) -> None:
    """A heartbeat up to where the SDK's native half takes it."""
    pydantic_data_converter.payload_converter.to_payloads(details)


def _plan(clients: Clients, table: str) -> Plan:
    request = PlanInput(
        job=JobInput(table=table), workflow_id="anatomy", started_at=datetime.now(UTC), run="anatomy"
    )
    return make_plan(request, client=clients.own, ledger=clients.ledger, heartbeat_timeout=10.0)


class _Sampler:
    """Counts, in the main thread, in which part each sample falls."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._cpu: Counter[str] = Counter()  # nanoseconds
        self._known: dict[str, str] = {}  # file → its last two names; a path is cut once

    def __enter__(self) -> Self:
        self._before = signal.signal(signal.SIGALRM, self._sample)
        self._began, self._used = time.monotonic(), time.thread_time_ns()
        signal.setitimer(signal.ITIMER_REAL, _SAMPLE_SECONDS, _SAMPLE_SECONDS)
        return self

    def __exit__(self, *_: object) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        self._seconds = time.monotonic() - self._began
        signal.signal(signal.SIGALRM, self._before)

    def parts(self, records: int) -> Parts:
        """Microseconds a record by part, the dearest first, and the sum of all."""
        samples = max(1, self._counts.total())
        wall = self._seconds / records * 1e6
        found = {
            part: (wall * count / samples, self._cpu[part] / 1000 / records)
            for part, count in self._counts.most_common()
        }
        return found | {"all": (wall, self._cpu.total() / 1000 / records)}

    def _sample(self, _number: int, frame: FrameType | None) -> Any:
        used = time.thread_time_ns()
        stack = set()
        while frame is not None:
            code = frame.f_code
            stack.add((self._file(code.co_filename), code.co_name))
            frame = frame.f_back
        part = next((name for name, frames in _PARTS if stack & frames), "other")
        self._counts[part] += 1
        self._cpu[part] += used - self._used  # since the sample before: right on the average
        self._used = time.thread_time_ns()  # what the sampling itself takes belongs to no part

    def _file(self, path: str) -> str:
        known = self._known.get(path)
        if known is None:
            place = Path(path)
            folder = "python" if place.name == "socket.py" else place.parent.name
            known = self._known[path] = f"{folder}/{place.name}"
        return known
