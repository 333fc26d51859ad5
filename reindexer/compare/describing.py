"""How two items differ, attribute by attribute, for people."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from reindexer.errors import cut
from reindexer.items import WireItem, WireValue
from reindexer.models.comparison import Differing
from reindexer.values import same

#: Attributes described of one item: a person sees by then what has happened, and an item may have thousands.
_MAX_ATTRIBUTES = 20
_PATH_BYTES = 200  # of one path: names have up to 64 KB
_VALUE_BYTES = 200  # of one value: no one compares more by eye
_BEFORE = 40  # characters shown before the first one that differs
#: Names that are shown as they are; all others in quotes, so that a dot is never taken for a step.
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")

_Found = tuple[str, WireValue | None, WireValue | None]


def described(one: WireItem, other: WireItem) -> tuple[list[Differing], int]:
    """(the first attributes that differ by value, how many more there are), in the order of their names."""
    found = list(_of_maps("", one, other))
    return [_shown(*entry) for entry in found[:_MAX_ATTRIBUTES]], max(0, len(found) - _MAX_ATTRIBUTES)


def value_text(value: WireValue) -> str:
    """A value for people: DynamoDB JSON, shortened."""
    return cut(_text(value), _VALUE_BYTES)


def _of_maps(path: str, one: dict[str, Any], other: dict[str, Any]) -> Iterator[_Found]:
    for name in sorted(one.keys() | other.keys()):
        step = name if _PLAIN.fullmatch(name) else json.dumps(name, ensure_ascii=False)
        yield from _of_values(f"{path}.{step}" if path else step, one.get(name), other.get(name))


def _of_values(path: str, one: WireValue | None, other: WireValue | None) -> Iterator[_Found]:
    if one is None or other is None:
        yield path, one, other
    elif same(one, other):
        return
    elif "M" in one and "M" in other:
        yield from _of_maps(path, one["M"], other["M"])
    elif "L" in one and "L" in other:
        for place in range(max(len(one["L"]), len(other["L"]))):
            yield from _of_values(f"{path}[{place}]", _at(one["L"], place), _at(other["L"], place))
    else:
        kind = next(iter(one))
        if kind in ("SS", "NS", "BS") and kind in other:
            one, other = _lacking(kind, one[kind], other[kind]), _lacking(kind, other[kind], one[kind])
        yield path, one, other


def _at(values: list[WireValue], place: int) -> WireValue | None:
    return values[place] if place < len(values) else None


def _lacking(kind: str, members: list[Any], others: list[Any]) -> WireValue:
    """Members that the other set has not."""
    value = Decimal if kind == "NS" else lambda member: member
    known = {value(member) for member in others}
    return {kind: sorted(member for member in members if value(member) not in known)}


def _shown(path: str, one: WireValue | None, other: WireValue | None) -> Differing:
    texts = [None if value is None else _text(value) for value in (one, other)]
    if texts[0] is not None and texts[1] is not None:
        start = max(0, _first_difference(texts[0], texts[1]) - _BEFORE)
        if start and max(len(texts[0]), len(texts[1])) > _VALUE_BYTES:
            texts = ["…" + text[start:] for text in texts if text is not None]
    table, found = (None if text is None else cut(text, _VALUE_BYTES) for text in texts)
    return Differing(path=cut(path, _PATH_BYTES), table=table, other=found)


def _first_difference(one: str, other: str) -> int:
    """The first place where two texts differ; the shorter one's end where it begins the other."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[:middle] == other[:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _text(value: WireValue) -> str:
    """DynamoDB JSON: binary as base64, numbers as they are stored."""
    return json.dumps(value, ensure_ascii=False, default=lambda content: base64.b64encode(content).decode())
