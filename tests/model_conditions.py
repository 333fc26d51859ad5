"""Evaluating the conditions and filters that the engine sends. Any other form fails the test that sent it."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

Item = Mapping[str, Any]
Holds = Callable[[Item], bool]

_TOKEN = re.compile(
    r"\s*(\(|\)|AND\b|OR\b|NOT\b|attribute_(?:not_)?exists\(#\w+\)|attribute_type\(#\w+, :\w+\)|"
    r"#\w+ (?:<=|>=|<|>|=) :\w+)"
)
_COMPARED: Mapping[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "=": operator.eq,
}  # fmt: skip


def condition(asked: Mapping[str, Any], name: str) -> Holds:
    """The expression of that name in a request; without one everything holds."""
    text = asked.get(name)
    if text is None:
        return lambda _: True
    names, values = asked["ExpressionAttributeNames"], asked.get("ExpressionAttributeValues", {})
    return _Reader(text, names, values).whole()


class _Reader:
    """AND binds closer than OR."""

    def __init__(self, text: str, names: Mapping[str, str], values: Item) -> None:
        self._tokens = [match[1] for match in _TOKEN.finditer(text)]
        assert _TOKEN.sub("", text).strip() == "", f"not understood: {text}"
        self._names, self._values = names, values

    def whole(self) -> Holds:
        found = self._either()
        assert not self._tokens, "a parenthesis too many"
        return found

    def _either(self) -> Holds:
        parts = [self._both()]
        while self._tokens and self._tokens[0] == "OR":
            self._tokens.pop(0)
            parts.append(self._both())
        return lambda item: any(part(item) for part in parts)

    def _both(self) -> Holds:
        parts = [self._one()]
        while self._tokens and self._tokens[0] == "AND":
            self._tokens.pop(0)
            parts.append(self._one())
        return lambda item: all(part(item) for part in parts)

    def _one(self) -> Holds:
        token = self._tokens.pop(0)
        if token == "(":
            inner = self._either()
            assert self._tokens.pop(0) == ")"
            return inner
        if token == "NOT":
            inner = self._one()
            return lambda item: not inner(item)
        if found := re.fullmatch(r"attribute_type\((#\w+), (:\w+)\)", token):
            typed, kind = self._names[found[1]], self._values[found[2]]["S"]
            return lambda item: kind in item.get(typed, {})
        if found := re.fullmatch(r"attribute_(not_)?exists\((#\w+)\)", token):
            name, wanted = self._names[found[2]], not found[1]
            return lambda item: (name in item) is wanted
        place, sign, value = token.split()
        name, other = self._names[place], Decimal(self._values[value]["N"])
        return lambda item: "N" in item.get(name, {}) and _COMPARED[sign](Decimal(item[name]["N"]), other)
