"""The exactness matrix: operation × fault × moment, each cell a real job on real servers.

    python -m exactness.matrix                          # prints the table
    python -m exactness.matrix --write docs/exactness.md
    python -m exactness.matrix --quick                  # two minutes, as CI runs it

Exit code 1 if anything that must hold does not.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from deploy.faults import Fault, FaultKind, FaultPlan
from exactness import disturbances, naive
from exactness.cell import Cell, run
from exactness.document import put_between_markers
from exactness.kinds import KINDS, Faults, Moment
from exactness.row import Row, markdown
from exactness.stand import Stand, stand

#: Operations that change records in place; each goes through every row. Others join here as they are built.
OPERATIONS = ("touch",)
_RECORDS = 1000  # of a cell: 40 batches, so that there is a middle, and a cell takes seconds
_STORM = 100_000
_QUICK_STORM = 10_000
_CRASHES = (
    ("kill -9 of one worker process", disturbances.kill_one),
    ("kill -9 of all workers", disturbances.kill_all),
    ("a worker frozen, then thawed (zombie)", disturbances.freeze),
)


def cells(quick: bool) -> Iterator[Cell]:
    """All cells but the control, in the order of the table."""
    for operation in OPERATIONS:
        for kind in KINDS:
            moments = kind.moments[:1] if quick else kind.moments
            for moment in moments if kind.quick or not quick else ():
                yield Cell(
                    kind.name,
                    moment,
                    _RECORDS,
                    kind.faults,
                    operation=operation,
                    parks=kind.parks,
                    given_up=kind.given_up,
                )
        for name, disturb in _CRASHES[1:2] if quick else _CRASHES:
            for moment in (Moment.MIDDLE,) if quick else (Moment.MIDDLE, Moment.END):
                yield Cell(
                    name,
                    moment,
                    2 * _RECORDS,  # so that work is under way in both processes
                    disturb=disturb,
                    operation=operation,
                    held_back=True,
                    strikes=False,
                    shards=8,
                )
        yield _storm(operation, _QUICK_STORM if quick else _STORM)
        yield Cell(
            "another writer puts whole items",
            Moment.START,
            _RECORDS,
            _lost_answers,
            disturb=disturbances.drop_stamps,
            operation=operation,
            job={"sweep": False},
            edge=True,
            held_back=True,
        )


def _storm(operation: str, records: int) -> Cell:
    """A third of all calls fail, half of those after they were applied, at maximum parallelism."""
    most = 400  # shards a job may have
    shards = most if records >= _STORM else most // 10  # all in flight at once
    return Cell(
        f"a third of all calls fail, half of these applied; {shards} shards at once",
        Moment.START,
        records,
        lambda table: _only(table, FaultPlan.mixed(1 / 3, seed=7).faults),
        operation=operation,
        job={"limits": {"shards_in_flight": most}},
        shards=shards,
    )


def _lost_answers(table: str) -> Faults:
    return _only(table, (Fault(kind=FaultKind.SERVER_ERROR_APPLIED, probability=0.5, operations="writes"),))


def _only(table: str, faults: Faults) -> Faults:
    return tuple(fault.model_copy(update={"tables": frozenset((table,))}) for fault in faults)


async def rows_of(stands: Stand, quick: bool) -> list[Row]:
    """Every row, told as soon as it is known."""
    rows = []
    for cell in cells(quick):
        rows.append(await run(cell, stands))
        print("  ".join(rows[-1].cells()), flush=True)
    rows.append(await asyncio.to_thread(naive.count, stands, naive.third_of_writes(), _RECORDS))
    print("  ".join(rows[-1].cells()), flush=True)
    return rows


def heading(stands: Stand) -> str:
    """Where and when it was measured."""
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, {stands.engine.name}, Python {platform.python_version()}, "
        f"{os.cpu_count()} cores, two worker processes, fault seeds fixed."
    )


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m exactness.matrix", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="the rows that tell most, in two minutes")
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the table into this document")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="exactness-", ignore_cleanup_errors=True) as folder,
        stand(Path(folder)) as stands,
    ):
        rows = asyncio.run(rows_of(stands, options.quick))
        table = f"{heading(stands)}\n\n{markdown(rows)}\n"
    print(f"\n{table}")
    if options.write:
        put_between_markers(options.write, table)
    wrong = [row for row in rows if row.wrong]
    for row in wrong:
        print(f"DOES NOT HOLD: {row.operation}, {row.fault}, {row.moment}: {'; '.join(row.wrong)}")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
