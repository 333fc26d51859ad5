"""Sort key values in DynamoDB's order: numbers by value, strings and binary by byte."""

from __future__ import annotations

import base64
from decimal import Context, Decimal
from typing import TypeAlias

from reindexer.items import WireValue
from reindexer.models import PartitionRange, PartitionScope, SortCondition

#: A value that Python orders as DynamoDB does. `str` by code point, which is the order of its UTF-8 bytes.
Ordered: TypeAlias = Decimal | str | bytes

#: DynamoDB's numbers have up to 38 digits; a plain notation longer than that is no help to a reader.
_EXACT = Context(prec=50)
_MAX_PLAIN = 38


def ordered(kind: str, text: str) -> Ordered:
    """The value that a text means, for a key of that type."""
    if kind == "N":
        return Decimal(text)
    return base64.b64decode(text) if kind == "B" else text


def wire_value(kind: str, text: str) -> WireValue:
    """The value that a text means, as boto3 wants it."""
    return {kind: base64.b64decode(text) if kind == "B" else text}


def text_of(value: WireValue) -> str:
    """The value as text, one text for each value: 1, 1.0 and 1E0 are "1", binary is base64."""
    for kind, content in value.items():
        if kind == "N":
            return number_text(Decimal(content))
        return base64.b64encode(content).decode() if kind == "B" else str(content)
    raise ValueError("a key value without a type")


def number_text(number: Decimal) -> str:
    """One text for each number, in plain notation where that is not overlong."""
    exact = number.normalize(_EXACT)
    if not exact:
        return "0"  # -0 too
    return format(exact, "f") if abs(exact.adjusted()) < _MAX_PLAIN else str(exact)


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


class Bounds:
    """The sort key values of one range under the scope's condition, and the one key condition to ask them by.

    DynamoDB takes one sort key condition a Query, so that of a part of a partition its hull is asked for, both
    ends included; `inside` and `beyond` leave out what the hull has too much at its ends.
    """

    def __init__(self, scope: PartitionScope, part: PartitionRange) -> None:
        self._kind = scope.sort.type if scope.sort else "S"  # without a sort key there is nothing to compare
        condition = scope.condition
        self._operator = condition.operator if condition else None
        self._values = condition.values if condition else []
        self._ends = [ordered(self._kind, text) for text in self._values]
        self._first, self._before = part.first, part.before
        self._end = None if part.before is None else ordered(self._kind, part.before)
        #: Whether DynamoDB answers the range exactly.
        self.whole = part.first is None and part.before is None

    def expression(self, name: str) -> tuple[str, dict[str, WireValue]]:
        """(key condition on the sort key called `name`, its values); the empty text where there is none."""
        if self.whole:
            return self._own(name)
        low, high = self._first or self._low(), self._before or self._high()
        if low is not None and high is not None:
            return f"{name} BETWEEN :low AND :high", {":low": self._wire(low), ":high": self._wire(high)}
        if low is not None:
            return f"{name} >= :low", {":low": self._wire(low)}
        assert high is not None, "a part has an end, or a beginning"
        return f"{name} <= :high", {":high": self._wire(high)}

    def _own(self, name: str) -> tuple[str, dict[str, WireValue]]:
        """The scope's condition as it is."""
        values = {f":s{number}": self._wire(text) for number, text in enumerate(self._values)}
        if self._operator is None:
            return "", {}
        if self._operator == "begins_with":
            return f"begins_with({name}, :s0)", values
        if self._operator == "between":
            return f"{name} BETWEEN :s0 AND :s1", values
        sign = {"eq": "=", "lt": "<", "lte": "<=", "gt": ">", "gte": ">="}[self._operator]
        return f"{name} {sign} :s0", values

    def _low(self) -> str | None:
        return self._values[0] if self._operator in ("eq", "gt", "gte", "begins_with", "between") else None

    def _high(self) -> str | None:
        return self._values[-1] if self._operator in ("eq", "lt", "lte", "between") else None

    def _wire(self, text: str) -> WireValue:
        return wire_value(self._kind, text)

    def beyond(self, value: Ordered) -> bool:
        """Whether a value that the hull holds lies past the range: nothing that follows it belongs to it."""
        if self._end is not None and value >= self._end:  # type: ignore[operator]  # one type, one key
            return True
        if self._operator == "begins_with":
            return not value.startswith(self._ends[0])  # type: ignore[union-attr,arg-type]  # S or B
        if self._operator == "lt":
            return value >= self._ends[0]  # type: ignore[operator]
        return self._operator in ("eq", "lte", "between") and value > self._ends[-1]  # type: ignore[operator]

    def inside(self, value: Ordered) -> bool:
        """Whether a value that the hull holds belongs to the range."""
        low = self._operator == "gt" and value <= self._ends[0]  # type: ignore[operator]
        return not low and not self.beyond(value)


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
