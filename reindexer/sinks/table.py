"""Writes to the table itself, in place: one honest attempt per call, through PartiQL or through UpdateItem."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

from reindexer.answers import Action, Answers, CallFailed, Failure
from reindexer.dynamo.table import TableClient
from reindexer.dynamo.wire import Stamp, StatementBuilder, delete_parameters, put_parameters, update_parameters
from reindexer.items import Change, WireKey, WireValue, Write
from reindexer.models import KeyAttribute, Target
from reindexer.rounds.protocols import Sink

#: Bytes of values in one call. DynamoDB takes 16 MB; a quarter leaves room for what JSON and base64 add.
MAX_BYTES = 4_000_000
#: After this many seconds no further single call is begun: the round must heartbeat, and a process that was
#: frozen between two calls must not write on.
_MAX_SECONDS = 1.0
#: Values no application uses as a key: 36 characters, fixed, so that a probe never meets a real item.
_IMPOSSIBLE: dict[str, WireValue] = {
    "S": {"S": "\u0001reindexer-probe-6f1c2a5e-no-such-key"},
    "N": {"N": "-9.9999999999999999999999999999999999999E+125"},  # the most negative number DynamoDB stores
    "B": {"B": b"\x00reindexer-probe-6f1c2a5e-no-such-key"},
}


def impossible_key(key: Sequence[KeyAttribute]) -> WireKey:
    """A key of the table's types that no item has."""
    return {attribute.name: _IMPOSSIBLE[attribute.type] for attribute in key}


def another_impossible(value: WireValue) -> WireValue:
    """Besides the value of an impossible key, another one that no item has."""
    [(kind, text)] = value.items()
    assert value == _IMPOSSIBLE[kind], "only for those"
    return {kind: "-9.9999999999999999999999999999999999998E+125" if kind == "N" else text + text[-1:]}


class _TableSink(ABC):
    max_bytes = MAX_BYTES

    def __init__(self, table: TableClient, target: Target, stamp: Stamp) -> None:
        self._table, self._stamp = table, stamp
        self._names = tuple(attribute.name for attribute in target.key)
        self._impossible = impossible_key(target.key)

    @abstractmethod
    def attempt(self, writes: Sequence[tuple[WireKey, Write]]) -> Answers:
        """An answer for each; fewer answers than writes: the rest was not tried. Raises `CallFailed`."""

    def size_of(self, write: Write) -> int:
        """Bytes of the values of a write, about; a touch has none of its own."""
        if not write.sets and not write.guards:
            return 0
        return sum(len(str(value)) for value in (*write.sets.values(), *write.guards.values()))

    def healthy(self) -> bool:
        """Whether a write to an impossible key gets a clean answer: then the service is there.

        A role that is limited to some partition keys is denied this one, and that is an answer too.
        """
        try:
            failure = self.attempt([(self._impossible, Write())]).failures[0]
        except CallFailed as failed:
            failure = failed.failure
        return failure is not None and (failure.action is Action.SETTLE or failure.denied)


class PartiqlSink(_TableSink):
    """Up to 25 conditional statements per call, each settled on its own (BatchExecuteStatement)."""

    max_changes = 25  # DynamoDB's limit

    def __init__(self, table: TableClient, target: Target, stamp: Stamp) -> None:
        super().__init__(table, target, stamp)
        self._builder = StatementBuilder(table.table, self._names, stamp)

    def attempt(self, writes: Sequence[tuple[WireKey, Write]]) -> Answers:
        build = self._builder.statement
        return self._table.execute_batch([build(key, write) for key, write in writes])


class UpdateItemSink(_TableSink):
    """One UpdateItem per record, where PartiQL is denied or unknown."""

    max_changes = 8  # calls between two looks at the clock: about 0.1 s, well below a tick

    def attempt(self, writes: Sequence[tuple[WireKey, Write]]) -> Answers:
        return singly(writes, self._one)

    def _one(self, key: WireKey, write: Write) -> float | None:
        if write.create:
            return self._table.put(put_parameters(key, write))
        if write.delete:
            return self._table.delete(delete_parameters(key, write, self._stamp))
        return self._table.update(update_parameters(key, write, self._stamp, self._names))


def singly(writes: Sequence[tuple[WireKey, Change]], one: Callable[[WireKey, Change], float | None]) -> Answers:
    """A call for each, one after the other, as many as a second has room for.

    `one` returns the write units that it consumed. Raises nothing.
    """
    failures: list[Failure | None] = []
    consumed: float | None = None
    until = time.monotonic() + _MAX_SECONDS
    for key, write in writes:
        if failures and time.monotonic() > until:
            break  # what was not tried has no answer
        try:
            units = one(key, write)
            consumed = (consumed or 0.0) + units if units is not None else consumed
            failures.append(None)
        except CallFailed as failed:
            failures.append(failed.failure)
            failure = failed.failure
            if failure.silent or failure.action is Action.PARK:
                break  # each further call would wait as long, or end as this one did
    return Answers(failures, consumed)


def make_sink(table: TableClient, target: Target, stamp: Stamp) -> Sink:
    """The sink for the writer that planning found usable."""
    return (
        PartiqlSink(table, target, stamp)
        if target.writer == "partiql"
        else UpdateItemSink(table, target, stamp)
    )
