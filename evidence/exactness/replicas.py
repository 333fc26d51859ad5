"""The replicas of the matrix: what happens to their writes, to the stream, to workers and servers.

A replica that is followed is written while others write to the table, from before the scan until it is drained.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

from evidence.exactness import crashes
from evidence.exactness.cell import Handle, Happened
from evidence.exactness.follows import Divide, split_and_roll
from evidence.exactness.kinds import KINDS, Make, Moment
from evidence.exactness.scenes import Faults, Item, only, record_name
from evidence.exactness.stand import Stand
from testbed.faults import Fault, FaultKind

COPY, FOLLOWED = "a new replica", "a replica that is followed"
RECORDS = 1000  # of the table, as elsewhere in the matrix
FOLLOWED_RECORDS = 500  # of one that changes: its changes are as many again


@dataclass(frozen=True)
class Replica:
    """One replica. `moment`: of one that is followed during the scan, or at the end, once it is drained."""

    fault: str
    moment: Moment = Moment.MIDDLE
    side: str = COPY
    faults: Make = lambda _table, _keys: ()  # of the replica
    divide: Divide | None = None
    disturb: Any = None
    around: Callable[[Stand], AbstractContextManager[Stand]] = nullcontext
    parks: bool = False
    given_up: int = 0
    crash: bool = False  # attempts are lost in it
    cancelled: bool = False  # what it has written by then has to be counted, and no more
    operation = "replicate"

    @property
    def name(self) -> str:
        """In words, as `--only` looks for it."""
        return f"{self.operation}, {self.side}, {self.fault}, {self.moment}"

    @property
    def refused(self) -> list[int]:
        """The rows that are given up."""
        return list(range(RECORDS - self.given_up, RECORDS))

    def plan(self, replica: str) -> Faults:
        """The cell's own faults."""
        return self.faults(replica, [{"id": {"S": record_name(number)}} for number in self.refused])

    def standing(self, _replica: str) -> Faults:
        """None besides."""
        return ()

    def row(self, number: int, written: int = 0) -> Item:
        """A row of the table, as it was written last. One of two writers gives it one attribute more."""
        return {
            "id": {"S": record_name(number)},
            "size": {"N": f"{written}.50"},
            "tags": {"SS": ["a", "b"]},
            **({"odd": {"BOOL": True}} if written % 2 else {}),
            "more": {"M": {"list": {"L": [{"B": b"\x00\xff"}, {"NULL": True}]}}},
            "reindexVersion": {"N": "7"},  # what earlier jobs have left is not copied
            "reindexRun": {"S": "an-earlier-run"},
        }


def replicas(quick: bool) -> Iterator[Replica]:
    """In the order of the table, after the follows."""
    for kind in KINDS:
        if kind.name in _COPIED and (not quick or kind.name == _QUICK):
            moment = _COPIED[kind.name]
            faults = _refused if kind.given_up else kind.faults
            yield Replica(kind.name, moment, COPY, faults, parks=kind.parks, given_up=kind.given_up)
    for kind in KINDS:
        if kind.name in _CARRIED and not quick:
            yield Replica(kind.name, _CARRIED[kind.name], FOLLOWED, kind.faults, parks=kind.parks)
    for each in _OTHERS:
        if not quick or (each.side == FOLLOWED and each.disturb is crashes.kill_all and each.divide):
            yield each


def _refused(replica: str, keys: Any) -> Faults:
    """Writes of these records are invalid, as statements and as calls of their own."""
    invalid = (
        Fault(kind=FaultKind.STATEMENT_ERROR, code="ValidationError", keys=tuple(keys)),
        Fault(kind=FaultKind.REFUSED, keys=tuple(keys), operations=frozenset(("PutItem",))),
    )
    return only(replica, invalid)


async def pauses(_stand: Stand, _cell: Any, _replica: str, handle: Handle) -> Happened:
    """Pause and resume while others write on."""
    await handle.signal("pause")
    await crashes.until(handle, lambda seen: seen["state"] == "paused")
    await handle.signal("resume")
    return Happened(injected={"pauses": 1})


_QUICK = "500 after the write"
#: When each strikes. From the start where it leaves writes behind errors, as batches are few; but not where it
#: strikes two or three calls in all, which would be those of the plan.
_COPIED = {
    "500 before the write": Moment.MIDDLE,
    "500 after the write": Moment.START,
    "connection cut after the write": Moment.START,
    "time-out after the write": Moment.MIDDLE,
    "500, applied 0.5 s later": Moment.START,
    "time-out, applied 6 s later": Moment.MIDDLE,
    "answer truncated": Moment.MIDDLE,
    "throttled calls": Moment.MIDDLE,
    "statements throttled": Moment.MIDDLE,
    "statements failing, applied": Moment.START,
    "stored items withheld, 30 % failing": Moment.START,
    "PartiQL denied: one by one": Moment.START,
    "3 records refused for good": Moment.START,
    "access denied, then allowed": Moment.MIDDLE,
}
_CARRIED = {
    "500 before the write": Moment.MIDDLE,
    "500 after the write": Moment.END,
    "connection cut after the write": Moment.MIDDLE,
    "time-out after the write": Moment.MIDDLE,
    "500, applied 0.5 s later": Moment.END,
    "time-out, applied 6 s later": Moment.MIDDLE,
    "throttled calls": Moment.END,
    # Before, many records are tried again on their own, and it is drained late, or never.
    "stored items withheld, 30 % failing": Moment.END,
    "access denied, then allowed": Moment.END,
}
_OTHERS = (
    Replica("kill -9 of all workers", disturb=crashes.kill_all, crash=True),
    Replica("a worker frozen, then thawed (zombie)", disturb=crashes.freeze, crash=True),
    Replica("paused, and kill -9 of all workers", disturb=crashes.pause, crash=True),
    Replica("cancelled, and kill -9 of all workers", disturb=crashes.cancel, crash=True, cancelled=True),
    Replica(
        "continued as new, and kill -9 of all workers",
        disturb=crashes.cycle,
        around=crashes.cycling,
        crash=True,
    ),
    Replica("shards split and roll", side=FOLLOWED, divide=split_and_roll),
    Replica(
        "shards split and roll, and kill -9 of all workers",
        side=FOLLOWED,
        divide=split_and_roll,
        disturb=crashes.kill_all,
        crash=True,
    ),
    Replica("kill -9 of all workers", Moment.END, FOLLOWED, disturb=crashes.kill_all, crash=True),
    Replica("a worker frozen, then thawed (zombie)", side=FOLLOWED, disturb=crashes.freeze, crash=True),
    Replica("paused and resumed", Moment.END, FOLLOWED, disturb=pauses),
    Replica("paused, and kill -9 of all workers", side=FOLLOWED, disturb=crashes.pause, crash=True),
)
