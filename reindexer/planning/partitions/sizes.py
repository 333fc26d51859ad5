"""How large partitions are, seen by one short Query each; huge ones are cut.

Sizes only decide who does how much: they are old as soon as they are known.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from reindexer.answers import Action, CallFailed
from reindexer.dynamo.table import TableClient
from reindexer.items import text_of
from reindexer.models import PartitionRange, PartitionScope, SortCondition
from reindexer.partitions.bounds import Bounds, query_of
from reindexer.planning.asking import ask, verdict
from reindexer.planning.partitions.cutting import OutOfTime, cut
from reindexer.planning.partitions.scope import where

#: Rows looked at of a partition, or of a part of one; with more it may be worth several shards.
_ROWS = 1000
#: Seconds for looking at all partitions, and for cutting the huge ones: a plan has two minutes, and other
#: things to ask. 10,000 partitions take about 15 s on a service that answers in 10 ms.
_SECONDS_TO_LOOK, _SECONDS_TO_CUT = 40.0, 20.0
_THREADS = 8  # calls in flight: several hundred a second, which no table notices
_TRIES = 4  # of a busy service, about 1 s; then the partition is taken as it is


@dataclass(frozen=True, slots=True)
class Sizes:
    """Ranges in the order of the values, with whether more rows than were seen are there; and warnings."""

    ranges: list[tuple[PartitionRange, bool]]
    warnings: list[str]


def looked_at(
    table: TableClient,
    scope: PartitionScope,
    values: Sequence[str],
    *,
    wanted: int,
    most_parts: int,
    rate: float | None,
) -> Sizes:
    """Look at each partition, and cut those that are huge, into at most `wanted` parts in all.

    `most_parts` of one partition; `rate`: read units a second. Where time does not suffice, the rest is taken
    as it is, and a warning says so. Raises `Refused` where Query is denied, `EnvironmentFault` where AWS is not
    there for the table.
    """
    whole = [PartitionRange(value=value) for value in values]
    pace = Pace(rate)
    with ThreadPoolExecutor(_THREADS) as pool:
        look = Look(table, scope, pace, time.monotonic() + _SECONDS_TO_LOOK)
        seen = list(pool.map(look.size_if_seen, whole))
        huge = [place for place, (_, more) in enumerate(seen) if more]
        parts = min(most_parts, wanted // len(huge)) if huge else 0
        pieces: dict[int, list[tuple[PartitionRange, bool]]] = {}
        if parts > 1 and scope.sort is not None:
            kind = scope.sort.type
            look = Look(table, scope, pace, time.monotonic() + _SECONDS_TO_CUT)
            made = pool.map(lambda place: cut(whole[place], kind, parts, look), huge)
            pieces = dict(zip(huge, made, strict=True))
    ranges: list[tuple[PartitionRange, bool]] = []
    for place, (rows, more) in enumerate(seen):
        known = whole[place].model_copy(update={"rows": None if more else rows})
        ranges += pieces.get(place) or [(known, more)]
    missed = sum(rows is None and not more for rows, more in seen)
    if not missed:
        return Sizes(ranges, [])
    warning = (
        f"{missed:,} of {len(values):,} partitions were not looked at before the start, as time ran out: they "
        "are not split, and the remaining time is not known"
    )
    return Sizes(ranges, [warning])


class Pace:
    """Keeps calls of several threads to a rate of read units; None: as fast as they go."""

    def __init__(self, rate: float | None) -> None:
        self._rate, self._lock, self._next_at = rate, threading.Lock(), time.monotonic()

    def wait(self, until: float) -> None:
        """Wait for the next call's turn. Raises `OutOfTime`."""
        with self._lock:
            turn = self._next_at if self._rate else 0.0
        if max(turn, time.monotonic()) >= until:
            raise OutOfTime
        time.sleep(max(0.0, turn - time.monotonic()))

    def spend(self, units: float) -> None:
        if self._rate:
            with self._lock:
                self._next_at = max(self._next_at, time.monotonic()) + units / self._rate


class Look:
    """Queries of one table or index, until a moment. Thread-safe."""

    def __init__(self, table: TableClient, scope: PartitionScope, pace: Pace, until: float) -> None:
        self._table, self._scope, self._pace, self._until = table, scope, pace, until

    def size_if_seen(self, part: PartitionRange) -> tuple[int | None, bool]:
        """As `size`; (None, False) when the time is over."""
        try:
            return self.size(part)
        except OutOfTime:
            return None, False

    def size(self, part: PartitionRange) -> tuple[int | None, bool]:
        """(rows, whether there are more). Of a part with an end one row too many may be counted: its end."""
        answer = self._ask(part, self._scope, Limit=_ROWS, Select="COUNT")
        return int(answer["Count"]), bool(answer.get("LastEvaluatedKey"))

    def first(self, part: PartitionRange) -> str | None:
        """The lowest existing sort key: a part's own beginning, of which only the first part has none."""
        return part.first or self._edge(part.model_copy(update={"before": None}), self._scope)

    def last(self, part: PartitionRange) -> str | None:
        """The highest existing sort key below the part's end, or the scope's."""
        whole = part.model_copy(update={"first": None, "before": None})
        if part.before is None:
            return self._edge(whole, self._scope, forward=False)
        return self._edge(whole, self._under("lt", part.before), forward=False)

    def at_or_above(self, part: PartitionRange, value: str) -> str | None:
        """The lowest existing sort key at or above a value."""
        whole = part.model_copy(update={"first": None, "before": None})
        return self._edge(whole, self._under("gte", value))

    def _under(self, operator: Any, value: str) -> PartitionScope:
        condition = SortCondition(operator=operator, values=[value])
        return self._scope.model_copy(update={"condition": condition})

    def _edge(self, part: PartitionRange, scope: PartitionScope, *, forward: bool = True) -> str | None:
        assert scope.sort is not None, "without a sort key a partition is one row"
        rows = self._ask(part, scope, Limit=1, ScanIndexForward=forward)["Items"]
        return text_of(rows[0][scope.sort.name]) if rows else None

    def _ask(self, part: PartitionRange, scope: PartitionScope, **more: Any) -> dict[str, Any]:
        """One answer. Raises `OutOfTime` when the time is over, or the service too busy to tell."""
        self._pace.wait(self._until)
        asked = query_of(scope, part, Bounds(scope, part))
        try:
            answer = ask(
                self._table,
                "query",
                tries=_TRIES,
                TableName=self._table.table,
                ReturnConsumedCapacity="TOTAL",
                **asked,
                **more,
            )
        except CallFailed as failed:
            if failed.failure.action in (Action.WAIT, Action.RETRY):
                raise OutOfTime from failed
            raise verdict(failed, "dynamodb:Query", where(self._table.table, scope.index)) from failed
        self._pace.spend(float((answer.get("ConsumedCapacity") or {}).get("CapacityUnits") or 0.0))
        return answer
