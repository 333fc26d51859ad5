"""One line a kind: what all cells have in common in which the same thing happens, and the worst of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from evidence.exactness.row import Row, table

_COLUMNS = (
    "records",
    "injected",
    "changed twice, at most",
    "lost, at most",
    "deletions uncounted, at most",
    "holds",
)


def summary(rows: Sequence[Row]) -> str:
    """A table by what happens, in the order in which it first does, and one by what the job is over."""
    happens = ("what happens", "cells", "operations", "tables and scopes", *_COLUMNS)
    over = ("table and scope", "cells", "operations", "kinds of what happens", *_COLUMNS)
    by_kind = table(happens, _lines(rows, lambda row: row.fault, lambda row: row.scene))
    return f"{by_kind}\n\n{table(over, _lines(rows, lambda row: row.scene, lambda row: row.fault))}"


def _lines(rows: Sequence[Row], name: Callable[[Row], str], other: Callable[[Row], str]) -> list[Sequence[str]]:
    """A line for each name, with the number of different `other`s among its rows."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(name(row), []).append(row)
    return [
        (
            kind,
            f"{len(group):,}",
            ", ".join(_in_order(row.operation for row in group)),
            f"{len(_in_order(map(other, group))):,}",
            *_worst(group),
        )
        for kind, group in groups.items()
    ]


def _worst(rows: Sequence[Row]) -> Sequence[str]:
    injected = Counter[str]()
    for row in rows:
        injected.update(row.injected)
    within = [row for row in rows if not row.edge] or rows  # the edge of the promise has rows of its own
    edge = " (the edge)" if within is rows and rows[0].edge else ""
    wrong = sum(bool(row.wrong) for row in rows)
    return (
        f"{sum(row.records for row in rows):,}",
        f"{injected.total():,}",
        f"{max(row.changed_twice for row in within):,}{edge}",
        f"{max(row.lost for row in within):,}{edge}",
        f"{max(row.uncounted for row in rows):,}",
        "all" if not wrong else f"NO: {wrong:,} of {len(rows):,} do not",
    )


def _in_order(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))
