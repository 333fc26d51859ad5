"""Jobs of days, proven in an hour: `make scale`, or one part of it with ARGS="--only storm".

    python -m evidence.scale                              # everything, some two hours on two cores
    python -m evidence.scale --only simulation --only shard
    python -m evidence.scale --write docs/scale.md        # puts the tables into this document

Exit code 1 if anything that must hold does not.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from evidence.exactness.document import put_between_markers
from evidence.scale.cancels import cancels
from evidence.scale.differing import compare_differing, of_differing
from evidence.scale.million import million
from evidence.scale.parts import Part, of_cancels, of_million, of_shard, of_simulation, of_storm
from evidence.scale.shard_simulation import simulate_shard
from evidence.scale.simulation import simulate_all
from evidence.scale.storm import storm


def _storm(folder: Path) -> Part:
    return of_storm(asyncio.run(storm(folder, minutes=10)))


def _cancels(folder: Path) -> Part:
    return of_cancels(asyncio.run(cancels(folder, tries=50)))


def _parts() -> dict[str, Callable[[Path], Part]]:
    """In the order of the document; each in a folder of its own for logs."""
    return {
        "simulation": lambda _: of_simulation(simulate_all()),
        "shard": lambda _: of_shard(asyncio.run(simulate_shard(days=7))),
        "storm": _storm,
        "cancels": _cancels,
        "million": lambda folder: of_million(million(folder)),
        "differences": lambda folder: of_differing(compare_differing(folder)),
    }


def main() -> None:
    """The command line."""
    parts = _parts()
    parser = argparse.ArgumentParser(prog="python -m evidence.scale", description=__doc__)
    parser.add_argument("--only", action="append", choices=parts, help="this part; may be repeated")
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the tables into this document")
    asked = parser.parse_args()
    holds = True
    for name in asked.only or parts:
        print(f"{name} …", flush=True)
        part = parts[name](Path(tempfile.mkdtemp(prefix=f"scale-{name}-")))
        text = f"{_heading()}\n\n{part.text}\n"
        print(text, flush=True)
        for wrong in part.wrong:
            print(f"does not hold: {wrong}", flush=True)
        holds = holds and not part.wrong
        if asked.write:
            put_between_markers(asked.write, name, text)
    sys.exit(not holds)


def _heading() -> str:
    return f"{datetime.now(UTC):%Y-%m-%d}, Python {platform.python_version()}, {os.cpu_count()} cores:"


if __name__ == "__main__":
    main()
