"""What 200 stream shards cost that have nothing new: slots, history events, heartbeats, CPU; scaled to a day.

The shards are drawn over the engine's one by the fault proxy's lineage layer, without faults.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from temporalio.client import Client

from evidence.benchmarks.destinations import SearchIndex
from evidence.benchmarks.followed import Followed, make_streamed
from evidence.benchmarks.measured import Floor, Section
from evidence.benchmarks.procfs import cpu_seconds
from evidence.benchmarks.stand import crew
from testbed.faults import FaultPlan, fault_proxy
from testbed.faults.lineages.control import LineageControl
from testbed.job import outcome
from testbed.search import SearchServer
from testbed.stack import Stack
from testbed.workers import Workers

_TABLE = "benchmark-idle"
_SHARDS = 200
_BEGINS = 60.0  # seconds: rounds are at rest, and the looks of a young job have become rarer
_WATCHED = 300.0  # seconds that are scaled to a day
_LOOK = 0.3  # seconds between two looks at heartbeats, which are a second apart or more
_DAY = 86_400.0
#: Of the job's own history: six for each look at the shards, each five minutes, and for each at tombstones.
_OWN_A_DAY = 6 * (288 + 96)
_MAX_SLOTS, _MAX_A_DAY = 2, 60_000  # what is to be borne for a table at rest


def measure_idle(servers: Stack, search: SearchServer, found: Section, announce: Callable[[str], None]) -> None:
    """Adds floors and facts to the section."""
    stream = make_streamed(_TABLE)
    with fault_proxy(servers.engine.endpoint_url, FaultPlan(), logs=servers.folder) as proxy:
        _divide(proxy.lineages(stream), _SHARDS)
        announce(f"{_TABLE}: {_SHARDS} stream shards")
        seen = {"AWS_ENDPOINT_URL_DYNAMODB_STREAMS": proxy.endpoint_url}
        near = replace(servers, workers=servers.beside(settings=seen).workers, faults=proxy)
        with crew(near) as workers:
            followed = Followed(near, SearchIndex(search), _TABLE, stream, lineages=_MAX_SLOTS)
            cost = asyncio.run(_watched(followed, workers))
    found.floors += [
        Floor(f"slots for {_SHARDS} stream shards at rest", cost.slots, _MAX_SLOTS, at_least=False),
        Floor("events and heartbeats a day", cost.a_day, _MAX_A_DAY, at_least=False),
    ]
    found.data["idle"] = cost.plain()
    found.facts.append(
        f"{_SHARDS} stream shards at rest: {cost.slots} slots, {cost.heartbeats_a_day:,.0f} heartbeats and "
        f"{cost.events_a_day:,.0f} events a day, {cost.reads:,.0f} reads a second, "
        f"{100 * cost.cpu / cost.seconds:.0f} % of a core for the workers"
    )
    announce(found.facts[-1])


def _divide(control: LineageControl, shards: int) -> None:
    """Breadth first: all of them are of one or two generations."""
    open_now = [control.root]
    while len(open_now) < shards:
        open_now += control.split(open_now.pop(0))


@dataclass
class _Cost:
    """Of some seconds. `events`: of the shards' histories; `cpu`: seconds of the workers."""

    slots: int
    seconds: float
    heartbeats: int
    events: int
    cpu: float
    reads: float

    @property
    def heartbeats_a_day(self) -> float:
        """At this rate."""
        return self.heartbeats / self.seconds * _DAY

    @property
    def events_a_day(self) -> float:
        """Of the shards at this rate; the job's own as in its second day, when it looks rarely."""
        return self.events / self.seconds * _DAY + _OWN_A_DAY

    @property
    def a_day(self) -> float:
        """Both."""
        return self.heartbeats_a_day + self.events_a_day

    def plain(self) -> dict[str, float]:
        """For JSON."""
        return {**vars(self), "heartbeats_a_day": self.heartbeats_a_day, "events_a_day": self.events_a_day}


@dataclass
class _Watch:
    """Heartbeats of activities under way, by when the server says that they came."""

    beats: set[tuple[str, str, int]] = field(default_factory=set)
    slots: int = 0

    async def look(self, client: Client, ids: list[str]) -> None:
        """Once at each workflow."""
        running = 0
        for name in ids:
            described = await client.get_workflow_handle(name).describe()
            for pending in described.raw_description.pending_activities:
                if pending.activity_type.name != "reindex_round":
                    continue
                running += pending.HasField("last_started_time")
                at = pending.last_heartbeat_time
                if at.ToNanoseconds():
                    self.beats.add((name, pending.activity_id, at.ToNanoseconds()))
        self.slots = max(self.slots, running)


async def _watched(followed: Followed, workers: Workers) -> _Cost:
    handle = await followed.start(drain=False)
    client = await followed.servers.connect()
    await asyncio.sleep(_BEGINS)
    run = followed.run
    ids = [f"{followed.job}/{run}/shard-{number:03}" for number in range(_MAX_SLOTS)]
    watch, before = _Watch(), await _events(client, [followed.job, *ids])
    proxy_reads, used, began = await _reads(followed), cpu_seconds(*workers.children()), time.monotonic()
    await watch.look(client, ids)
    first = len(watch.beats)
    while time.monotonic() < began + _WATCHED:
        await asyncio.sleep(_LOOK)
        await watch.look(client, ids)
    seconds = time.monotonic() - began
    after = await _events(client, [followed.job, *ids])
    cost = _Cost(
        slots=watch.slots,
        seconds=seconds,
        heartbeats=len(watch.beats) - first,
        events=sum(after[name] - before[name] for name in ids),
        cpu=cpu_seconds(*workers.children()) - used,
        reads=(await _reads(followed) - proxy_reads) / seconds,
    )
    await handle.cancel()
    await outcome(handle)
    return cost


async def _reads(followed: Followed) -> int:
    """Calls of GetRecords so far, by the proxy's count."""
    return (await asyncio.to_thread(followed.servers.proxy.truth)).calls.get("GetRecords", 0)


async def _events(client: Client, ids: list[str]) -> Mapping[str, int]:
    """Events of each workflow's present run."""
    lengths = {}
    for name in ids:
        described = await client.get_workflow_handle(name).describe()
        lengths[name] = described.history_length
    return lengths
