"""The ID of a record's document: made of its key alone, and different for different keys."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from reindexer.items import WireItem
from reindexer.models import KeyAttribute
from reindexer.partitions.sort_keys import text_of

#: Bytes of an ID in UTF-8 (OpenSearch's limit).
MAX_ID_BYTES = 512
#: How an ID begins that replaces a key too long to be one. A key that begins so itself is hashed as well.
_HASHED = "sha256:"


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


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|")
