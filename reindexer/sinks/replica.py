"""Writes to a replica: whole items with their order, which land only above the order that is stored.

What a scan finds, and records that are new, are inserted in batches. Changes are updates, in batches as well,
of a copy that has the attributes that the record had before. All else, and what is refused, is put one by one:
no batch of DynamoDB replaces whole items under a condition.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Any

from reindexer.answers import Action, Answers, CallFailed, Failure
from reindexer.dynamo.other_table import of_other
from reindexer.dynamo.reading import read_consistently
from reindexer.dynamo.table import TableClient
from reindexer.dynamo.transport import as_json
from reindexer.errors import cut
from reindexer.items import GONE, NAMES, ORDER, Put, WireItem, WireKey, key_identity
from reindexer.models import Target
from reindexer.round_context import RoundContext
from reindexer.search.client import Stored
from reindexer.sinks.copies import Copies, attributes_of, number, order_in
from reindexer.sinks.other_table import refusal_of_insert
from reindexer.sinks.table import MAX_BYTES, impossible_key, singly
from reindexer.streams.order import floor_of
from reindexer.values import MAX_ITEM_BYTES, item_size

#: Seconds for which a tombstone is kept: DynamoDB removes it by its TTL some time after. A stream keeps a
#: change for one day, so that no position from which a follow goes on lies before the deletion.
TOMBSTONE_SECONDS = 2 * 86_400
#: Answers to a statement after which its item is put.
_IN_VAIN = (Action.SETTLE, Action.GIVE_UP)
#: Statements by which it is decided whether batches are worth it, for the rest of a round: four batches.
_TRIED = 100
#: Puts at the same time, of one round; and of a process: its rounds seldom put at the same moment.
_AT_ONCE, _PUTS = 8, ThreadPoolExecutor(16, "put")
#: Bytes that order, digest and mark add to an item, about.
_OWN_BYTES = 90


@dataclass(slots=True)
class _Worth:
    """Whether one kind of statement saves more than it costs: one that is refused is put after all."""

    tried: int = 0  # of the last ones
    refused: int = 0

    def __bool__(self) -> bool:
        return self.tried < _TRIED or self.refused * 2 <= self.tried

    def count(self, refused: bool) -> None:
        """One more was answered."""
        if self.tried >= _TRIED and self:
            self.tried = self.refused = 0
        self.tried += 1
        self.refused += refused


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
        self._copies = Copies(table.table, target)
        self._batches = target.writer == "partiql"
        self._insertions, self._updates = _Worth(), _Worth()

    def size_of(self, write: Put) -> int:
        """Bytes of the item as JSON, about; 0 for one that came with a page of a stream."""
        if write.paged:
            return 0
        return len(as_json(attributes_of(write))) + _OWN_BYTES

    def attempt(self, writes: Sequence[tuple[WireKey, Put]]) -> Answers:
        """An answer for each; fewer answers than items: the rest was not tried."""
        statements = self._statements(writes)
        parts = [self._execute(writes, statements)] if statements else []
        final = {place for places, _ in parts for place in places}
        alone = [place for place in range(len(writes)) if place not in final]
        silent = next((f for _, answers in parts for f in answers.failures if f and f.silent), None)
        if silent:
            parts.append((alone, Answers([replace(silent, applied=False)] * len(alone), 0.0)))
        else:
            parts += self._put_all(writes, alone)
        answered = {
            place: failure and self._meant(*writes[place], failure)
            for places, answers in parts
            for place, failure in zip(places, answers.failures, strict=False)
        }
        # What was not tried has no answer: up to the first such write. Others are sent again, and settled.
        failures = [answered[place] for place in takewhile(answered.__contains__, range(len(writes)))]
        if all(answers.consumed is None for _, answers in parts):
            return Answers(failures, None)
        consumed = (answers.costly if answers.consumed is None else answers.consumed for _, answers in parts)
        return Answers(failures, float(sum(consumed)))

    def stored(self, keys: Sequence[WireKey]) -> list[Stored | None]:
        """What is under each key; None: no item. One without an order is below every order.

        Raises `CallFailed`.
        """
        try:
            found, _ = read_consistently(self._table, keys, (ORDER, GONE), self._context)
        except CallFailed as failed:
            raise CallFailed(of_other(failed.failure, self._name)) from failed
        items = [found.get(key_identity(key)) for key in keys]
        return [None if item is None else Stored(order_in(item), GONE in item) for item in items]

    def order_shown(self, failure: Failure) -> int | None:
        """The order of the item that refused a put; None: an insertion is refused without a word of it."""
        return None if failure.item is None else order_in(failure.item)

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

    def _statements(self, writes: Sequence[tuple[WireKey, Put]]) -> dict[int, dict[str, Any]]:
        """By the place of the write. A batch takes one of each item; one more is put, after it."""
        made: dict[int, dict[str, Any]] = {}
        items = set()
        for place, (key, put) in enumerate(writes):
            identity = key_identity(key)
            statement = None if identity in items else self._statement(key, put)
            if statement is not None:
                made[place] = statement
                items.add(identity)
        return made

    def _statement(self, key: WireKey, put: Put) -> dict[str, Any] | None:
        """As a statement of a batch; None: it is put by itself."""
        if not self._batches or put.replaces or put.again:
            return None
        if put.old:
            return self._copies.update(key, put, self._mark(put)) if self._updates else None
        new = put.order == self._floor or put.old is not None
        if not new or put.body is None or not self._insertions:
            return None
        return self._copies.insertion(key, put)

    def _execute(
        self, writes: Sequence[tuple[WireKey, Put]], statements: Mapping[int, dict[str, Any]]
    ) -> tuple[list[int], Answers]:
        """All in one call; the places of those that are answered for good, and their answers. Raises nothing.

        It may be a statement that is refused, and not its record: that one is put before it is given up.
        """
        try:
            answers = self._table.execute_batch(list(statements.values()))
        except CallFailed as failed:
            answers = Answers([failed.failure] * len(statements), 0.0)
        else:
            for place, failure in zip(statements, answers.failures, strict=True):
                worth = self._updates if writes[place][1].old else self._insertions
                worth.count(failure is not None and refusal_of_insert(failure).action in _IN_VAIN)
        found = zip(statements, answers.failures, strict=True)
        final = {
            place: failure for place, failure in found if not (failure and failure.action is Action.GIVE_UP)
        }
        return list(final), Answers(list(final.values()), answers.consumed)

    def _put_all(
        self, writes: Sequence[tuple[WireKey, Put]], places: list[int]
    ) -> list[tuple[list[int], Answers]]:
        """Side by side: a far Region takes a tenth of a second for each, and each has an order of its own."""
        if len(places) == 1:
            return [(places, singly([writes[places[0]]], self._put))]
        parts = [places[first::_AT_ONCE] for first in range(min(_AT_ONCE, len(places)))]
        answers = _PUTS.map(lambda part: singly([writes[place] for place in part], self._put), parts)
        return list(zip(parts, answers, strict=True))

    def _mark(self, put: Put) -> WireItem:
        """What a tombstone has besides its order; nothing for an item."""
        if put.body is not None:
            return {}
        until = number(int(time.time()) + TOMBSTONE_SECONDS)
        return {GONE: until, self._ttl: until}

    def _put(self, key: WireKey, put: Put) -> float | None:
        item = self._copies.item(key, put) | self._mark(put)
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
        size = item_size(self._copies.item(key, put)) if meant.action is Action.GIVE_UP else 0
        if size > MAX_ITEM_BYTES:
            why = (
                f"{ORDER} and {NAMES} make its copy {size:,} bytes large, above {MAX_ITEM_BYTES:,} (400 KB): "
                f"the replica keeps the earlier copy, or has none ({meant.message})"
            )
            meant = replace(meant, message=cut(why))
        return of_other(meant, self._name)
