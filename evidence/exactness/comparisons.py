"""The comparisons of the matrix: what happens to either table's reads, and to workers and servers meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from evidence.exactness import crashes
from evidence.exactness.cell import Disturb, Handle, Happened
from evidence.exactness.kinds import Moment
from evidence.exactness.scenes import Faults, Item, only, record_name
from evidence.exactness.stand import Stand
from testbed.faults import Fault, FaultKind

K = FaultKind
RECORDS = 1000  # of a cell, as elsewhere in the matrix
_KINDS = {3: "different", 13: "missing", 23: "extraneous"}  # of each thirty rows: a hundred differences in all
_CYCLE = 30
_OFTEN = 0.25  # of the calls, as elsewhere in the matrix
FIRST, OTHER, BOTH = "the first table", "the other table", "both tables"


@dataclass(frozen=True)
class Comparison:
    """A comparison of two tables. `side`: which one's calls the faults strike."""

    fault: str
    moment: Moment = Moment.MIDDLE
    side: str = BOTH
    faults: Sequence[Fault] = ()
    disturb: Disturb | None = None
    parks: bool = False
    crash: bool = False  # attempts are lost in it
    cancelled: bool = False  # what it has found by then has to be true, and no more
    job: dict[str, Any] = field(default_factory=dict)
    operation = "compare"

    @property
    def name(self) -> str:
        """In words, as `--only` looks for it."""
        return f"{self.operation}, {self.side}, {self.fault}, {self.moment}"

    def plan(self, table: str, other: str) -> Faults:
        """Of the tables that they strike."""
        tables = {FIRST: [table], OTHER: [other], BOTH: [table, other]}[self.side]
        return tuple(fault for name in tables for fault in only(name, self.faults))


def planted(number: int) -> str:
    """How a row differs between the tables; `equal` where it does not."""
    return _KINDS.get(number % _CYCLE, "equal")


def row(number: int, *, other: bool) -> Item | None:
    """A row of either table; None: it is not there. Equal ones are written in two ways."""
    kind = planted(number)
    if kind == ("missing" if other else "extraneous"):
        return None
    size = f"{number}.5" + ("0" if other else "") + ("1" if other and kind == "different" else "")
    return {
        "id": {"S": record_name(number)},
        "size": {"N": size},
        "tags": {"SS": ["a", "b"][:: -1 if other else 1]},
        "more": {"M": {"a.b": {"L": [{"B": b"\x00\xff"}, {"NULL": True}]}}},
    }


def comparisons(quick: bool) -> Iterator[Comparison]:
    """In the order of the table, after the cells of jobs that write."""
    for name, faults, parks in READ_FAULTS:
        for side in (FIRST, OTHER):
            if not quick or (name, side) == ("500 for reads", OTHER):
                yield Comparison(name, side=side, faults=faults, parks=parks)
    for crash in _CRASHES:
        if not quick or crash.disturb is crashes.kill_all:
            yield crash


async def _pause(stand: Stand, cell: Any, table: str, handle: Handle) -> Happened:
    """Pause, kill -9 of all workers while rounds hand back; resume once it shows as paused."""
    await handle.signal("pause")
    await crashes.kill_all(stand, cell, table, handle)
    await crashes.until(handle, lambda progress: progress["state"] == "paused")
    before = await asyncio.to_thread(_reads, stand)
    await asyncio.sleep(crashes.STILL)
    read = await asyncio.to_thread(_reads, stand) - before
    await handle.signal("resume")
    return Happened(musts={f"a paused comparison has read {read:,} times": read == 0})


def _reads(stand: Stand) -> int:
    calls = stand.proxy.truth().calls
    return calls.get("Scan", 0) + calls.get("BatchGetItem", 0)


def _each(*kinds: FaultKind, **more: Any) -> tuple[Fault, ...]:
    return tuple(Fault(kind=kind, operations="reads", **more) for kind in kinds)


#: Name, faults, and whether the job parks itself. Those with the name of another cell share its line there.
READ_FAULTS: Sequence[tuple[str, tuple[Fault, ...], bool]] = (
    ("500 for reads", _each(K.SERVER_ERROR, probability=_OFTEN), False),
    ("503 for reads", _each(K.UNAVAILABLE, probability=_OFTEN), False),
    ("connection cut before the read", _each(K.CUT, probability=_OFTEN), False),
    ("connection cut after the read", _each(K.CUT_APPLIED, probability=_OFTEN), False),
    # Each costs a read time-out of 5 s, hence the limit.
    ("time-out of reads", _each(K.TIMEOUT, limit=3), False),
    ("answer truncated", _each(K.TRUNCATED, K.BROKEN_JSON, probability=_OFTEN / 2), False),
    ("answer with a wrong checksum", _each(K.WRONG_CRC32, probability=_OFTEN), False),
    ("slow answers", _each(K.SLOW, probability=_OFTEN, seconds=0.3), False),
    ("reads throttled", _each(K.THROTTLE, probability=_OFTEN), False),
    ("reads throttled by rate", _each(K.THROTTLE, units_per_second=5, burst=1), False),
    ("keys come back unprocessed", (Fault(kind=K.UNPROCESSED, probability=_OFTEN),), False),
    ("access denied, then allowed", (Fault(kind=K.ACCESS_DENIED),), True),
    ("table away, then back", (Fault(kind=K.TABLE_GONE),), True),
)
_CRASHES = (
    Comparison("kill -9 of one worker process", disturb=crashes.kill_one, crash=True),
    Comparison("kill -9 of all workers", disturb=crashes.kill_all, crash=True),
    Comparison("a worker frozen, then thawed (zombie)", disturb=crashes.freeze, crash=True),
    Comparison("paused, and kill -9 of all workers", disturb=_pause, crash=True),
    Comparison("cancelled, and kill -9 of all workers", disturb=crashes.cancel, crash=True, cancelled=True),
    Comparison("Temporal restarted", disturb=crashes.restart_temporal),
)
