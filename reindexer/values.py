"""Attribute values: from the wire to plain, read-only Python values, and back without loss.

    S str · N Decimal · B bytes · BOOL bool · NULL None · L tuple · M read-only mapping · SS NS BS frozenset

What DynamoDB would refuse is refused here first, with the path of the value, so that it never costs a call.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from decimal import Context, Decimal
from types import MappingProxyType
from typing import Any

import orjson

from reindexer.errors import ReindexerError
from reindexer.items import WireItem, WireValue

#: DynamoDB's numbers: up to 38 digits, magnitudes from 1E−130 to 9.99…E+125. Functions compute in this context,
#: since Python's own would round a 38-digit number to 28 digits at the first addition.
EXACT = Context(prec=38, Emax=125, Emin=-130)
_WIDE = Context(prec=5000)  # to look at a number without rounding it; longer ones are refused by their length
_MAX_DIGITS = 38  # DynamoDB's limit
_MAX_EXPONENT, _MIN_EXPONENT = 125, -130  # DynamoDB's limits
_DEEPEST = 32  # levels of lists and maps in one attribute (DynamoDB's limit)
#: Bytes of an item, names and values (DynamoDB's limit).
MAX_ITEM_BYTES = 400 * 1024


class InvalidValue(ReindexerError):
    """A value DynamoDB would refuse. The message begins with its path, such as `tags[2].seen`."""


# ── From the wire ──────────────────────────────────────────────────────────────────────────────────────────


def plain(value: WireValue) -> Any:
    """The Python value, read-only through and through."""
    for kind, content in value.items():
        return _PLAIN[kind](content)
    raise InvalidValue("an attribute value without a type")


_PLAIN: dict[str, Callable[[Any], Any]] = {
    "S": str,
    "N": Decimal,
    "B": bytes,
    "BOOL": bool,
    "NULL": lambda _: None,
    "L": lambda entries: tuple(plain(entry) for entry in entries),
    "M": lambda entries: MappingProxyType({name: plain(entry) for name, entry in entries.items()}),
    "SS": frozenset,
    "NS": lambda entries: frozenset(Decimal(entry) for entry in entries),
    "BS": lambda entries: frozenset(bytes(entry) for entry in entries),
}


# ── To the wire ────────────────────────────────────────────────────────────────────────────────────────────


def wire(value: Any, path: str = "value") -> WireValue:
    """The value as DynamoDB takes it. Raises `InvalidValue` naming the path of what it would refuse."""
    return _wire(value, path, 0)


def _wire(value: Any, path: str, depth: int) -> WireValue:
    if isinstance(value, str):
        return {"S": text_of(value)}
    if value is None:
        return {"NULL": True}
    if isinstance(value, bool):  # before int: True is one
        return {"BOOL": value}
    if isinstance(value, int | Decimal):
        return {"N": _number(value, path)}
    if isinstance(value, bytes | bytearray):
        return {"B": bytes(value)}
    if isinstance(value, Set):
        return _set(value, path)
    if isinstance(value, Mapping | list | tuple):
        return _document(value, path, depth + 1)
    if isinstance(value, float):
        raise InvalidValue(f"{path}: {value!r} is a float, which cannot hold a decimal exactly; use Decimal")
    raise InvalidValue(f"{path}: DynamoDB has no type for {type(value).__name__} ({_short(value)})")


def _document(value: Mapping[Any, Any] | list[Any] | tuple[Any, ...], path: str, depth: int) -> WireValue:
    if depth > _DEEPEST:
        raise InvalidValue(f"{path}: nested deeper than {_DEEPEST} levels")
    if isinstance(value, list | tuple):
        return {"L": [_wire(entry, f"{path}[{index}]", depth) for index, entry in enumerate(value)]}
    for name in value:
        if not isinstance(name, str):
            raise InvalidValue(f"{path}: the name {name!r} of a map's entry is not a string")
    return {
        "M": {text_of(name): _wire(entry, f"{path}.{text_of(name)}", depth) for name, entry in value.items()}
    }


def text_of(value: str) -> str:
    """The text itself: `str()` of a member of an enum of strings gives its name, such as "Color.RED"."""
    return str.__str__(value)


def _number(value: int | Decimal, path: str) -> str:
    number = Decimal(value)
    if not number.is_finite():
        raise InvalidValue(f"{path}: {value} is not a finite number")
    if len(number.as_tuple().digits) > _MAX_DIGITS:  # trailing zeros do not count
        number = number.normalize(_WIDE)
        if len(number.as_tuple().digits) > _MAX_DIGITS:
            raise InvalidValue(f"{path}: {_short(value)} has more than {_MAX_DIGITS} digits")
    if number and not _MIN_EXPONENT <= number.adjusted() <= _MAX_EXPONENT:
        raise InvalidValue(f"{path}: {_short(value)} is beyond DynamoDB's numbers, 1E-130 to 9.9E+125")
    return str(number)


def _set(value: Set[Any], path: str) -> WireValue:
    if not value:
        raise InvalidValue(f"{path}: an empty set; remove the attribute instead")
    kinds = {_element(entry, path) for entry in value}
    if len(kinds) > 1:
        raise InvalidValue(f"{path}: a set of {' and '.join(sorted(kinds))}; DynamoDB's sets hold one type")
    kind = kinds.pop()
    if kind == "numbers":
        return {"NS": sorted(_number(entry, path) for entry in value)}
    # Sorted, so that the same set gives the same statement.
    if kind == "strings":
        return {"SS": sorted(text_of(entry) for entry in value)}
    return {"BS": sorted(bytes(entry) for entry in value)}


def _element(entry: Any, path: str) -> str:
    if isinstance(entry, str):
        return "strings"
    if isinstance(entry, int | Decimal) and not isinstance(entry, bool):
        return "numbers"
    if isinstance(entry, bytes):
        return "binary values"
    raise InvalidValue(f"{path}: a set of {type(entry).__name__}; sets hold strings, numbers or binary values")


def wire_item(item: Mapping[str, Any]) -> WireItem:
    """A whole item as DynamoDB takes it. Raises `InvalidValue`."""
    return {text_of(name): wire(value, text_of(name)) for name, value in item.items()}


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:59] + "…"  # 60: enough to recognise it in a sentence


# ── Comparing and measuring ────────────────────────────────────────────────────────────────────────────────


def same(one: WireValue, other: WireValue) -> bool:
    """Whether DynamoDB's `=` holds between two values: 1 and 1.0 are one number, sets have no order."""
    if one == other:
        return True
    kind = next(iter(one))
    if kind not in other:
        return False
    a, b = one[kind], other[kind]
    if kind == "N":
        return Decimal(a) == Decimal(b)
    if kind == "NS":
        return {Decimal(entry) for entry in a} == {Decimal(entry) for entry in b}
    if kind in ("SS", "BS"):
        return set(a) == set(b)
    if kind == "L":
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    if kind == "M":
        return a.keys() == b.keys() and all(same(entry, b[name]) for name, entry in a.items())
    return False


def size_of(value: WireValue) -> int:
    """Bytes a value counts, by DynamoDB's rules; a number's are an upper bound."""
    for kind, content in value.items():
        if kind == "S":
            return len(content) if content.isascii() else len(content.encode())
        if kind == "N":
            return len(content) // 2 + 2  # two digits a byte, sign and exponent
        if kind == "B":
            return len(content)
        if kind == "M":  # 3 bytes for a list or map, one for each entry
            return 3 + sum(1 + len(name.encode()) + size_of(entry) for name, entry in content.items())
        if kind == "L":
            return 3 + sum(1 + size_of(entry) for entry in content)
        if kind in ("SS", "NS", "BS"):
            return sum(size_of({kind[0]: entry}) for entry in content)
    return 1  # true, false, null


def upper_bound(item: WireItem) -> int:
    """At least as many bytes as the item has; a tenth of the time of measuring it."""
    return len(orjson.dumps(item, default=lambda content: "=" * (len(content) * 4 // 3 + 4)))  # as base64


def item_size(item: WireItem) -> int:
    """Bytes of a whole item."""
    return sum(len(name.encode()) + size_of(value) for name, value in item.items())
