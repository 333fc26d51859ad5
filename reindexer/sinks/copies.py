"""A record as a replica holds it, and the changes that can be made to it without knowing all of it."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from hashlib import blake2b
from typing import Any

from reindexer.dynamo.wire import Stamp, StatementBuilder
from reindexer.items import NAMES, ORDER, Put, WireItem, WireKey, WireValue, Write
from reindexer.models import Target
from reindexer.operations.replicate import left_out_of
from reindexer.sinks.other_table import MAX_STATEMENT

#: Bytes of the digest: one chance in 2⁴⁸ that two sets of names of one record have the same. It is against
#: chance: who can choose the names of attributes can change the table anyway.
_DIGEST_BYTES = 6
#: Digests remembered; a table has a handful of sets of names, or they differ each time.
_MAX_SETS = 1000
#: In place of the digest of a deleted record: nothing but a whole item takes the place of its tombstone.
_OF_TOMBSTONE = "gone"
#: Attributes of one UPDATE: DynamoDB takes up to 300 operators in an expression.
_MAX_ATTRIBUTES = 100
#: Names for which PartiQL has no rules of its own. Items with other ones are put whole.
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


def attributes_of(put: Put) -> WireItem:
    """All but the key's and the replica's own; none of a record that is gone."""
    if put.body is None:
        return {}
    assert not isinstance(put.body, bytes), "an item has attributes"
    return put.body


def number(value: int) -> WireValue:
    """As an attribute."""
    return {"N": str(value)}


def order_in(item: WireItem) -> int:
    """The order that is stored; 0, which is below every order, where there is none."""
    value = item.get(ORDER, {}).get("N")
    return 0 if value is None else int(Decimal(value))


@dataclass(frozen=True, slots=True)
class _Shape:
    """What an update is, but for its values: by the names that a record had and has."""

    sets: tuple[str, ...]  # sorted: one text for each set of names
    removes: tuple[str, ...]
    before: WireValue  # the digest that the copy is to have
    after: str


class Copies:
    """What is written of records of one target.

    Each copy carries a digest of the names of its attributes. Where those are the names that the record had
    before a change, as the stream has it, an UPDATE makes of the copy what PutItem would: it sets all that the
    record has now, and removes by name what it has lost. A batch takes 25 such statements.
    """

    def __init__(self, table: str, target: Target) -> None:
        self._left_out, self._epoch = left_out_of(target), target.version
        names = tuple(attribute.name for attribute in target.key)
        self._statements = StatementBuilder(table, names, Stamp(ORDER, NAMES, 0, ""))
        self._digests: dict[frozenset[str], str] = {}
        self._shapes: dict[object, _Shape] = {}

    def item(self, key: WireKey, put: Put) -> WireItem:
        """The whole item, but for the mark of a tombstone."""
        return {**key, **attributes_of(put), ORDER: number(put.order), NAMES: {"S": self._names_of(put)}}

    def insertion(self, key: WireKey, put: Put) -> dict[str, Any] | None:
        """As a statement that creates the item; None: it is put by itself."""
        whole = self.item({}, put)
        return _fitting(self._statements.statement(key, Write(sets=whole, bare=True, create=True)))

    def update(self, key: WireKey, put: Put, mark: WireItem) -> dict[str, Any] | None:
        """As a statement that changes what is there; None: it is put by itself.

        `mark`: of a tombstone, for a record that is gone.
        """
        assert put.old is not None, "what was it before?"
        whole = mark if put.body is None else attributes_of(put)
        names = put.body is None, tuple(whole), put.old
        shape = self._shapes.get(names)
        if shape is None:
            shape = self._shape(put, whole)
            if shape is None:
                return None
            if len(self._shapes) >= _MAX_SETS:
                self._shapes.clear()
            self._shapes[names] = shape
        write = Write(
            sets={name: whole[name] for name in shape.sets}, removes=shape.removes, guards={NAMES: shape.before}
        )
        return _fitting(self._statements.statement(key, write, Stamp(ORDER, NAMES, put.order, shape.after)))

    def _shape(self, put: Put, whole: WireItem) -> _Shape | None:
        """None where no statement does: not remembered, since such items may have thousands of names."""
        before = [name for name in put.old or () if name not in self._left_out]
        removes = tuple(sorted(name for name in before if name not in whole))
        every = (*whole, *removes)
        if len(every) > _MAX_ATTRIBUTES or not all(map(_PLAIN.fullmatch, every)):
            return None
        return _Shape(
            sets=tuple(sorted(whole)),
            removes=removes,
            before={"S": self._digest(before)},
            after=self._names_of(put),
        )

    def _names_of(self, put: Put) -> str:
        return _OF_TOMBSTONE if put.body is None else self._digest(attributes_of(put))

    def _digest(self, names: Iterable[str]) -> str:
        """Of the names, whatever their order, and of the epoch: a copy of an earlier one is put whole, so that
        nothing that others have added to it stays."""
        every = frozenset(names)
        digest = self._digests.get(every)
        if digest is None:
            if len(self._digests) >= _MAX_SETS:
                self._digests.clear()
            text = json.dumps([self._epoch, *sorted(every)]).encode()
            digest = base64.b64encode(blake2b(text, digest_size=_DIGEST_BYTES).digest()).decode()
            self._digests[every] = digest
        return digest


def _fitting(statement: dict[str, Any]) -> dict[str, Any] | None:
    return statement if len(statement["Statement"]) <= MAX_STATEMENT else None
