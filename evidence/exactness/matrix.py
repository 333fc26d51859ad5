"""The exactness matrix: operation × fault × moment, each cell a real job on real servers.

    python -m evidence.exactness.matrix                          # prints the table
    python -m evidence.exactness.matrix --write docs/exactness.md  # and all rows into exactness-matrix.md
    python -m evidence.exactness.matrix --quick                  # the rows that tell most, as CI runs it
    python -m evidence.exactness.matrix --only delete --only late  # rows with all of these words in their names

Exit code 1 if anything that must hold does not.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from evidence.exactness import naive
from evidence.exactness.cells import RECORDS, cells
from evidence.exactness.document import put_between_markers
from evidence.exactness.row import Row, markdown
from evidence.exactness.running import run
from evidence.exactness.stand import Stand, stand
from evidence.exactness.summary import summary


async def rows_of(stands: Stand, quick: bool, words: Sequence[str] = ()) -> list[Row]:
    """Every row with all `words` in its name, printed once it is known; the control where there are none."""
    rows = []
    for cell in cells(quick):
        if all(word in cell.name for word in words):
            rows.append(await run(cell, stands))
            print("  ".join(rows[-1].cells()), flush=True)
    if words:
        return rows
    rows.append(await asyncio.to_thread(naive.count, stands, naive.third_of_writes(), RECORDS))
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
    parser = argparse.ArgumentParser(prog="python -m evidence.exactness.matrix", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="the rows that tell most")
    parser.add_argument(
        "--only", action="append", default=[], metavar="WORD", help="rows with this in their name; not written"
    )
    parser.add_argument(
        "--write", type=Path, metavar="FILE", help="put a line a kind into this document, all rows beside it"
    )
    options = parser.parse_args()
    if options.only and options.write:
        parser.error("--only shows some of the rows, --write writes all of them: name one of the two")
    with (
        tempfile.TemporaryDirectory(prefix="exactness-", ignore_cleanup_errors=True) as folder,
        stand(Path(folder)) as stands,
    ):
        rows = asyncio.run(rows_of(stands, options.quick, options.only))
        table = f"{heading(stands)}\n\n{markdown(rows)}\n"
    print(f"\n{table}")
    if options.write:
        put_between_markers(options.write, "summary", f"{heading(stands)}\n\n{summary(rows)}")
        beside = options.write.with_name(f"{options.write.stem}-matrix.md")
        put_between_markers(beside, "matrix", table)
    wrong = [row for row in rows if row.wrong]
    for row in wrong:
        print(f"DOES NOT HOLD: {row.operation}, {row.scene}, {row.fault}, {row.moment}: {'; '.join(row.wrong)}")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
