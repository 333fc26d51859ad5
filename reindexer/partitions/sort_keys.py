"""Sort key values in DynamoDB's order: numbers by value, strings and binary by byte."""

from __future__ import annotations

import base64
from decimal import Context, Decimal
from typing import TypeAlias

from reindexer.items import number_text
from reindexer.models import SortCondition

#: A value that Python orders as DynamoDB does. `str` by code point, which is the order of its UTF-8 bytes.
Ordered: TypeAlias = Decimal | str | bytes


def ordered(kind: str, text: str) -> Ordered:
    """The value that a text means, for a key of that type."""
    if kind == "N":
        return Decimal(text)
    return base64.b64decode(text) if kind == "B" else text


def holds(condition: SortCondition, kind: str, value: Ordered) -> bool:
    """Whether a sort key of that type meets the condition."""
    first, last = ordered(kind, condition.values[0]), ordered(kind, condition.values[-1])
    match condition.operator:
        case "begins_with":
            return value.startswith(first)  # type: ignore[union-attr,arg-type]  # S or B
        case "eq":
            return value == first
        case "lt":
            return value < first  # type: ignore[operator]  # one type, one key; here and below
        case "lte":
            return value <= first  # type: ignore[operator]
        case "gt":
            return value > first  # type: ignore[operator]
        case "gte":
            return value >= first  # type: ignore[operator]
    return first <= value <= last  # type: ignore[operator]


# ── The middle between two values ──────────────────────────────────────────────────────────────────────────

_DIGITS = Context(prec=38)  # as many as DynamoDB keeps
_SMALLEST = Decimal("1E-130")  # DynamoDB stores nothing nearer to 0
_CODE_POINTS = 0x110000
_SURROGATES = range(0xD800, 0xE000)  # code points that no UTF-8 text holds
_MORE_PLACES = 4  # beyond the common beginning: halves of halves of a byte, or a character, are places enough
_MAX_BYTES = 1024  # DynamoDB's limit of a sort key


def midpoint(kind: str, low: str, high: str) -> str:
    """A value above `low` and at most `high`, near the middle of what lies between. `low` is below `high`."""
    if kind == "N":
        return _middle_number(low, high)
    if kind == "B":
        a, b = base64.b64decode(low), base64.b64decode(high)
        middle = bytes(_middle(list(a), list(b), 256))
        return base64.b64encode(middle).decode() if a < middle <= b and len(middle) <= _MAX_BYTES else high
    points = _middle([ord(c) for c in low], [ord(c) for c in high], _CODE_POINTS)
    text = "".join(chr(_SURROGATES.stop if point in _SURROGATES else point) for point in points)
    return text if low < text <= high and len(text.encode()) <= _MAX_BYTES else high


def _middle_number(low: str, high: str) -> str:
    a, b = Decimal(low), Decimal(high)
    middle = _DIGITS.divide(_DIGITS.add(a, b), Decimal(2))
    if not a < middle <= b or (middle and abs(middle) < _SMALLEST):
        return high
    return number_text(middle)


def _middle(low: list[int], high: list[int], base: int) -> list[int]:
    """Half of the sum, both read as fractions in that base, to a few places beyond their common beginning."""
    same = next(
        (n for n, (a, b) in enumerate(zip(low, high, strict=False)) if a != b), min(len(low), len(high))
    )
    places = same + _MORE_PLACES
    numbers = [_number([*part[:places], *[0] * (places - len(part))], base) for part in (low, high)]
    middle, digits = sum(numbers) // 2, []
    for _ in range(places):
        middle, digit = divmod(middle, base)
        digits.append(digit)
    while digits and digits[0] == 0:  # the last place: nothing below it is meant
        digits.pop(0)
    return digits[::-1]


def _number(digits: list[int], base: int) -> int:
    number = 0
    for digit in digits:
        number = number * base + digit
    return number
