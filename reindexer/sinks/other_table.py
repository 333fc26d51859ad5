"""Writes to a second table: statements in batches where they fit, single calls where they do not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from reindexer.answers import Action, Answers, CallFailed, Failure
from reindexer.dynamo.other_table import of_other
from reindexer.dynamo.table import TableClient
from reindexer.dynamo.wire import longest_statement
from reindexer.items import WireKey, Write
from reindexer.models import Target
from reindexer.rounds.protocols import Sink
from reindexer.sinks.evidence import stamp_of
from reindexer.sinks.table import MAX_BYTES, UpdateItemSink, make_sink

MAX_STATEMENT = 8192  # characters of a PartiQL statement (DynamoDB's limit)


class OtherTableSink:
    """The `Sink` of a repair. What fails names the other table."""

    max_bytes = MAX_BYTES

    def __init__(self, table: TableClient, target: Target) -> None:
        assert target.other is not None, "no other table"
        stamp = stamp_of(target)  # bare writes carry none
        self._name = target.other.table
        self._sink: Sink = make_sink(table, target, stamp)
        self._single = UpdateItemSink(table, target, stamp)
        self._keys = [attribute.name for attribute in target.key]
        self._table = table.table
        self.max_changes = self._sink.max_changes
        self.size_of, self.healthy = self._sink.size_of, self._sink.healthy

    def attempt(self, writes: Sequence[tuple[WireKey, Write]]) -> Answers:
        """An answer for each; fewer answers than writes: the rest was not tried. Raises `CallFailed`."""
        fitting = next((place for place, (_, write) in enumerate(writes) if not self._fits(write)), len(writes))
        try:
            answers = self._sink.attempt(writes[:fitting]) if fitting else self._single.attempt(writes[:1])
        except CallFailed as failed:
            raise CallFailed(of_other(failed.failure, self._name)) from failed
        pairs = zip(writes, answers.failures, strict=False)
        return Answers([self._meant(write, failure) for (_, write), failure in pairs], answers.consumed)

    def _fits(self, write: Write) -> bool:
        return longest_statement(self._table, self._keys, (), write)[0] <= MAX_STATEMENT

    def _meant(self, write: Write, failure: Failure | None) -> Failure | None:
        if failure is None:
            return None
        meant = refusal_of_insert(failure) if write.create else failure
        return meant if meant is not failure else of_other(failure, self._name)


def refusal_of_insert(failure: Failure) -> Failure:
    """The same as a refusal by a condition, where it is an INSERT's own way to refuse an item that is there."""
    if failure.code != "DuplicateItem":
        return failure
    return replace(failure, action=Action.SETTLE, applied=False)
