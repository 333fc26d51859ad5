"""Measure and compare, in one go and on one engine: `python -m evidence.benchmarks`, or `make bench`.

Exit code 0: every floor holds; 1: one is missed; 2: bad options; 3: a server cannot be had.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from evidence.benchmarks import (
    comparing,
    faulty,
    following,
    following_replica,
    indexing,
    replicating,
    safety,
    spine,
    transforming,
)
from evidence.benchmarks.anatomy import Parts, run_anatomy
from evidence.benchmarks.measured import Section, ratio
from evidence.benchmarks.stand import stand
from evidence.benchmarks.tables import make_table
from testbed.cities import EVERY, LARGE
from testbed.embedded import ServerUnavailable, cure_parallel_scans
from testbed.stack import Stack

#: Sections that make tables of their own.
_OWN_TABLES = ("compare", "index", "follow", "replicate", "replicate-follow")
_SECTIONS = ("spine", "transform", "profile", "faults", "safety", *_OWN_TABLES)
_RECORDS = 120_000  # about ten seconds of a job: its start and end no longer decide
_SMALL_SHARE = 4  # the small table has every n-th record
_PROCESSES = 2  # workers, and processes of the bare loop
_REPEAT = 3  # the least that has a median worth the name
_BUSY = 0.5  # load per core before the first run from which times are no longer ours
_LARGE, _SMALL, _CITIES = "benchmark-large", "benchmark-small", "benchmark-cities"
_EVERY_CITY = 234_908  # of 500 inhabitants or more
_WIDTH = 118  # columns where there is no terminal to ask

_out = Console(highlight=False, width=None if sys.stdout.isatty() else _WIDTH)


def main() -> None:
    """The command line."""
    options = _options()
    try:
        with (
            tempfile.TemporaryDirectory(prefix="benchmark-", ignore_cleanup_errors=True) as folder,
            stand(options.engine, Path(folder), options.processes) as servers,
        ):
            sections = _measure(servers, options)
    except ServerUnavailable as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(3)  # no one there
    for section in sections:
        _show(section)
    if options.json:
        options.json.write_text(json.dumps(_plain(options, sections), indent=2) + "\n")
    missed = [floor.what for section in sections for floor in section.floors if not floor.holds]
    _out.print(f"[red]missed: {'; '.join(missed)}" if missed else "[green]every floor holds")
    sys.exit(1 if missed else 0)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m evidence.benchmarks",
        description=__doc__,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--engine", default="dynoxide", help="dynoxide, ministack or local")
    parser.add_argument("--records", type=int, default=_RECORDS, help="in the large table")
    parser.add_argument("--repeat", type=int, default=_REPEAT, help="runs of each row")
    parser.add_argument("--processes", type=int, default=_PROCESSES, help="worker processes")
    parser.add_argument("--only", type=_sections, default=",".join(_SECTIONS), help="sections, comma-separated")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all numbers there, too")
    return parser.parse_args()


def _sections(text: str) -> tuple[str, ...]:
    chosen = tuple(part.strip() for part in text.split(","))
    unknown = [name for name in chosen if name not in _SECTIONS]
    if unknown:
        known = ", ".join(_SECTIONS)
        raise argparse.ArgumentTypeError(f"no section called {', '.join(unknown)}: choose of {known}")
    return chosen


def _measure(servers: Stack, options: argparse.Namespace) -> list[Section]:
    records, few, repeat = options.records, max(1000, options.records // _SMALL_SHARE), options.repeat
    began = time.monotonic()

    def announce(text: str) -> None:
        print(f"{time.monotonic() - began:5.0f} s  {text}", file=sys.stderr, flush=True)

    if os.getloadavg()[0] > _BUSY * (os.cpu_count() or 1):
        announce(
            f"others are busy on this machine (load {os.getloadavg()[0]:.1f}): do not trust times and floors"
        )
    places = min(_EVERY_CITY, 2 * records)  # fewer where the caller is in a hurry
    for name, size, inhabitants in ((_LARGE, records, LARGE), (_SMALL, few, LARGE), (_CITIES, places, EVERY)):
        if (name == _CITIES and "transform" not in options.only) or set(options.only) <= set(_OWN_TABLES):
            continue
        filled = make_table(name, size, servers.processes, inhabitants)
        cure_parallel_scans(servers.engine, name)
        announce(f"{name}: {size:,} records written, {filled.rate:,.0f}/s, CPU {filled.cpu:.1f} s")
    ways: dict[str, Callable[[], Section]] = {
        "spine": lambda: spine.measure(servers, _LARGE, _SMALL, records, repeat, announce),
        "transform": lambda: transforming.measure(servers, _CITIES, repeat, announce),
        "profile": lambda: Section("profile", data=run_anatomy(_SMALL)),
        "faults": lambda: faulty.measure(servers, _LARGE, repeat, announce),
        "safety": lambda: safety.measure(servers, _SMALL, repeat, announce),
        "compare": lambda: comparing.measure(servers, records, repeat, announce),
        "index": lambda: indexing.measure(servers, records, repeat, announce),
        "follow": lambda: following.measure(servers, records, repeat, announce),
        "replicate": lambda: replicating.measure(servers, records, repeat, announce),
        "replicate-follow": lambda: following_replica.measure(servers, records, repeat, announce),
    }
    return [ways[name]() for name in _SECTIONS if name in options.only]


def _show(section: Section) -> None:
    if section.rows:
        _out.print(_rows(section))
    if section.name == "profile":
        _out.print(_profile(section.data))
    for fact in section.facts:
        _out.print(fact)
    for floor in section.floors:
        plain = floor.plain()
        mark = "[green]holds [/]" if floor.holds else "[red]MISSED[/]"
        _out.print(f"  {mark} {floor.what}: {floor.value:.2f} (floor {plain['bound']})")
    _out.print()


def _rows(section: Section) -> Table:
    table = Table(title=section.name, title_justify="left")
    table.add_column("")
    for heading in ("records/s", "first row is", "CPU s/million", "peak MB"):
        table.add_column(heading, justify="right")
    table.add_column("")
    for row in section.rows:
        table.add_row(
            row.name,
            f"{row.rate:,.0f}",
            f"{ratio(section.rows[0], row):.2f} ×",
            f"{row.cpu_per_million:,.0f}",
            f"{row.peak_mb:.0f}",
            row.note,
        )
    return table


def _profile(found: dict[str, Parts]) -> Table:
    table = Table(title="profile: microseconds a record, one thread, no Temporal server", title_justify="left")
    for name in found:
        table.add_column(name)
        table.add_column("wall", justify="right")
        table.add_column("CPU", justify="right")
    columns = [list(parts.items()) for parts in found.values()]
    for line in zip_longest(*columns):
        cells = [("", "", "") if c is None else (c[0], f"{c[1][0]:.1f}", f"{c[1][1]:.1f}") for c in line]
        table.add_row(*chain.from_iterable(cells))
    return table


def _plain(options: argparse.Namespace, sections: list[Section]) -> dict[str, Any]:
    return {
        "engine": options.engine,
        "records": options.records,
        "repeat": options.repeat,
        "processes": options.processes,
        "sections": {
            section.name: {
                "rows": [row.plain() for row in section.rows],
                "floors": [floor.plain() for floor in section.floors],
                **section.data,
            }
            for section in sections
        },
    }


if __name__ == "__main__":
    main()
