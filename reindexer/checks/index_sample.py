"""Whether an index holds what its records say: a random sample of them, rendered again and compared."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import Any

from reindexer.answers import Action, CallFailed
from reindexer.compare.made_documents import Made
from reindexer.dynamo.table import TableClient
from reindexer.errors import Interrupted, RecordFailed
from reindexer.items import Key, WireItem, to_json_key
from reindexer.models import IndexSample, IndexSampleInput, Segment
from reindexer.operations.index import IndexOperation
from reindexer.round_context import RoundContext
from reindexer.search.asking import repeated
from reindexer.search.client import SearchClient
from reindexer.sources import make_source
from reindexer.throttle import Budget, backoff

_MAX_SEGMENTS = 1_000_000  # DynamoDB's limit of TotalSegments
#: Records that a segment should have: each segment costs a call, and neighbours say less than others.
_RECORDS_PER_SEGMENT = 10
#: Records taken of one segment: of a large partition, which no segment divides, the first ones.
_MAX_OF_SEGMENT = 20
#: Segments at most: twice as many as should be needed. Many may be empty, where few partition keys have all.
_MAX_READ = 40
#: Read units at most, 4 MB: where a query leaves out most of what is read, fewer records are compared.
_MAX_UNITS = 1000.0
_NAMED = 10  # keys that are named: enough to look at


def sample_index(
    request: IndexSampleInput, table: TableClient, client: SearchClient, context: RoundContext
) -> IndexSample:
    """Compare about `request.records` records, read consistently, with their documents, read in real time.

    A record that should have no document is `different` where it has one. One whose document cannot be made is
    not compared. Ends early, with what it has, when its time is over or it is asked to stop. Raises
    `CallFailed`, `EnvironmentFault`, `Refused`.
    """
    made = Made(request.target, client, context)
    seen = _Compared(made)
    until = context.now() + request.seconds
    for rows in _pages(request, made.operation, table, context):
        try:
            seen.compare(rows)
        except Interrupted:
            break
        if seen.sampled >= request.records or context.now() >= until or context.stopping():
            break
    return seen.result()


def _pages(
    request: IndexSampleInput, operation: IndexOperation, table: TableClient, context: RoundContext
) -> Iterator[Sequence[WireItem]]:
    """Records of random segments. Raises `CallFailed`."""
    total = min(_MAX_SEGMENTS, max(1, request.rows // _RECORDS_PER_SEGMENT))
    chosen = random.Random(request.target.stamp).sample(range(total), min(total, _MAX_READ))
    budget, units, tries = Budget(request.share, context), 0.0, 0
    # At last the table's first records: of few partition keys, most segments have none.
    waiting = [Segment(segment=0, total=1, limit=request.records)]
    waiting += [Segment(segment=number, total=total, limit=_MAX_OF_SEGMENT) for number in chosen]
    met = False
    while waiting and units < _MAX_UNITS and not context.stopping():
        segment = waiting.pop()
        if met and not waiting:
            return
        source = make_source(segment, request.target, table, None, operation.filter, context, consistent=True)
        try:
            for page in source.pages(None, 0, budget):
                context.heartbeat()
                units += page.consumed
                met = met or bool(page.rows)
                yield page.rows
                if units >= _MAX_UNITS:
                    return
            tries = 0
        except CallFailed as failed:
            if failed.failure.action not in (Action.WAIT, Action.RETRY):
                raise
            tries += 1  # its records may have been compared in part: another segment is as good
            context.wait(backoff(tries))


class _Compared:
    """What the sample showed so far."""

    def __init__(self, made: Made) -> None:
        self._made = made
        self.sampled = self._equal = self._missing = self._different = 0
        self._named: list[Key] = []

    def compare(self, rows: Sequence[WireItem]) -> None:
        """Each of the rows. Raises `EnvironmentFault`, `Refused`, `Interrupted`."""
        expected: list[tuple[WireItem, Any]] = []
        for row in rows:
            try:
                expected.append((row, self._made.of(row)))
            except RecordFailed:  # given up, and listed as such
                continue
        if not expected:
            return
        stored = repeated(self._made.client, lambda: self._made.stored([row for row, _ in expected]))
        for (row, wanted), found in zip(expected, stored, strict=True):
            self._judge(row, wanted, found)

    def _judge(self, row: WireItem, wanted: Any, found: Any) -> None:
        self.sampled += 1
        if same_json(wanted, found):
            self._equal += 1
            return
        if found is None:
            self._missing += 1
        else:
            self._different += 1
        if len(self._named) < _NAMED:
            self._named.append(
                to_json_key({attribute.name: row[attribute.name] for attribute in self._made.key})
            )

    def result(self) -> IndexSample:
        return IndexSample(
            sampled=self.sampled,
            equal=self._equal,
            missing=self._missing,
            different=self._different,
            keys=self._named,
        )


def same_json(one: Any, other: Any) -> bool:
    """Whether two values of JSON are equal: numbers by value, and true is no 1."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same_json(value, other[name]) for name, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same_json, one, other))
    return bool(one == other)
