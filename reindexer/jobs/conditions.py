"""A job's query: boto3's own conditions, sent to DynamoDB as a filter and evaluated here once more.

Here too, because a row that was handed out may match the filter only by its stamp, and because a row that
another writer changed has to be asked again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import boto3.dynamodb.conditions as boto
from boto3.exceptions import DynamoDBNeedsConditionError

from reindexer.dynamo.wire import Stamp
from reindexer.errors import ReindexerError
from reindexer.items import WireItem, WireValue
from reindexer.values import InvalidValue, plain, same, wire

#: What `query` may return, besides None.
Condition: TypeAlias = boto.ConditionBase

Test: TypeAlias = Callable[[WireItem], bool]
_Operand: TypeAlias = Callable[[WireItem], WireValue | None]


#: What a path's own signs become within a name: no name of DynamoDB holds these, since UTF-8 cannot.
_SIGNS = {".": "\ud800", "[": "\ud801", "]": "\ud802"}
_LITERAL = str.maketrans(_SIGNS)
_AS_STORED = str.maketrans({stand_in: sign for sign, stand_in in _SIGNS.items()})
_INDEX = re.compile(r"([0-9]+)\]$")


class Name(boto.Attr):
    """An attribute by its name as it is: `Attr` takes a dot or a bracket in it for the way into a map.

    More arguments lead into a map (a name) or a list (a number): `Name("files", "example.txt", 0)`.
    """

    def __init__(self, name: str, *within: str | int) -> None:
        steps = [f"[{s}]" if isinstance(s, int) else f".{s.translate(_LITERAL)}" for s in within]
        super().__init__(name.translate(_LITERAL) + "".join(steps))


class BadQuery(ReindexerError):
    """The query is no condition that can be asked of DynamoDB."""


# ── For DynamoDB ───────────────────────────────────────────────────────────────────────────────────────────


def filter_of(condition: Condition, stamp: Stamp) -> dict[str, Any]:
    """Scan parameters that leave out rows outside the query, but none that this run may have written.

    Without the second half a function that makes its own query false would take its rows out of the count
    when a round is repeated. Raises `BadQuery`.
    """
    expression, names, values = built(condition)
    return {
        # No parentheses: boto3 puts them where they are needed, and DynamoDB refuses superfluous ones.
        "FilterExpression": f"{expression} OR #run = :run OR #version >= :version",
        "ExpressionAttributeNames": {
            **names,
            "#run": stamp.run_attribute,
            "#version": stamp.version_attribute,
        },
        "ExpressionAttributeValues": {**values, ":run": stamp.run_value, ":version": stamp.version_value},
    }


def as_filter(condition: Condition) -> dict[str, Any]:
    """Parameters of a read that leave out rows outside the query. Raises `BadQuery`."""
    expression, names, values = built(condition)
    found: dict[str, Any] = {"FilterExpression": expression, "ExpressionAttributeNames": names}
    return found | ({"ExpressionAttributeValues": values} if values else {})


def built(condition: Condition) -> tuple[str, dict[str, str], dict[str, WireValue]]:
    """(expression, names, values on the wire). Raises `BadQuery`."""
    if not isinstance(condition, Condition):
        raise BadQuery(
            f"query returned {type(condition).__name__}; return a condition such as "
            'Attr("modified").lt("2020-01-01"), or None for every record'
        )
    try:
        made = boto.ConditionExpressionBuilder().build_expression(condition)
        values = {name: wire(value, "query") for name, value in made.attribute_value_placeholders.items()}
    except (DynamoDBNeedsConditionError, InvalidValue) as error:
        raise BadQuery(f"the query cannot be sent to DynamoDB: {error}") from error
    names = {alias: name.translate(_AS_STORED) for alias, name in made.attribute_name_placeholders.items()}
    return made.condition_expression, names, values


def named(condition: Condition) -> frozenset[str]:
    """The top-level attributes the query looks at."""
    return frozenset(_path(name)[0] for name in _names(condition))


def dotted(condition: Condition) -> frozenset[str]:
    """What the query takes for paths, as it is written: each may be meant as one attribute's name."""
    return frozenset(name for name in _names(condition) if _path(name)[1])


def _names(part: Any) -> Iterator[str]:
    if isinstance(part, boto.Attr | boto.Key):
        yield part.name
    elif isinstance(part, Condition):
        for value in part.get_expression()["values"]:
            yield from _names(value)


# ── Here ───────────────────────────────────────────────────────────────────────────────────────────────────


def compiled(condition: Condition) -> Test:
    """The query as a test of an item on the wire, with DynamoDB's own rules. Raises `BadQuery`."""
    values = condition.get_expression()["values"]
    if isinstance(condition, boto.And):
        left, right = compiled(values[0]), compiled(values[1])
        return lambda item: left(item) and right(item)
    if isinstance(condition, boto.Or):
        left, right = compiled(values[0]), compiled(values[1])
        return lambda item: left(item) or right(item)
    if isinstance(condition, boto.Not):
        inner = compiled(values[0])
        return lambda item: not inner(item)
    first = _operand(values[0])
    if isinstance(condition, boto.AttributeExists):
        return lambda item: first(item) is not None
    if isinstance(condition, boto.AttributeNotExists):
        return lambda item: first(item) is None
    if isinstance(condition, boto.In):
        among = [_operand(value) for value in values[1]]
        return lambda item: any(_equal(first(item), one(item)) for one in among)
    if isinstance(condition, boto.Between):
        low, high = _operand(values[1]), _operand(values[2])
        return lambda item: _ordered(low(item), first(item), "<=") and _ordered(first(item), high(item), "<=")
    rule = _RULES.get(type(condition))
    if rule is None:
        raise BadQuery(f"the query holds {type(condition).__name__}, which cannot be evaluated here")
    second = _operand(values[1])
    return lambda item: rule(first(item), second(item))


def _operand(value: Any) -> _Operand:
    if isinstance(value, boto.Size):
        inner = _operand(value.get_expression()["values"][0])
        return lambda item: _size(inner(item))
    if isinstance(value, boto.Attr | boto.Key):
        first, rest = _path(value.name)
        if not rest:
            return lambda item: item.get(first)
        return lambda item: _within(item.get(first), rest)
    constant = wire(value, "query")
    return lambda _: constant


def _path(name: str) -> tuple[str, list[str | int]]:
    """`a.b[0]` → a, [b, 0]: as boto3 reads it. Raises `BadQuery`."""
    parts: list[str | int] = []
    for step in name.split("."):
        head, *indexes = step.split("[")
        parts.append(head.translate(_AS_STORED))
        for index in indexes:
            found = _INDEX.match(index)
            if found is None:
                raise BadQuery(f"{name!r} is not a path; where it is an attribute's name, write Name({name!r})")
            parts.append(int(found[1]))
    return str(parts[0]), parts[1:]


def _within(value: WireValue | None, rest: list[str | int]) -> WireValue | None:
    for step in rest:
        if value is None:
            return None
        if isinstance(step, int):
            entries = value.get("L", [])
            value = entries[step] if step < len(entries) else None
        else:
            value = value.get("M", {}).get(step)
    return value


def _size(value: WireValue | None) -> WireValue | None:
    """A string's UTF-16 units (as DynamoDB counts them), binary's bytes, entries of what has some."""
    if value is None:
        return None
    kind, content = next(iter(value.items()))
    if kind == "S" and not content.isascii():
        content = content.encode("utf-16-be")[::2]
    return {"N": str(len(content))} if kind in ("S", "B", "SS", "NS", "BS", "L", "M") else None


def _equal(one: WireValue | None, other: WireValue | None) -> bool:
    return one is not None and other is not None and same(one, other)


def _ordered(one: WireValue | None, other: WireValue | None, how: str) -> bool:
    """Strings by code point (as UTF-8 orders them), numbers, binary by byte; two types have no order."""
    if one is None or other is None:
        return False
    kind = next(iter(one))
    if kind not in other or kind not in ("S", "N", "B"):
        return False
    a, b = plain(one), plain(other)
    return bool(a < b if how == "<" else a <= b)


def _begins(one: WireValue | None, other: WireValue | None) -> bool:
    if one is None or other is None:
        return False
    kind = next(iter(one))
    return kind in ("S", "B") and kind in other and one[kind].startswith(other[kind])


def _contains(one: WireValue | None, other: WireValue | None) -> bool:
    if one is None or other is None:
        return False
    kind, content = next(iter(one.items()))
    if kind in ("S", "B"):
        return kind in other and other[kind] in content
    if kind == "L":
        return any(same(entry, other) for entry in content)
    return kind in ("SS", "NS", "BS") and any(same({kind[0]: entry}, other) for entry in content)


_RULES: dict[type, Callable[[WireValue | None, WireValue | None], bool]] = {
    boto.Equals: _equal,
    # A missing attribute differs from everything, for DynamoDB too.
    boto.NotEquals: lambda one, other: not _equal(one, other),
    boto.LessThan: lambda one, other: _ordered(one, other, "<"),
    boto.LessThanEquals: lambda one, other: _ordered(one, other, "<="),
    boto.GreaterThan: lambda one, other: _ordered(other, one, "<"),
    boto.GreaterThanEquals: lambda one, other: _ordered(other, one, "<="),
    boto.BeginsWith: _begins,
    boto.Contains: _contains,
    boto.AttributeType: lambda one, other: one is not None and (other or {}).get("S") in one,
}
