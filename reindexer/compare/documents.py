"""A table and an index of its documents as the two sides of a comparison.

A document is compared as a row is: what JSON has are values as DynamoDB has them. It is one attribute of a row
that has the key of its record besides.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from reindexer.compare.made_documents import Made
from reindexer.compare.parts import Parts
from reindexer.compare.rows import Identity
from reindexer.compare.side import Side, TableSide
from reindexer.dynamo.attempts import Attempts
from reindexer.dynamo.calls import Calls
from reindexer.errors import EnvironmentFault, Interrupted, named_failure
from reindexer.items import WireItem, WireKey, WireValue
from reindexer.jobs.expiry import MAX_SECONDS_PAST, expired
from reindexer.models import DocumentRange, Expiry
from reindexer.search.document_ranges import PAGE, Listed, listed
from reindexer.values import same

#: The attribute with the document, or the one of a place with its number: no attribute of a table is called so.
_DOCUMENT = _NUMBER = ""
#: The field under which a document that cannot be made says why: no document of an index has it.
_FAILED = "(not made)"


class _Row(dict[str, WireValue]):
    """A key, and the document if there is one. `number`: its place in the index; `unnamed`: as in `Side`."""

    expired = False
    number = -1
    unnamed: tuple[WireKey, str] | None = None


class DocumentTerms:
    """On which documents are compared with what their records make."""

    def present(self, now: float) -> Callable[[WireItem], bool]:  # noqa: ARG002
        """Whether it has, or is to have, a document."""
        return lambda row: _DOCUMENT in row

    def content(self, row: WireItem) -> WireItem:
        """The document's fields."""
        fields: WireItem = row[_DOCUMENT]["M"]
        return fields

    def equal(self, one: WireItem, other: WireItem) -> bool:
        """By value: numbers as decimals, arrays in their order."""
        return same(one[_DOCUMENT], other[_DOCUMENT])

    def optional(self, row: WireItem) -> bool:
        """A record past its time to live may go at any moment, and its document with it."""
        return isinstance(row, _Row) and row.expired


class MadeSide(TableSide):
    """A table, each record as its document is to be; one that cannot be made differs from every other."""

    def __init__(
        self, calls: Calls, made: Made, parts: Parts, ttl: str | None, clock: Callable[[], float]
    ) -> None:
        super().__init__(calls, made.key, parts)
        self._made, self._ttl, self._clock = made, ttl, clock

    def page(self) -> list[WireItem] | None:
        """The next rows of the part. Raises `EnvironmentFault`, `Interrupted`."""
        rows = super().page()
        return None if rows is None else [self._row(row) for row in rows]

    def get(self, keys: Sequence[WireKey]) -> dict[Identity, WireItem] | None:
        """Those of the keys that exist. Raises `EnvironmentFault`, `Interrupted`."""
        found = super().get(keys)
        return None if found is None else {identity: self._row(row) for identity, row in found.items()}

    def _row(self, item: WireItem) -> WireItem:
        row = _Row(self.key(item))
        try:
            made = self._made.of(item)
        except (EnvironmentFault, Interrupted):
            raise
        except Exception as error:  # of the job's function
            row[_DOCUMENT] = {"M": {_FAILED: {"S": ": ".join(named_failure(error))}}}
        else:
            if made is not None:
                row[_DOCUMENT] = _wire(made)
        row.expired = self._is_expired(item)
        return row

    def _is_expired(self, item: WireItem) -> bool:
        if self._ttl is None:
            return False
        moment = int(self._clock())
        return expired(Expiry(attribute=self._ttl, first=moment - MAX_SECONDS_PAST, before=moment), item)


class IndexSide(Side):
    """An index: ranges of its documents, whose contents are read by ID alone, in real time."""

    def __init__(self, calls: Attempts, made: Made, ranges: Sequence[DocumentRange]) -> None:
        super().__init__(calls, made.key, ranges)
        self._made, self._ranges = made, ranges

    def page(self) -> list[WireItem] | None:
        """The next documents of the range, all that were there as it was begun."""
        part = self._ranges[self.part]
        found = self.calls.once(lambda: self._asked(part))
        if found is None:
            return None
        over = len(found) < PAGE
        self._start = None if over else _place(found[-1].number)
        self.part += over
        return [self._row(document) for document in found]

    def get(self, keys: Sequence[WireKey]) -> dict[Identity, WireItem] | None:
        """Those of the keys that have a document."""
        if not keys:
            return {}
        found = self.calls.until_answered(lambda: self._made.stored(keys))
        if found is None:
            return None
        pairs = [(key, content) for key, content in zip(keys, found, strict=True) if content is not None]
        return {self.identity(key): _Row(key | {_DOCUMENT: _wire(content)}) for key, content in pairs}

    def after(self, row: WireItem) -> WireKey:
        """Its number."""
        assert isinstance(row, _Row), "one of a page"
        return _place(row.number)

    def unnamed(self, row: WireItem) -> tuple[WireKey, str] | None:
        """A document whose ID is a hash has no verdict; one whose ID no key has is of no record."""
        return row.unnamed if isinstance(row, _Row) else None

    def _asked(self, part: DocumentRange) -> list[Listed]:
        client, index = self._made.client, self._made.index
        after = part.after
        if self._start is None:
            client.call("POST", f"/{index}/_refresh")
        else:
            after = int(self._start[_NUMBER]["N"])
        return listed(client, index, part, after, self._made.key)

    def _row(self, document: Listed) -> WireItem:
        row = _Row((document.key or {}) | {_DOCUMENT: {"M": {}}})
        row.number = document.number
        if document.key is None:
            row.unnamed = {"_id": {"S": document.id}}, "other_moving" if document.hashed else "extraneous"
        return row


def _place(number: int) -> WireKey:
    return {_NUMBER: {"N": str(number)}}


def _wire(value: Any) -> WireValue:
    """A value of JSON as DynamoDB would have it."""
    if isinstance(value, bool):
        return {"BOOL": value}
    if value is None:
        return {"NULL": True}
    if isinstance(value, str):
        return {"S": value}
    if isinstance(value, dict):
        return {"M": {name: _wire(entry) for name, entry in value.items()}}
    if isinstance(value, list):
        return {"L": [_wire(entry) for entry in value]}
    return {"N": str(value)}
