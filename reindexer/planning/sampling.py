"""Some rows of the scope, read before the start: what they carry decides what is warned about or refused."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from reindexer.answers import CallFailed
from reindexer.dynamo.table import KEYS_PER_CALL, TableClient
from reindexer.dynamo.wire import merged, projection
from reindexer.items import WireItem, WireKey, from_json_key, key_identity
from reindexer.models import Attributes, PartitionRange, PartitionScope
from reindexer.partitions.bounds import Bounds, query_of
from reindexer.planning.asking import ask, verdict
from reindexer.planning.partitions.scope import where
from reindexer.planning.reach import Reach

#: What AWS itself writes into each item of a global table of version 2017.11.29.
REPLICATED = ("aws:rep:deleting", "aws:rep:updatetime", "aws:rep:updateregion")
_FIRST_ROWS = 100  # a table of up to this many rows is seen whole, for at most one page's price
_PLACES = 4  # segments of a larger table, besides its first rows; partitions of a scope
_OF = 10_000  # segments to choose them from, so that each place is a random one
_ROWS_EACH = 25  # with four places another hundred rows


@dataclass(frozen=True, slots=True)
class Sampled:
    """What some rows of the scope carry. `wrong_type`: rows whose version is not a number."""

    rows: int
    highest: int | None
    wrong_type: int
    whole: bool  # the sample is the whole scope
    replicated: int  # rows with attributes of a global table of version 2017.11.29
    items: list[WireItem]  # what was read of the rows


def sample(
    table: TableClient,
    attributes: Attributes,
    run: str,
    reach: Reach,
    *,
    items: bool = False,
    also: Iterable[str] = (),
) -> Sampled:
    """Look at about 100 to 200 rows of the scope: the first ones, and some at places fixed by `run`.

    `items`: read them whole, which takes no more capacity; else `also` names more attributes to read.

    Not a proof: a higher version may sit elsewhere; such records end as `superseded`.
    """
    name = attributes.version
    shape = {} if items else projection([name, *REPLICATED, *also])
    if reach.keys:
        some = [from_json_key(key) for key in reach.keys[:KEYS_PER_CALL]]
        rows, whole = _named(table, some, shape), len(some) == len(reach.keys)
        scanned = len(rows)
    elif reach.within is not None:
        rows, whole = _of_partitions(table, reach.within, reach, run, shape)
        scanned = len(rows)
    else:
        rows, whole, scanned = _scanned(table, run, shape)
    stored = [row[name] for row in rows if name in row]
    numbers = [Decimal(value["N"]) for value in stored if "N" in value]
    highest = max(numbers, default=None)
    return Sampled(
        rows=scanned,
        # Rounded up: a target is an integer, and 7.5 is above 7.
        highest=None if highest is None else int(highest.to_integral_value(rounding="ROUND_CEILING")),
        wrong_type=len(stored) - len(numbers),
        whole=whole,
        replicated=sum(any(own in row for own in REPLICATED) for row in rows),
        items=rows,
    )


def _scanned(table: TableClient, run: str, shape: dict[str, Any]) -> tuple[list[WireItem], bool, int]:
    """(rows of the table, whether these are all, how many were read)."""
    places = random.Random(run).sample(range(_OF), _PLACES)
    asked: dict[str, Any] = {"TableName": table.table, **shape}
    answer = _answer(table, "scan", "Scan", Limit=_FIRST_ROWS, **asked)
    answers, whole = [answer], not answer.get("LastEvaluatedKey")
    if not whole:
        parts: Iterator[dict[str, Any]] = ({"Segment": place, "TotalSegments": _OF} for place in places)
        answers += [_answer(table, "scan", "Scan", Limit=_ROWS_EACH, **part, **asked) for part in parts]
    rows = [row for answer in answers for row in answer.get("Items", [])]
    return rows, whole, sum(int(answer.get("ScannedCount", 0)) for answer in answers)


def _of_partitions(
    table: TableClient, within: PartitionScope, reach: Reach, run: str, shape: dict[str, Any]
) -> tuple[list[WireItem], bool]:
    """(rows of some of the partitions, whether these are all)."""
    values = random.Random(run).sample(list(reach.values), min(_PLACES, len(reach.values)))
    whole = len(values) == len(reach.values)
    keys = [attribute.name for attribute in reach.key]
    if within.index is not None:  # keys alone are read from it, the rows from the table
        shape, rows_shape = projection(keys), shape
    rows: list[WireItem] = []
    for value in values:
        part = PartitionRange(value=value)
        asked = merged(shape, query_of(within, part, Bounds(within, part)))
        bounds = {"TableName": table.table, "Limit": _ROWS_EACH}
        answer = _answer(table, "query", "Query", within.index, **asked, **bounds)
        rows += answer.get("Items", [])
        whole = whole and not answer.get("LastEvaluatedKey")
    if within.index is None or not rows:
        return rows, whole
    distinct = list({key_identity(row): row for row in rows}.values())
    return _named(table, distinct, rows_shape), whole


def _named(table: TableClient, keys: Sequence[WireKey], shape: dict[str, Any]) -> list[WireItem]:
    """Those of up to 100 records that exist."""
    request = {table.table: {"Keys": keys, "ConsistentRead": True, **shape}}
    answer = _answer(table, "batch_get_item", "BatchGetItem", RequestItems=request)
    return [row for rows in (answer.get("Responses") or {}).values() for row in rows]


def _answer(
    table: TableClient, operation: str, action: str, index: str | None = None, **asked: Any
) -> dict[str, Any]:
    try:
        return ask(table, operation, **asked)
    except CallFailed as failed:
        raise verdict(failed, f"dynamodb:{action}", where(table.table, index)) from failed
