"""The ID of a record's document: made of its key alone, and different for different keys."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

from reindexer.items import WireItem, WireKey, text_of, wire_value
from reindexer.models import KeyAttribute

#: Bytes of an ID in UTF-8 (OpenSearch's limit).
MAX_ID_BYTES = 512
#: How an ID begins that replaces a key too long to be one. A key that begins so itself is hashed as well.
_HASHED = "sha256:"
#: The partition key value of an ID that has both: up to the first `|` that is not escaped.
_FIRST = re.compile(r"((?:[^\\|]|\\.)*)\|", re.DOTALL)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)


def id_of(row: WireItem, key: Sequence[KeyAttribute]) -> str:
    """The ID of the row's document.

    Of a partition key alone it is the value; with a sort key both, joined by `|`, where `\\` and `|` within
    the partition key value are escaped by `\\`. Numbers are written without an exponent where that is short, so
    that 1 and 1.0 are one; binary is base64. A longer one than 512 bytes is replaced by its SHA-256.
    """
    first, *rest = [text_of(row[attribute.name]) for attribute in key]
    text = f"{_escaped(first)}|{rest[0]}" if rest else first
    encoded = text.encode()
    if len(encoded) > MAX_ID_BYTES or text.startswith(_HASHED):
        return _HASHED + hashlib.sha256(encoded).hexdigest()
    return text


def key_of(found: str, document: Mapping[str, Any], key: Sequence[KeyAttribute]) -> WireKey | None:
    """The key of a document's record, from its ID, or from the document where the ID is a hash.

    None where neither tells.
    """
    values = _values(found, len(key))
    if values is None:
        values = [document.get(attribute.name) for attribute in key]
    if any(value is None for value in values):
        return None
    try:
        row = {
            attribute.name: wire_value(attribute.type, str(value))
            for attribute, value in zip(key, values, strict=True)
        }
        return row if id_of(row, key) == found else None
    except (ValueError, ArithmeticError):  # a job's field that is called as a key attribute
        return None


def is_hash(found: str) -> bool:
    """Whether an ID stands for a key without containing it."""
    return found.startswith(_HASHED)


def _values(found: str, number: int) -> list[Any] | None:
    """The key's values in an ID; None: it is a hash, or of another key."""
    if is_hash(found):
        return None
    if number == 1:
        return [found]
    first = _FIRST.match(found)
    return None if first is None else [_ESCAPE.sub(r"\1", first[1]), found[first.end() :]]


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|")
