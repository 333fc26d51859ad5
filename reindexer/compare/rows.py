"""What of a row is compared: whether it counts as there, its identity, and which attributes are left out."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from decimal import Decimal
from typing import Any, Protocol, TypeAlias

from reindexer.items import GONE, OF_COPIES, WireItem
from reindexer.jobs.expiry import MAX_SECONDS_PAST, expired
from reindexer.models import Expiry, KeyAttribute
from reindexer.values import same

#: Equal for two rows exactly when DynamoDB takes their keys for one.
Identity: TypeAlias = tuple[Any, ...]


def identity_by(key: Sequence[KeyAttribute]) -> Callable[[WireItem], Identity]:
    """The identity of a row by its key attributes: 1 and 1.0 are one number. Cheaper than looking at types."""
    [first, *rest] = [_reader(attribute) for attribute in key]
    if not rest:
        return lambda row: (first(row),)
    second = rest[0]
    return lambda row: (first(row), second(row))


def _reader(attribute: KeyAttribute) -> Callable[[WireItem], Any]:
    name, kind = attribute.name, attribute.type
    if kind == "N":
        return lambda row: Decimal(row[name]["N"])  # equal ones have one hash
    return lambda row: row[name][kind]


class Terms(Protocol):
    """On which a row and its counterpart are compared."""

    def present(self, now: float, /) -> Callable[[WireItem], bool]:
        """Tells of rows that were read at `now`, seconds since 1970, whether they count as there."""
        ...

    def content(self, row: WireItem, /) -> WireItem:
        """What of a row is compared."""
        ...

    def equal(self, one: WireItem, other: WireItem, /) -> bool:
        """Whether two rows that are there hold the same."""
        ...

    def optional(self, row: WireItem, /) -> bool:
        """Whether the counterpart of a row that is there may be missing."""
        ...


class Rules:
    """The terms of two tables: `left_out` attributes, and those that say when a row expires.

    `expiries` are the attributes of both tables: a row that either may delete at any moment proves nothing.
    """

    def __init__(self, left_out: Collection[str], expiries: Collection[str]) -> None:
        self._left_out = frozenset((*OF_COPIES, *left_out))
        self._expiries = tuple(dict.fromkeys(expiries))

    def present(self, now: float) -> Callable[[WireItem], bool]:
        """Tells of rows that were read at `now`, seconds since 1970, whether they count as there."""
        moment = int(now)
        rules = [
            Expiry(attribute=name, first=moment - MAX_SECONDS_PAST, before=moment) for name in self._expiries
        ]
        if not rules:
            return lambda row: GONE not in row
        return lambda row: GONE not in row and not any(expired(rule, row) for rule in rules)

    def optional(self, row: WireItem) -> bool:  # noqa: ARG002
        """Never: one that may be removed at any moment is not there at all."""
        return False

    def content(self, row: WireItem) -> WireItem:
        """Without what is left out."""
        if self._left_out.isdisjoint(row):
            return row
        return {name: value for name, value in row.items() if name not in self._left_out}

    def equal(self, one: WireItem, other: WireItem) -> bool:
        """By value: numbers as decimals, sets in any order, binary by its bytes."""
        a, b = self.content(one), self.content(other)
        if a == b:  # most rows, and a twentieth of the time
            return True
        return a.keys() == b.keys() and all(same(value, b[name]) for name, value in a.items())
