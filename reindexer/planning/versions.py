"""The target version: chosen, and held against what the table already carries."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from reindexer.dynamo.table import CallFailed, TableClient
from reindexer.dynamo.wire import projection
from reindexer.errors import BadInput, Refused
from reindexer.items import WireItem
from reindexer.models import MAX_VERSION, Attributes, Touch, Transform
from reindexer.planning.asking import ask, verdict

#: What AWS itself writes into each item of a global table of version 2017.11.29.
REPLICATED = ("aws:rep:deleting", "aws:rep:updatetime", "aws:rep:updateregion")
_FIRST_ROWS = 100  # a table of up to so many rows is seen whole, for at most one page's price
_SEGMENTS = 4  # places of a larger table, besides its first rows
_OF = 10_000  # segments to choose them from, so that each place is a random one
_ROWS_EACH = 25  # with four places another hundred rows


@dataclass(frozen=True, slots=True)
class Sampled:
    """What some rows of the table carry. `wrong_type`: rows whose version is not a number."""

    rows: int
    highest: int | None
    wrong_type: int
    whole: bool  # the sample is the whole table
    replicated: int  # rows with attributes of a global table of version 2017.11.29
    items: list[WireItem]  # what was read of the rows


def sample(
    table: TableClient, attributes: Attributes, run: str, *, items: bool = False, also: Iterable[str] = ()
) -> Sampled:
    """Look at about 100 to 200 rows: the first ones, and some at pseudo-random places fixed by `run`.

    `items`: read them whole, which takes no more capacity; else `also` names more attributes to read.

    Not a proof: a higher version may sit elsewhere; such records end as `superseded`.
    """
    name = attributes.version
    parameters: dict[str, Any] = {"TableName": table.table}
    parameters |= {} if items else projection([name, *REPLICATED, *also])
    try:
        answer = ask(table, "scan", Limit=_FIRST_ROWS, **parameters)
        rows, scanned = list(answer.get("Items", [])), int(answer.get("ScannedCount", 0))
        whole = not answer.get("LastEvaluatedKey")
        if not whole:
            for segment in random.Random(run).sample(range(_OF), _SEGMENTS):
                place = {"Segment": segment, "TotalSegments": _OF}
                answer = ask(table, "scan", Limit=_ROWS_EACH, **place, **parameters)
                rows += answer.get("Items", [])
                scanned += int(answer.get("ScannedCount", 0))
    except CallFailed as failed:
        raise verdict(failed, "dynamodb:Scan", table.table) from failed
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


def target_version(
    operation: Touch | Transform,
    started_at: datetime,
    recorded: int | None,
    found: Sampled,
    *,
    allow_lower: bool,
) -> tuple[int, list[str]]:
    """The target, and warnings about it.

    None: the start in milliseconds. "next": one above what the ledger records and the sample shows. A target
    equal to what is there is fine: the same version again changes nothing. Raises `BadInput`, or `Refused` of
    kind `LowerVersion` where the sample shows a higher one.
    """
    if operation.version == "next":
        version = max(recorded or 0, found.highest or 0) + 1
        if version > MAX_VERSION:
            raise BadInput(
                f"the next version would be {version}, above {MAX_VERSION}; name one", "operation.version"
            )
    else:
        version = operation.version or int(started_at.timestamp() * 1000)  # milliseconds
    if allow_lower:
        return version, []
    if found.highest is not None and found.highest > version:
        raise Refused(
            f"operation.version {version} is below version {found.highest}, which records of the table already "
            f'carry and would keep; take {found.highest} or more, or "next", or set allow_lower',
            "LowerVersion",
        )
    if recorded is not None and recorded > version and found.rows:
        return version, [
            f"an earlier job aimed at version {recorded} here, above this one's {version}; "
            "records that carry it end as superseded"
        ]
    return version, []
