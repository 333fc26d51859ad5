"""Pairs of tables to compare: one is a copy of the other, but for one row in a hundred where that is wanted."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import islice
from typing import Any

from evidence.benchmarks.tables import KEY, make_table
from reindexer.dynamo.client import make_client
from testbed.cities import cities
from testbed.embedded import cure_parallel_scans
from testbed.stack import Stack

_ONE_IN = 100  # rows differ: 1 %
_KINDS = ("different", "missing", "extraneous")  # in turn


@dataclass(frozen=True)
class Pair:
    """Two tables of `rows` each, and what is planted between them, by kind."""

    name: str
    table: str
    other: str
    rows: int
    planted: Counter[str]


def make_pairs(servers: Stack, rows: int) -> tuple[Pair, Pair, Pair]:
    """(equal, 1 % different, ten rows to warm up with)."""
    table, copy, altered = (f"benchmark-compared{suffix}" for suffix in ("", "-copy", "-altered"))
    few, few_copy = "benchmark-ten", "benchmark-ten-copy"
    for name, size in ((table, rows), (copy, rows), (altered, rows), (few, 10), (few_copy, 10)):
        make_table(name, size, servers.processes)
        cure_parallel_scans(servers.engine, name)
    return (
        Pair("equal", table, copy, rows, Counter()),
        Pair("1 % differ", table, altered, rows, _alter(altered, rows)),
        Pair("ten rows", few, few_copy, 10, Counter()),
    )


def _alter(table: str, rows: int) -> Counter[str]:
    """Make each hundredth row another one, take it away, or add one that the first table has not."""
    client: Any = make_client(lean=False)
    planted: Counter[str] = Counter()
    for number, item in enumerate(islice(cities(rows), 0, None, _ONE_IN)):
        kind = _KINDS[number % len(_KINDS)]
        planted[kind] += 1
        if kind == "missing":
            client.delete_item(TableName=table, Key={KEY: item[KEY]})
        elif kind == "different":
            client.put_item(TableName=table, Item={**item, "name": {"S": "Elsewhere"}})
        else:
            client.put_item(TableName=table, Item={**item, KEY: {"S": f"{item[KEY]['S']}-extraneous"}})
    return planted
