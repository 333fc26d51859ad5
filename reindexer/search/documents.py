"""The document of a record as JSON text, without loss.

    S string · N number, every digit of it · B base64 · BOOL true, false · NULL null · L array · M object
    SS NS BS array, in order

A number is a JSON number, or a string where its field's mapping takes it as text: by field, never by value.
OpenSearch keeps the text of a document as it is sent.
"""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Iterable, Mapping, Sequence, Set
from decimal import Decimal
from json.encoder import encode_basestring as quoted
from typing import Any

from reindexer.errors import RecordFailed
from reindexer.items import WireItem, WireValue

#: The two fields that are ours in every document: the order of its last write, and when its record was deleted.
ORDER, GONE = "_order", "_gone"
#: A number as JSON has it.
_JSON_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
#: Levels of objects and arrays in what a job returns: OpenSearch takes 20 by default; 100 is no one's document.
_MAX_DEPTH = 100


class Documents:
    """Renders records. `left_out`: attributes that no document has; `as_text`: fields with numbers as strings.

    A field within an object is named by its path, `address.zip`.
    """

    def __init__(self, left_out: Iterable[str] = (), as_text: Iterable[str] = ()) -> None:
        self._left_out, self._as_text = frozenset(left_out), frozenset(as_text)

    def of_item(self, item: WireItem) -> bytes:
        """The whole item. Raises `RecordFailed` where it has an attribute called as a field of ours."""
        if ORDER in item or GONE in item:
            name = ORDER if ORDER in item else GONE
            raise RecordFailed("ReservedName", f"{name} is a field of every document; leave the attribute out")
        left_out, value = self._left_out, self._value
        parts = [f"{quoted(n)}:{value(v, n)}" for n, v in item.items() if n not in left_out]
        return f"{{{','.join(parts)}}}".encode()

    def of_fields(self, document: Mapping[str, Any]) -> bytes:
        """What a job returned. Raises `RecordFailed` where JSON has no such value."""
        if own := {ORDER, GONE} & document.keys():
            raise RecordFailed("InvalidResult", f"{min(own)} is a field of the reindexer: no job may set it")
        return self._plain(document, "", 0).encode()

    def _value(self, value: WireValue, path: str) -> str:
        for kind, content in value.items():
            if kind == "S":
                return quoted(content)
            if kind == "N":
                return self._number(content, path)
            if kind == "M":
                fields = [f"{quoted(n)}:{self._value(v, f'{path}.{n}')}" for n, v in content.items()]
                return f"{{{','.join(fields)}}}"
            if kind == "L":
                return _array(self._value(entry, path) for entry in content)
            if kind == "BOOL":
                return "true" if content else "false"
            if kind == "NULL":
                return "null"
            if kind == "B":
                return _base64(content)
            if kind == "SS":
                return _array(map(quoted, sorted(content)))
            if kind == "NS":
                return _array(self._number(entry, path) for entry in sorted(content, key=Decimal))
            if kind == "BS":
                return _array(map(_base64, sorted(content)))
        raise RecordFailed("InvalidItem", f"{path} has no value")

    def _number(self, text: str, path: str) -> str:
        number = text if _JSON_NUMBER.fullmatch(text) else str(Decimal(text))
        return f'"{number}"' if path in self._as_text else number

    def _plain(self, value: Any, path: str, depth: int) -> str:
        """A Python value. Numbers are as exact as they come: `Decimal` to the last digit."""
        if value is None or isinstance(value, bool):
            return {None: "null", True: "true", False: "false"}[value]
        if isinstance(value, str):
            return _text(value, path)
        if isinstance(value, int | Decimal | float):
            if not (isinstance(value, int) or math.isfinite(value)):
                raise RecordFailed("InvalidResult", f"{path}: {value} is not a number that JSON has")
            return self._number(repr(value) if isinstance(value, float) else str(value), path)
        if isinstance(value, bytes | bytearray):
            return _base64(bytes(value))
        if depth >= _MAX_DEPTH:
            raise RecordFailed("InvalidResult", f"{path}: nested deeper than {_MAX_DEPTH} levels")
        if isinstance(value, Mapping):
            return self._object(value, path, depth)
        if isinstance(value, Set):
            return _array(sorted(self._plain(entry, path, depth + 1) for entry in value))
        if isinstance(value, Sequence):
            return _array(self._plain(entry, path, depth + 1) for entry in value)
        kind = type(value).__name__
        raise RecordFailed("InvalidResult", f"{path}: JSON has no {kind}; make it text or a number")

    def _object(self, value: Mapping[Any, Any], path: str, depth: int) -> str:
        parts = []
        for name, entry in value.items():
            if not isinstance(name, str) or not name:
                raise RecordFailed("InvalidResult", f"{path or 'document'}: {name!r} is not a field's name")
            below = f"{path}.{name}" if path else name
            parts.append(f"{_text(name, below)}:{self._plain(entry, below, depth + 1)}")
        return f"{{{','.join(parts)}}}"


def with_order(body: bytes | None, order: int, gone_at: str) -> bytes:
    """The document as it is stored: with its order; without a body the tombstone of a deletion."""
    if body is None:
        return b'{"%s":%d,"%s":"%s"}' % (ORDER.encode(), order, GONE.encode(), gone_at.encode())
    return b'{"%s":%d%s%s' % (ORDER.encode(), order, b"," if len(body) > len(b"{}") else b"", body[1:])


def content_of(source: Mapping[str, Any]) -> dict[str, Any]:
    """What a stored document says of its record."""
    return {name: value for name, value in source.items() if name not in (ORDER, GONE)}


def _array(entries: Iterable[str]) -> str:
    return f"[{','.join(entries)}]"


def _base64(content: bytes) -> str:
    return f'"{base64.b64encode(content).decode()}"'


def _text(value: str, path: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise RecordFailed("InvalidResult", f"{path}: not valid text ({error.reason})") from error
    return quoted(value)
