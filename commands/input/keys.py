"""Keys as users write them, {"id": "a"}, and picking quarantined records by them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from commands.input.files import json_option
from reindexer.errors import BadInput
from reindexer.items import from_json_key, key_identity
from reindexer.models import QuarantineEntry


def plain_key(entry: QuarantineEntry) -> dict[str, str | int]:
    """The key without DynamoDB's type tags, as the input has it; numbers stay text, so that none is rounded."""
    return {name: content for name, value in entry.key.items() for content in value.values()}


def plain_text(entry: QuarantineEntry) -> str:
    """The key for a table's cell."""
    return json.dumps(plain_key(entry), ensure_ascii=False)


def key_given(text: str) -> dict[str, Any]:
    """The value of one --key. Raises `BadInput`."""
    key = json_option(text, "--key")
    if not isinstance(key, dict) or not key:
        raise BadInput(f'should be an object such as {{"id": "a"}} (given: {text})', "--key")
    return key


def with_keys(given: Mapping[str, Any], keys: Iterable[str]) -> dict[str, Any]:
    """What options gave, with a scope of the values of --key. Raises `BadInput`."""
    if "scope" in given:
        raise BadInput("cannot be combined with another scope", "--key")
    return {**given, "scope": {"kind": "keys", "keys": [key_given(text) for text in keys]}}


def chosen(entries: Iterable[QuarantineEntry], keys: list[str] | None) -> list[QuarantineEntry]:
    """The entries with one of these keys; all where none is given. Raises `BadInput` for an unknown key."""
    entries = list(entries)
    if not keys:
        return entries
    found = []
    for text in keys:
        asked = key_given(text)
        matching = [entry for entry in entries if _same(entry, asked)]
        if not matching:
            raise BadInput(f"no open quarantined record has the key {text}", "--key")
        found += matching
    return found


def _same(entry: QuarantineEntry, asked: Mapping[str, Any]) -> bool:
    """Whether the asked key, plain or as DynamoDB JSON, is the entry's."""
    if asked.keys() != entry.key.keys():
        return False
    typed = {
        name: value if isinstance(value, dict) else {kind: str(value)}
        for name, value in asked.items()
        for kind in entry.key[name]
    }
    try:
        return key_identity(from_json_key(typed)) == key_identity(from_json_key(entry.key))
    except (ArithmeticError, ValueError, TypeError, AttributeError):  # text where the key has a number
        return False
