"""The indexes of the matrix: what happens to reads of the table, writes to OpenSearch, workers and servers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from evidence.exactness import crashes
from evidence.exactness.cell import Handle, Happened
from evidence.exactness.comparisons import READ_FAULTS, RECORDS
from evidence.exactness.kinds import MOMENTS, Moment
from evidence.exactness.scenes import Faults, Item, only, record_name
from evidence.exactness.search_stand import SearchStand
from evidence.exactness.stand import Stand
from testbed.faults import Fault
from testbed.faults.search import SearchFault, SearchFaultKind, SearchFaultPlan

K = SearchFaultKind
TABLE, INDEX, BOTH = "reads of the table", "writes to OpenSearch", "table and OpenSearch"
REFUSED = 3  # records whose documents OpenSearch refuses, in cells that give some up
_OFTEN = 0.25  # of the calls, as elsewhere in the matrix
_DOWN = 2.0  # seconds without OpenSearch; its start takes some five more
_BLOCK = "index.blocks.read_only_allow_delete"  # what OpenSearch itself sets where a disk is full

#: What happens besides faults: gets the stand, OpenSearch's, the alias (which is the table's name), the job.
Disturb = Callable[[Stand, SearchStand, str, Handle], Awaitable[Happened]]


#: Of an index: whatever is not named is kept and not indexed.
MAPPING = {"dynamic": False, "properties": {"id": {"type": "keyword"}, "size": {"type": "double"}}}


@dataclass(frozen=True)
class Indexing:
    """A new index of a table. `side`: whose calls the faults strike. `given_up`: records that are refused."""

    fault: str
    moment: Moment = Moment.MIDDLE
    side: str = INDEX
    reads: Sequence[Fault] = ()
    writes: Sequence[SearchFault] = ()
    disturb: Disturb | None = None
    parks: bool = False
    given_up: int = 0
    crash: bool = False  # attempts are lost in it
    cancelled: bool = False  # what it has written by then has to be counted, and no more
    held_back: bool = True  # else requests carry as many documents as a page has rows
    dies: bool = False  # OpenSearch does: of requests under way then the proxy knows nothing
    operation = "index"

    @property
    def name(self) -> str:
        """In words, as `--only` looks for it."""
        return f"{self.operation}, {self.side}, {self.fault}, {self.moment}"

    @property
    def completes(self) -> bool:
        """Whether readers get the index."""
        return not self.given_up and not self.cancelled

    def plan(self, table: str) -> Faults:
        """Of the table's reads."""
        return only(table, self.reads)

    def row(self, number: int) -> Item:
        """A row of the table; of those that are given up, with text where the mapping wants a number."""
        wrong = number >= RECORDS - self.given_up
        return {
            "id": {"S": record_name(number)},
            "size": {"S": "large"} if wrong else {"N": f"{number}.50"},
            "tags": {"SS": ["a", "b"]},
            "more": {"M": {"list": {"L": [{"B": b"\x00\xff"}, {"NULL": True}]}}},
        }


def indexes(quick: bool) -> Iterator[Indexing]:
    """In the order of the table, after the repairs."""
    for name, reads, parks in READ_FAULTS:
        if not quick and name != _OF_LOOKING_UP:
            yield Indexing(name, side=TABLE, reads=reads, parks=parks)
    for kind in WRITES:
        for moment in MOMENTS if kind.ambiguous and not quick else (Moment.MIDDLE,):
            if not quick or kind.quick:
                yield Indexing(kind.name, moment, writes=kind.faults, parks=kind.parks)
    for each in (*_OTHERS, *_CRASHES):
        if not quick:
            yield each


_OF_LOOKING_UP = "keys come back unprocessed"  # an index is made of scans


@dataclass(frozen=True)
class _Kind:
    name: str
    faults: Sequence[SearchFault]
    parks: bool = False
    ambiguous: bool = False  # an error for a write that was applied, or will be: at every moment
    quick: bool = False


def _each(kind: SearchFaultKind, **more: Any) -> Sequence[SearchFault]:
    return (SearchFault(kind=kind, **{"probability": _OFTEN, **more}),)


#: A time-out costs 8 s of a round, hence the limits; those with the name of another cell share its line.
WRITES = (
    _Kind("500 before the write", _each(K.SERVER_ERROR)),
    _Kind("503 before the write", _each(K.UNAVAILABLE)),
    _Kind("connection cut before the write", _each(K.CUT)),
    _Kind("500 after the write", _each(K.SERVER_ERROR_APPLIED), ambiguous=True, quick=True),
    _Kind("503 after the write", _each(K.UNAVAILABLE_APPLIED)),
    _Kind("connection cut after the write", _each(K.CUT_APPLIED), ambiguous=True),
    _Kind("time-out before the write", _each(K.TIMEOUT, probability=1.0, limit=2)),
    _Kind("time-out after the write", _each(K.TIMEOUT_APPLIED, probability=1.0, limit=2)),
    _Kind("500, applied 0.5 s later", _each(K.SERVER_ERROR_LATE, seconds=0.5), ambiguous=True),
    _Kind("cut, applied 0.5 s later", _each(K.CUT_LATE, seconds=0.5)),
    _Kind("time-out, applied 10 s later", _each(K.TIMEOUT_LATE, probability=1.0, limit=2, seconds=10.0)),
    _Kind("slow answers", _each(K.SLOW, seconds=0.3)),
    _Kind("throttled calls", _each(K.THROTTLE)),
    _Kind("documents throttled", _each(K.ITEM_THROTTLE)),
    _Kind("documents failing, not applied", _each(K.ITEM_UNAVAILABLE)),
    _Kind("documents failing, applied", _each(K.ITEM_UNAVAILABLE_APPLIED), ambiguous=True),
    _Kind("access denied, then allowed", _each(K.ACCESS_DENIED, probability=1.0), parks=True),
    _Kind("password refused, then accepted", _each(K.UNAUTHORIZED, probability=1.0), parks=True),
)


def on_workers(disturb: Any) -> Disturb:
    """What happens to workers and to Temporal, whatever they write to."""

    async def happen(stand: Stand, _search: SearchStand, alias: str, handle: Handle) -> Happened:
        happened: Happened = await disturb(stand, None, alias, handle)
        return happened

    return happen


async def pause(stand: Stand, search: SearchStand, alias: str, handle: Handle) -> Happened:
    """Pause, kill -9 of all workers while rounds hand back; resume once it shows as paused."""
    await handle.signal("pause")
    await on_workers(crashes.kill_all)(stand, search, alias, handle)
    musts = await is_still(search, alias, handle)
    await handle.signal("resume")
    return Happened(musts=musts)


async def _pauses(stand: Stand, search: SearchStand, alias: str, handle: Handle) -> Happened:  # noqa: ARG001
    """Pause and resume, without a crash."""
    await handle.signal("pause")
    musts = await is_still(search, alias, handle)
    await handle.signal("resume")
    return Happened(injected={"pauses": 1}, musts=musts)


async def is_still(search: SearchStand, alias: str, handle: Handle) -> dict[str, bool]:
    await crashes.until(handle, lambda seen: seen["state"] == "paused")
    before = await asyncio.to_thread(search.accepted, alias)
    await asyncio.sleep(crashes.STILL)
    written = await asyncio.to_thread(search.accepted, alias) - before
    return {f"a paused job has written {written:,} documents": written == 0}


async def restart(_stand: Stand, search: SearchStand, _alias: str, _handle: Handle) -> Happened:
    """OpenSearch is killed, and comes back with what it had acknowledged."""
    await asyncio.to_thread(search.server.kill)
    await asyncio.sleep(_DOWN)
    await asyncio.to_thread(search.server.restart)
    return Happened(injected={"OpenSearch restarted": 1})


async def read_only(_stand: Stand, search: SearchStand, alias: str, handle: Handle) -> Happened:
    """The index is made read-only: the job parks by that name. It is writable again: resumed, it goes on."""
    await asyncio.to_thread(search.server.ask, "PUT", f"/{alias}-*/_settings", {_BLOCK: True})
    parked = await crashes.until(handle, lambda seen: seen["state"] == "parked")
    await asyncio.to_thread(search.server.ask, "PUT", f"/{alias}-*/_settings", {_BLOCK: None})
    await handle.signal("resume")
    named = "cluster_block_exception" in parked["reason"]
    return Happened(
        injected={"made read-only": 1}, musts={f"parked for another reason: {parked['reason']}": named}
    )


MIXED = SearchFaultPlan.mixed(0.2).faults  # of requests, and of documents in others: four in ten fail
_LARGE = _each(K.TOO_LARGE, probability=1.0, max_bytes=8000)  # of a page's 50 kB
_READ_FAILING = next(reads for name, reads, _ in READ_FAULTS if name == "500 for reads")
_OTHERS: Sequence[Indexing] = (
    Indexing("calls too large (413)", Moment.START, writes=_LARGE, held_back=False),
    Indexing("a fifth of all calls fail, half of these applied", Moment.START, BOTH, _READ_FAILING, MIXED),
    Indexing("3 records refused for good", Moment.START, given_up=REFUSED),
    Indexing("index read-only, then writable", disturb=read_only),
    Indexing("OpenSearch killed and restarted", disturb=restart, dies=True),
)
_CRASHES: Sequence[Indexing] = (
    Indexing("kill -9 of one worker process", side=BOTH, disturb=on_workers(crashes.kill_one), crash=True),
    Indexing("kill -9 of all workers", side=BOTH, disturb=on_workers(crashes.kill_all), crash=True),
    Indexing(
        "a worker frozen, then thawed (zombie)", side=BOTH, disturb=on_workers(crashes.freeze), crash=True
    ),
    Indexing("paused and resumed", side=BOTH, disturb=_pauses),
    Indexing("paused, and kill -9 of all workers", side=BOTH, disturb=pause, crash=True),
    Indexing(
        "cancelled, and kill -9 of all workers",
        side=BOTH,
        disturb=on_workers(crashes.cancel),
        crash=True,
        cancelled=True,
    ),
    Indexing("Temporal restarted", side=BOTH, disturb=on_workers(crashes.restart_temporal)),
)
