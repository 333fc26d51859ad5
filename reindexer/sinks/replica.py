"""Writes to a replica: whole items with their order, which land only above the order that is stored.

What a scan finds is inserted in batches, and put one by one only where something is there already. Changes are
put one by one: no batch of DynamoDB has such a condition.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal
from itertools import takewhile
from typing import Any

from reindexer.answers import Action, Answers, CallFailed, Failure
from reindexer.dynamo.others import of_other
from reindexer.dynamo.reading import read_consistently
from reindexer.dynamo.table import TableClient
from reindexer.dynamo.wire import StatementBuilder
from reindexer.errors import cut
from reindexer.items import GONE, ORDER, Put, WireItem, WireKey, WireValue, Write, key_identity
from reindexer.models import Target
from reindexer.round_context import RoundContext
from reindexer.search.client import Stored
from reindexer.sinks.evidence import stamp_of
from reindexer.sinks.other_table import MAX_STATEMENT, refusal_of_insert
from reindexer.sinks.table import MAX_BYTES, impossible_key, singly
from reindexer.streams.order import floor_of
from reindexer.values import MAX_ITEM_BYTES, item_size

#: Seconds for which a tombstone is kept: DynamoDB removes it by its TTL some time after. A stream keeps a
#: change for one day, so that no position from which a follow goes on lies before the deletion.
TOMBSTONE_SECONDS = 2 * 86_400
#: Rows of a scan by which it is decided whether inserting is worth it, for the rest of a round: four batches.
_TRIED = 100
#: Puts at the same time, of one round; and of a process: its rounds seldom put at the same moment.
_AT_ONCE, _PUTS = 8, ThreadPoolExecutor(16, "put")
#: Bytes that order and mark add to an item, about.
_OWN_BYTES = 60


class ReplicaSink:
    """The `Sink` of a replica. What fails names the other table."""

    max_changes, max_bytes = 25, MAX_BYTES  # statements of one batch (DynamoDB's limit)

    def __init__(self, table: TableClient, target: Target, context: RoundContext | None = None) -> None:
        assert target.other is not None, "which replica?"
        self._table, self._context, self._name = table, context, target.other.table
        ttl = target.other.ttl
        self._ttl = GONE if ttl is None or ttl in {attribute.name for attribute in target.key} else ttl
        self._floor = floor_of(target.version)
        self._impossible = impossible_key(target.key)
        keys = tuple(attribute.name for attribute in target.key)
        self._statements = StatementBuilder(table.table, keys, stamp_of(target))
        self._inserts = target.writer == "partiql"
        self._inserted, self._taken = 0, 0  # of the last rows: tried to insert, and found taken

    def size_of(self, write: Put) -> int:
        """Bytes of the item's values, about."""
        return sum(len(str(value)) for value in _item(write).values()) + _OWN_BYTES

    def attempt(self, writes: Sequence[tuple[WireKey, Put]]) -> Answers:
        """An answer for each; fewer answers than items: the rest was not tried. Raises `CallFailed`."""
        statements = []
        for key, put in writes:
            statement = self._insertion(key, put)
            if statement is None:
                break
            statements.append(statement)
        try:
            answers = self._insert(statements) if statements else self._put_all(writes)
        except CallFailed as failed:
            raise CallFailed(of_other(failed.failure, self._name)) from failed
        tried = zip(writes, answers.failures, strict=False)
        failures = [failure and self._meant(key, put, failure) for (key, put), failure in tried]
        return Answers(failures, answers.consumed)

    def stored(self, keys: Sequence[WireKey]) -> list[Stored | None]:
        """What is under each key; None: no item. One without an order is below every order.

        Raises `CallFailed`.
        """
        try:
            found, _ = read_consistently(self._table, keys, (ORDER, GONE), self._context)
        except CallFailed as failed:
            raise CallFailed(of_other(failed.failure, self._name)) from failed
        items = [found.get(key_identity(key)) for key in keys]
        return [None if item is None else Stored(_order_in(item), GONE in item) for item in items]

    def order_shown(self, failure: Failure) -> int | None:
        """The order of the item that refused a put; None: an insertion is refused without a word of it."""
        return None if failure.item is None else _order_in(failure.item)

    def healthy(self) -> bool:
        """Whether a write to an impossible key gets a clean answer: then the service is there."""
        try:
            self._table.put(
                {
                    "Item": self._impossible,
                    "ConditionExpression": "attribute_exists(#o)",  # of an item that is not there: never true
                    "ExpressionAttributeNames": {"#o": ORDER},
                }
            )
        except CallFailed as failed:
            return failed.failure.action is Action.SETTLE or failed.failure.denied
        return False

    def _insertion(self, key: WireKey, put: Put) -> dict[str, Any] | None:
        """As a statement of a batch; None: it is put by itself."""
        if put.order != self._floor or put.body is None or put.replaces or put.again:
            return None
        if not self._inserts or self._mostly_there:
            return None
        write = Write(sets={**_item(put), ORDER: _number(put.order)}, bare=True, create=True)
        statement = self._statements.statement(key, write)
        return statement if len(statement["Statement"]) <= MAX_STATEMENT else None

    @property
    def _mostly_there(self) -> bool:
        """Whether inserting costs more than it saves: a refused row is read, and put after all."""
        return self._inserted >= _TRIED and self._taken * 2 > self._inserted

    def _insert(self, statements: Sequence[dict[str, Any]]) -> Answers:
        answers = self._table.execute_batch(statements)
        if self._inserted >= _TRIED:
            self._inserted = self._taken = 0
        self._inserted += len(answers.failures)
        self._taken += sum(f is not None and f.code == "DuplicateItem" for f in answers.failures)
        return answers

    def _put_all(self, writes: Sequence[tuple[WireKey, Put]]) -> Answers:
        """Side by side: a far Region takes a tenth of a second for each, and each has an order of its own."""
        if len(writes) == 1:
            return singly(writes, self._put)
        parts = [writes[first::_AT_ONCE] for first in range(min(_AT_ONCE, len(writes)))]
        several = list(_PUTS.map(lambda part: singly(part, self._put), parts))
        answered = {
            first + _AT_ONCE * nth: failure
            for first, answers in enumerate(several)
            for nth, failure in enumerate(answers.failures)
        }
        # What was not tried has no answer: up to the first such write. Others are sent again, and settled.
        failures = [answered[place] for place in takewhile(answered.__contains__, range(len(writes)))]
        known = [answers.consumed for answers in several if answers.consumed is not None]
        return Answers(failures, sum(known) if known else None)

    def _put(self, key: WireKey, put: Put) -> float | None:
        item = _copy(key, put)
        if put.body is None:
            until = _number(int(time.time()) + TOMBSTONE_SECONDS)
            item |= {GONE: until, self._ttl: until}
        condition = "#o = :o" if put.again else "attribute_not_exists(#o) OR #o < :o"
        return self._table.put(
            {
                "Item": item,
                "ConditionExpression": condition,
                "ExpressionAttributeNames": {"#o": ORDER},
                "ExpressionAttributeValues": {":o": item[ORDER]},
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            }
        )

    def _meant(self, key: WireKey, put: Put, failure: Failure) -> Failure:
        if failure.item is not None and ORDER in failure.item and "N" not in failure.item[ORDER]:
            what = f"{ORDER} of the item there is not a number: remove the attribute, then redrive"
            failure = Failure("OrderType", what, Action.GIVE_UP)
        meant = refusal_of_insert(failure)
        size = item_size(_copy(key, put)) if meant.action is Action.GIVE_UP else 0
        if size > MAX_ITEM_BYTES:
            why = (
                f"{ORDER} makes its copy {size:,} bytes large, above {MAX_ITEM_BYTES:,} (400 KB): the replica "
                f"keeps the earlier copy, or has none ({meant.message})"
            )
            meant = replace(meant, message=cut(why))
        return of_other(meant, self._name)


def _copy(key: WireKey, put: Put) -> WireItem:
    """The item as it is to be, but for the mark of a tombstone."""
    return {**key, **_item(put), ORDER: _number(put.order)}


def _item(put: Put) -> WireItem:
    """All attributes but the key's and our own; none of a record that is gone."""
    if put.body is None:
        return {}
    assert not isinstance(put.body, bytes), "an item has attributes"
    return put.body


def _number(value: int) -> WireValue:
    return {"N": str(value)}


def _order_in(item: WireItem) -> int:
    value = item.get(ORDER, {}).get("N")
    return 0 if value is None else int(Decimal(value))
