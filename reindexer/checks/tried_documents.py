"""Documents of a dry run as they are shown: some that the index took, and some that it refused."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from reindexer.checks.index_trial import Written
from reindexer.errors import cut, named_failure
from reindexer.items import Key
from reindexer.models import DocumentField, TriedDocument

_MAX_VALUE_BYTES = 300  # of one field: no one compares more by eye
_MAX_FIELDS = 50  # shown of one document; it may have thousands


class TriedDocuments:
    """At most `most` of those that were taken, and as many of those that were refused."""

    def __init__(self, most: int, room: int) -> None:
        """`room`: bytes of JSON of all of them."""
        self._most, self._room = most, room
        self._taken: list[TriedDocument] = []
        self._refused: list[TriedDocument] = []

    def add(self, key: Key, written: Written) -> None:
        """Show it too, where there is room."""
        shown = self._taken if written.refused is None else self._refused
        if len(shown) >= self._most:
            return
        code, message = named_failure(written.refused) if written.refused else ("", "")
        fields = [
            DocumentField(name=cut(name), value=cut(value, _MAX_VALUE_BYTES))
            for name, value in _fields(written.body)
        ]
        if more := len(fields) - _MAX_FIELDS:
            fields = fields[:_MAX_FIELDS]
        if more > 0:
            fields.append(DocumentField(name=f"and {more:,} fields more", value=""))
        document = TriedDocument(key=key, id=cut(written.id), fields=fields, error=code, message=message)
        self._room -= len(document.model_dump_json().encode())
        if self._room >= 0:
            shown.append(document)

    def shown(self, types: Mapping[str, str]) -> list[TriedDocument]:
        """All of them with the types of their fields, those that were refused at the end."""
        return [
            document.model_copy(
                update={
                    "fields": [
                        field.model_copy(update={"mapped": types.get(field.name)}) for field in document.fields
                    ]
                }
            )
            for document in (*self._taken, *self._refused)
        ]


def _fields(body: bytes) -> Iterator[tuple[str, str]]:
    """Name and JSON of each field, as they are in the document: numbers with all their digits."""
    text, read = body.decode(), json.JSONDecoder().raw_decode
    at = 1  # after the brace; there is no white space
    while text[at] != "}":
        name, colon = read(text, at)
        _, end = read(text, colon + 1)
        yield name, text[colon + 1 : end]
        at = end + (text[end] == ",")
