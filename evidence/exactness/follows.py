"""The follows of the matrix: what happens to a stream's calls and shards, to OpenSearch, workers and servers.

Meanwhile others write and delete, from before the scan until after the index is drained.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from evidence.exactness import crashes, indexes
from evidence.exactness.cell import Handle, Happened
from evidence.exactness.indexes import Disturb
from evidence.exactness.kinds import Moment
from evidence.exactness.scenes import Item, record_name
from evidence.exactness.search_stand import SearchStand
from evidence.exactness.stand import Stand
from testbed.faults import Fault, FaultKind
from testbed.faults.lineages.control import LineageControl
from testbed.faults.search import SearchFault

K = FaultKind
STREAM, SHARDS, INDEX, BOTH = "calls of the stream", "stream shards", "writes to OpenSearch", "all of it"
RECORDS = 500  # of the table at first: changes are as many again
_OFTEN = 0.25  # of the calls, as elsewhere in the matrix
_CALLS = frozenset(("GetRecords", "GetShardIterator", "DescribeStream"))
_PAUSED = 5.0  # seconds in which others write on
_EXPIRED = 901.0  # seconds: an iterator lives for 15 minutes
_IN_BETWEEN = 1.0  # seconds of reading and writing between two events
_MOMENTS = (Moment.MIDDLE, Moment.END, Moment.START)

#: What becomes of the shards of a stream. Runs in a thread; returns how much of what happened.
Divide = Callable[[LineageControl], dict[str, int]]


@dataclass(frozen=True)
class Follow:
    """A follow of a table's stream. `moment`: during its scan, or at the end, once readers have the index."""

    fault: str
    moment: Moment = Moment.MIDDLE
    side: str = INDEX
    calls: Sequence[Fault] = ()  # of the stream
    writes: Sequence[SearchFault] = ()
    divide: Divide | None = None
    disturb: Disturb | None = None
    parks: bool = False
    crash: bool = False  # attempts are lost in it
    dies: bool = False  # OpenSearch does: of requests under way then the proxy knows nothing
    operation = "follow"

    @property
    def name(self) -> str:
        """In words, as `--only` looks for it."""
        return f"{self.operation}, {self.side}, {self.fault}, {self.moment}"

    def row(self, number: int, written: int = 0) -> Item:
        """A row of the table, as it was written last."""
        return {
            "id": {"S": record_name(number)},
            "size": {"N": f"{written}.50"},
            "tags": {"SS": ["a", "b"]},
            "more": {"M": {"list": {"L": [{"B": b"\x00\xff"}, {"NULL": True}]}}},
        }


def follows(quick: bool) -> Iterator[Follow]:
    """In the order of the table, after the indexes."""
    if quick:
        yield Follow("500 after the write", Moment.MIDDLE, writes=_HARDEST, calls=_failing(K.SERVER_ERROR))
        return
    for place, (name, calls, parks) in enumerate(_STREAM_FAULTS):
        moment = Moment.MIDDLE if parks else _MOMENTS[place % len(_MOMENTS)]
        yield Follow(name, moment, STREAM, calls=calls, parks=parks)
    for place, kind in enumerate(indexes.WRITES):
        # At the start there is nothing but the scan, which is an index's.
        moment = _MOMENTS[(place + (kind.name == _LATE)) % 2]
        yield Follow(kind.name, moment, writes=kind.faults, parks=kind.parks)
    yield from (*_SHARDS, *_OTHERS)


def _failing(*kinds: FaultKind, **more: Any) -> tuple[Fault, ...]:
    return tuple(Fault(kind=kind, operations=_CALLS, **{"probability": _OFTEN, **more}) for kind in kinds)


#: Name, faults, and whether the follow parks itself. Those with the name of another cell share its line.
_STREAM_FAULTS: Sequence[tuple[str, tuple[Fault, ...], bool]] = (
    ("500 for reads", _failing(K.SERVER_ERROR), False),
    ("503 for reads", _failing(K.UNAVAILABLE), False),
    ("connection cut before the read", _failing(K.CUT), False),
    ("connection cut after the read", _failing(K.CUT_APPLIED), False),
    ("500 after the read", _failing(K.SERVER_ERROR_APPLIED), False),
    # Each costs a read time-out of 5 s, hence the limit.
    ("time-out of reads", _failing(K.TIMEOUT_APPLIED, probability=1.0, limit=3), False),
    ("answer truncated", _failing(K.TRUNCATED, K.BROKEN_JSON, probability=_OFTEN / 2), False),
    ("answer with a wrong checksum", _failing(K.WRONG_CRC32), False),
    ("slow answers", _failing(K.SLOW, seconds=0.3), False),
    ("reads throttled", _failing(K.THROTTLE), False),
    ("a third reader of the stream", _failing(K.REFUSED, code="LimitExceededException"), False),
    ("access denied, then allowed", _failing(K.ACCESS_DENIED, probability=1.0), True),
)
#: Many of its records are tried again on their own: while any is, no index is drained.
_LATE = "500, applied 0.5 s later"
_HARDEST = next(kind.faults for kind in indexes.WRITES if kind.quick)


def split_and_roll(control: LineageControl, **how: int) -> dict[str, int]:
    """Children, grandchildren and theirs; half of the keys end in the third generation."""
    left, right = control.split(control.root, **how)
    _wait()
    control.roll(left, **how)
    _wait()
    control.split(right, **how)
    return {"shards divided": 3}


def _at_once(control: LineageControl) -> dict[str, int]:
    """Three generations before anyone has seen the first of them."""
    left, _ = control.split(control.root)
    control.roll(control.roll(left))
    return {"shards divided": 3}


def _listed_late(control: LineageControl) -> dict[str, int]:
    return split_and_roll(control, listed_after=3)


def _shown_open(control: LineageControl) -> dict[str, int]:
    return split_and_roll(control, parent_open_for=3)


def _one_hidden(control: LineageControl) -> dict[str, int]:
    """Of two children one is listed late; pages of a listing have one shard each."""
    control.adjust(page_shards=1)
    _, right = control.split(control.root)
    control.hide(right, 3)
    return {"shards divided": 1, "shards hidden": 1}


def _expire(control: LineageControl) -> dict[str, int]:
    """Each iterator that is held is too old, three times."""
    for _ in range(3):
        control.turn_clock(_EXPIRED)
        _wait()
    return {"iterators expired": 3}


def _wait() -> None:
    time.sleep(_IN_BETWEEN)


async def _long_pause(_stand: Stand, search: SearchStand, alias: str, handle: Handle) -> Happened:
    """Paused for a while in which others write on."""
    await handle.signal("pause")
    musts = await indexes.is_still(search, alias, handle)
    await asyncio.sleep(_PAUSED)
    await handle.signal("resume")
    return Happened(injected={"pauses": 1}, musts=musts)


_TORN = _failing(K.SERVER_ERROR, K.BROKEN_JSON, probability=0.3)
_SHARDS = (
    Follow("shards split and roll", side=SHARDS, divide=split_and_roll),
    Follow("shards split and roll", Moment.END, SHARDS, divide=split_and_roll),
    Follow("three generations at once", side=SHARDS, divide=_at_once),
    Follow("children listed late", Moment.END, SHARDS, divide=_listed_late),
    Follow("parents shown open beside their children", side=SHARDS, divide=_shown_open),
    Follow("one of two children missing in a listing", Moment.END, SHARDS, divide=_one_hidden),
    Follow("pages of a listing torn", side=SHARDS, divide=split_and_roll, calls=_TORN),
    Follow("iterators expired", Moment.END, SHARDS, divide=_expire),
)
_on_workers = indexes.on_workers
_OTHERS = (
    Follow("kill -9 of one worker process", side=BOTH, disturb=_on_workers(crashes.kill_one), crash=True),
    Follow("kill -9 of all workers", side=BOTH, disturb=_on_workers(crashes.kill_all), crash=True),
    Follow("kill -9 of all workers", Moment.END, BOTH, disturb=_on_workers(crashes.kill_all), crash=True),
    Follow(
        "shards split and roll, and kill -9 of all workers",
        side=BOTH,
        divide=split_and_roll,
        disturb=_on_workers(crashes.kill_all),
        crash=True,
    ),
    Follow("a worker frozen, then thawed (zombie)", side=BOTH, disturb=_on_workers(crashes.freeze), crash=True),
    Follow("paused and resumed", Moment.END, BOTH, disturb=_long_pause),
    Follow("paused, and kill -9 of all workers", side=BOTH, disturb=indexes.pause, crash=True),
    Follow("Temporal restarted", side=BOTH, disturb=_on_workers(crashes.restart_temporal)),
    Follow("Temporal restarted", Moment.END, BOTH, disturb=_on_workers(crashes.restart_temporal)),
    Follow("index read-only, then writable", disturb=indexes.read_only),
    Follow("OpenSearch killed and restarted", disturb=indexes.restart, dies=True),
    Follow("OpenSearch killed and restarted", Moment.END, disturb=indexes.restart, dies=True),
    Follow(
        "a fifth of all calls fail, half of these applied",
        Moment.END,  # before, many are tried again alone, and an index is drained late, or never
        BOTH,
        _failing(K.SERVER_ERROR, K.CUT_APPLIED, probability=0.1),
        indexes.MIXED,
    ),
)
