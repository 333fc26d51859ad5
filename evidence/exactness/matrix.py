"""The exactness matrix: operation × fault × moment, each cell a real job on real servers.

    python -m evidence.exactness.matrix                          # prints the table
    python -m evidence.exactness.matrix --write docs/exactness.md  # and all rows into exactness-matrix.md
    python -m evidence.exactness.matrix --quick                  # what tells most; CI runs a third
    python -m evidence.exactness.matrix --processes 2            # two cells at a time
    python -m evidence.exactness.matrix --only delete --only late  # rows with all of these words in their names

Exit code 1 if anything that must hold does not.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import chain, islice
from multiprocessing import get_context
from pathlib import Path
from typing import TypeAlias

from evidence.exactness import naive
from evidence.exactness.cell import Cell
from evidence.exactness.cells import QUICK_RECORDS, RECORDS, cells
from evidence.exactness.comparing import run_comparison
from evidence.exactness.comparing_documents import run_document_comparison
from evidence.exactness.comparisons import Comparison, comparisons
from evidence.exactness.destinations import Copies, Documents
from evidence.exactness.document import put_between_markers
from evidence.exactness.document_comparisons import DocumentComparison, document_comparisons
from evidence.exactness.following import run_follow
from evidence.exactness.follows import Follow, follows
from evidence.exactness.indexes import Indexing, indexes
from evidence.exactness.indexing import run_indexing
from evidence.exactness.refreshes import Refresh, document_refreshes, refreshes
from evidence.exactness.refreshing import Where, run_refresh
from evidence.exactness.repairing import run_repair
from evidence.exactness.repairs import Repair, repairs
from evidence.exactness.replicas import FOLLOWED, Replica, replicas
from evidence.exactness.replicating import run_replica
from evidence.exactness.row import Row, markdown, read_markdown
from evidence.exactness.running import run
from evidence.exactness.search_stand import SearchStand, search_stand
from evidence.exactness.stand import Stand, stand
from evidence.exactness.summary import summary
from testbed.embedded import available_engines

AnyCell: TypeAlias = Cell | Comparison | Repair | Indexing | Follow | Replica


async def rows_of(servers: Stand, part: Part) -> list[tuple[int, Row]]:
    """Each row of the part with its place in the table, printed once it is known."""
    rows = []
    with ExitStack() as running:
        runner = _Runner(servers, running)
        for place, cell in part.cells():
            rows.append((place, part.kept(place) or await runner.run(cell)))
            part.keep(*rows[-1])
            print("  ".join(rows[-1][1].cells()), flush=True)
    if part.number == 0 and not part.words:  # the control, which has to be wrong
        records = QUICK_RECORDS if part.quick else RECORDS
        control = await asyncio.to_thread(naive.count, servers, naive.third_of_writes(), records)
        rows.append((sys.maxsize, control))
        print("  ".join(rows[-1][1].cells()), flush=True)
    return rows


class _Runner:
    """Runs cells of every kind. OpenSearch is started for the first index, and runs until `running` ends."""

    def __init__(self, servers: Stand, running: ExitStack) -> None:
        self._servers, self._running = servers, running
        self._search: SearchStand | None = None

    async def run(self, cell: AnyCell) -> Row:
        """The row of the cell. One whose job had ended before its fault began has shown nothing: once more."""
        row = await self._once(cell)
        return await self._once(cell) if row.wrong == ["nothing was injected"] else row

    async def _once(self, cell: AnyCell) -> Row:
        if isinstance(cell, Follow):
            return await run_follow(cell, self._servers, self._opened)
        if isinstance(cell, DocumentComparison):
            return await run_document_comparison(cell, self._servers, self._opened)
        if isinstance(cell, Indexing):
            return await run_indexing(cell, self._servers, self._opened)
        if isinstance(cell, Refresh):
            return await run_refresh(cell, self._servers, self._destination(cell))
        if isinstance(cell, Replica):
            return await run_replica(cell, self._servers)
        if isinstance(cell, Repair):
            return await run_repair(cell, self._servers)
        if isinstance(cell, Comparison):
            return await run_comparison(cell, self._servers)
        return await run(cell, self._servers)

    @property
    def _opened(self) -> SearchStand:
        if self._search is None:
            self._search = self._running.enter_context(search_stand(self._servers.folder))
        return self._search

    def _destination(self, cell: Refresh) -> Where:
        if cell.side == FOLLOWED:
            return Copies
        search = self._opened
        return lambda stand, table: Documents(stand, search, table)


@dataclass(frozen=True)
class Part:
    """Which cells a process runs: each `of`-th from `number` on, with all `words` in their names.

    `most`: the first of these; None: all.
    """

    quick: bool
    words: Sequence[str] = ()
    number: int = 0
    of: int = 1
    folder: Path | None = None  # of rows that are known already
    most: int | None = None

    def cells(self) -> Iterator[tuple[int, AnyCell]]:
        """Each with its place in the table."""
        quick = self.quick
        every: Iterator[AnyCell] = chain(
            cells(quick),
            comparisons(quick),
            repairs(quick),
            indexes(quick),
            follows(quick),
            replicas(quick),
            refreshes(quick),
            document_comparisons(quick),
            document_refreshes(quick),
        )
        chosen = (
            (place, cell)
            for place, cell in enumerate(every)
            if self.has(place) and all(word in cell.name for word in self.words)
        )
        yield from islice(chosen, self.most)

    def kept(self, place: int) -> Row | None:
        """The row of an earlier run, if it holds."""
        file = self.folder / f"{place}.json" if self.folder else None
        row = Row(**json.loads(file.read_text())) if file and file.exists() else None
        return row if row and not row.wrong else None

    def keep(self, place: int, row: Row) -> None:
        """For a run that goes on where this one ended."""
        if self.folder:
            (self.folder / f"{place}.json").write_text(json.dumps(asdict(row)))

    def has(self, place: int) -> bool:
        """Whether the cell at that place of the table is one of them."""
        return place % self.of == self.number

    def run(self) -> tuple[str, list[tuple[int, Row]]]:
        """(engine's name, rows), on servers and workers of its own, unless all rows are known."""
        known = [(place, self.kept(place)) for place, _ in self.cells()]
        if self.words and all(row for _, row in known):
            return available_engines()[0], [(place, row) for place, row in known if row]
        with (
            tempfile.TemporaryDirectory(prefix="exactness-", ignore_cleanup_errors=True) as folder,
            stand(Path(folder)) as servers,
        ):
            return servers.engine.name, asyncio.run(rows_of(servers, self))


def whole(
    quick: bool, words: Sequence[str], processes: int, folder: Path | None = None
) -> tuple[str, list[Row]]:
    """(engine's name, rows in order). Cells mostly wait: two processes take little more than half as long."""
    if processes == 1:
        found = [Part(quick, words, folder=folder).run()]
    else:
        with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
            parts = [Part(quick, words, number, processes, folder) for number in range(processes)]
            found = list(pool.map(Part.run, parts))
    places = dict(row for _, rows in found for row in rows)
    return found[0][0], [places[place] for place in sorted(places)]


def heading(engine: str) -> str:
    """Where and when it was measured."""
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, {engine}, Python {platform.python_version()}, "
        f"{os.cpu_count()} cores, two worker processes, fault seeds fixed."
    )


def write(document: Path, measured: str, rows: Sequence[Row], *, some: bool) -> None:
    """Put a line a kind into the document, and all rows beside it. `some`: the other rows stay as they are."""
    beside = document.with_name(f"{document.stem}-matrix.md")
    every = list(rows)
    if some:
        before = beside.read_text()
        every = taken_over(read_markdown(before), rows)
        operations = ", ".join(dict.fromkeys(row.operation for row in rows))
        above = before.split("<!-- matrix: written by make -->")[1].split("\n|")[0].splitlines()
        others = [line for line in above if line and not line.startswith(f"Of {operations}: ")]
        of_these = [] if measured in others else [f"Of {operations}: {measured}"]  # where and when differ
        measured = "\n\n".join([*others, *of_these])
    put_between_markers(document, "summary", f"{measured}\n\n{summary(every)}")
    put_between_markers(beside, "matrix", f"{measured}\n\n{markdown(every)}\n")


def taken_over(before: Sequence[Row], new: Sequence[Row]) -> list[Row]:
    """Rows of an earlier run, new ones in their places; those of new cells before the control at the end."""
    known = {row.cell: row for row in new}
    rows = [known.pop(row.cell, row) for row in before]
    return [*rows[:-1], *known.values(), *rows[-1:]]


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m evidence.exactness.matrix", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="the rows that tell most")
    parser.add_argument(
        "--only", action="append", default=[], metavar="WORD", help="rows with this in their name"
    )
    parser.add_argument(
        "--write",
        type=Path,
        metavar="FILE",
        help="put a line a kind into this document, all rows beside it; with --only the others stay",
    )
    parser.add_argument(
        "--processes",
        type=int,
        default=1,
        metavar="N",
        help="side by side, each on servers of its own (default: 1)",
    )
    parser.add_argument(
        "--rows", type=Path, metavar="FOLDER", help="keep rows here; those that hold are not run again"
    )
    options = parser.parse_args()
    if options.rows:
        options.rows.mkdir(parents=True, exist_ok=True)
    engine, rows = whole(options.quick, options.only, options.processes, options.rows)
    print(f"\n{heading(engine)}\n\n{markdown(rows)}\n")
    if options.write:
        write(options.write, heading(engine), rows, some=bool(options.only))
    wrong = [row for row in rows if row.wrong]
    for row in wrong:
        print(f"DOES NOT HOLD: {row.operation}, {row.scene}, {row.fault}, {row.moment}: {'; '.join(row.wrong)}")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
