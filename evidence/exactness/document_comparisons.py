"""The comparisons of a table with its search index: what happens to reads of either, and to servers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from evidence.exactness import crashes, indexes
from evidence.exactness.cell import Handle, Happened
from evidence.exactness.comparisons import READ_FAULTS, Comparison
from evidence.exactness.indexes import BOTH, TABLE, Disturb, on_workers
from evidence.exactness.scenes import Faults, only
from evidence.exactness.search_stand import SearchStand
from evidence.exactness.stand import Stand
from testbed.faults.search import SearchFault, SearchFaultKind

K = SearchFaultKind
DOCUMENTS = "reads of OpenSearch"
_OFTEN = 0.25  # of the calls, as elsewhere in the matrix
_SLICE = 6.0  # seconds; slices take 5 in the matrix


@dataclass(frozen=True)
class DocumentComparison(Comparison):
    """`asked`: faults of what OpenSearch is asked; `struck`: what happens to servers."""

    side: str = DOCUMENTS
    asked: Sequence[SearchFault] = ()
    struck: Disturb | None = None

    def plan(self, table: str, _other: str = "") -> Faults:
        """Of the table's reads."""
        return only(table, self.faults)


def document_comparisons(quick: bool) -> Iterator[DocumentComparison]:
    """In the order of the table, after the refreshes."""
    for name, faults, parks in _ASKED:
        if not quick or name == "500 for reads":
            yield DocumentComparison(name, asked=faults, parks=parks)
    if quick:
        return
    for name, of_table, parks in READ_FAULTS:
        if name in _OF_TABLE:
            yield DocumentComparison(name, side=TABLE, faults=of_table, parks=parks)
    for name, struck, crash in _STRUCK:
        yield DocumentComparison(name, side=BOTH, struck=struck, crash=crash)


def _each(kind: SearchFaultKind, **more: Any) -> Sequence[SearchFault]:
    return (SearchFault(kind=kind, operations="reads", **{"probability": _OFTEN, **more}),)


async def _restart(stand: Stand, search: SearchStand, alias: str, handle: Handle) -> Happened:
    """OpenSearch is killed and comes back. What lasts for a whole slice parks the job: it is resumed then."""
    happened = await indexes.restart(stand, search, alias, handle)
    await asyncio.sleep(_SLICE)
    if (await crashes.until(handle, lambda seen: bool(seen["state"])))["state"] == "parked":
        await handle.signal("resume")
    return happened


#: Name, faults, and whether the job parks itself. Those with the name of another cell share its line.
_ASKED: Sequence[tuple[str, Sequence[SearchFault], bool]] = (
    ("500 for reads", _each(K.SERVER_ERROR), False),
    ("503 for reads", _each(K.UNAVAILABLE), False),
    ("connection cut before the read", _each(K.CUT), False),
    ("connection cut after the read", _each(K.CUT_APPLIED), False),
    ("time-out of reads", _each(K.TIMEOUT, probability=1.0, limit=2), False),
    ("slow answers", _each(K.SLOW, seconds=0.3), False),
    ("reads throttled", _each(K.THROTTLE), False),
    ("access denied, then allowed", _each(K.ACCESS_DENIED, probability=1.0), True),
)
_OF_TABLE = ("500 for reads", "answer truncated", "reads throttled", "keys come back unprocessed")
_STRUCK: Sequence[tuple[str, Disturb, bool]] = (
    ("kill -9 of all workers", on_workers(crashes.kill_all), True),
    ("a worker frozen, then thawed (zombie)", on_workers(crashes.freeze), True),
    ("OpenSearch killed and restarted", _restart, False),
    ("Temporal restarted", on_workers(crashes.restart_temporal), False),
)
