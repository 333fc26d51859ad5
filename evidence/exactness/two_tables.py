"""What comparisons and repairs of the matrix share: their tables, their tries, and what the ledger keeps."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, TypeAlias

from temporalio.service import RPCError

from evidence.exactness import tables
from evidence.exactness.cell import Handle, Happened
from evidence.exactness.comparisons import RECORDS, Comparison, row
from evidence.exactness.follows import Follow
from evidence.exactness.indexes import Indexing
from evidence.exactness.repairs import Repair
from evidence.exactness.replicas import Replica
from evidence.exactness.row import Row
from evidence.exactness.running import lost_attempts, repaired, report_of
from evidence.exactness.scenes import COMPLETE
from evidence.exactness.stand import Stand
from reindexer.ledger import Ledger
from reindexer.models import FoundDifference, ShardPlace
from testbed.embedded import ServerUnavailable
from testbed.faults import FaultPlan

#: A cell of a verb that does not change records in place.
Other: TypeAlias = Comparison | Repair | Indexing | Follow | Replica
_TRIES = 4  # as of the other cells: the dice may let every call of so small a job through


async def tried(cell: Other, stand: Stand, once: Callable[[], Awaitable[Row]]) -> Row:
    """The row of a cell in which something happened."""
    for _ in range(_TRIES):
        try:
            found = await once()
        except (RuntimeError, TimeoutError, ServerUnavailable, RPCError) as error:
            await asyncio.to_thread(stand.recover)
            return row_of(cell, wrong=[" ".join(f"{type(error).__name__}: {error}".split())])
        if found.injected:
            break
    return found


def row_of(cell: Other, **known: Any) -> Row:
    """With nothing known of it, but for what is."""
    nothing = {"injected": {}, "ambiguous": 0, "outcomes": {}, "balanced": False, "verification": "none"}
    sums = {"changed_twice": 0, "lost": 0, "restarts": 0, "seconds": 0.0}
    name = {"operation": cell.operation, "scene": cell.side, "fault": cell.fault, "moment": cell.moment}
    return Row(**{**name, "records": RECORDS, **nothing, **sums, **known})


def made(stand: Stand) -> tuple[str, str]:
    """Two tables with the planted differences; their names."""
    rows = [[row(number, other=other) for number in range(RECORDS)] for other in (False, True)]
    first, second = (tables.make(stand.direct, COMPLETE, filter(None, each)) for each in rows)
    return first, second


def dropped(stand: Stand, *names: str) -> None:
    """Delete these tables."""
    for name in names:
        stand.direct.delete_table(TableName=name)


async def ended(
    cell: Comparison | Repair, stand: Stand, table: str, handle: Handle
) -> tuple[dict[str, Any], Happened]:
    """Let happen what happens besides faults, and the job end: its report, and what happened."""
    happened = await cell.disturb(stand, cell, table, handle) if cell.disturb else Happened()  # type: ignore[arg-type]
    if cell.parks:
        await repaired(stand, handle, FaultPlan())
    return await report_of(stand, handle), happened


async def injected(
    cell: Other,
    stand: Stand,
    handle: Handle,
    run: str,
    by_proxy: dict[str, int],
    happened: Happened,
) -> dict[str, int]:
    """What struck the job, and how often; of one that crashes the attempts that it lost."""
    if not cell.crash:
        return by_proxy | dict(happened.injected)
    lost = await lost_attempts(stand, handle, run)
    return {"attempts lost": lost} if lost else {}


def every_difference(ledger: Ledger, report: dict[str, Any]) -> Iterator[FoundDifference]:
    """All that the ledger has of a comparison, by its report."""
    for shard, chunks in enumerate(report["comparison"]["chunks"]):
        place = ShardPlace(job=report["job"], run=report["run"], index=shard)
        for number in range(chunks):
            yield from ledger.differences.of(place, number)
