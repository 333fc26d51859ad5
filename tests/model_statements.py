"""Reading the writes that the engine sends: PartiQL's statements, and the expressions of calls of one item.

Any other form fails the test that sent it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

Item = dict[str, Any]


@dataclass
class Statement:
    """One conditional write."""

    key: Item = field(default_factory=dict)
    sets: Item = field(default_factory=dict)
    removes: list[str] = field(default_factory=list)
    guards: list[tuple[str, Any]] = field(default_factory=list)  # None: must be missing
    below: tuple[str, Any] | None = None  # NOT attribute >= value
    delete: bool = False
    create: bool = False  # of an item that must not exist
    must_exist: bool = False  # refused where it is gone, as every UPDATE is; PartiQL's DELETE is not


def parse_statement(text: str, parameters: Sequence[Item], key_names: Sequence[str]) -> Statement:
    """`UPDATE … SET … REMOVE … WHERE …`, `DELETE FROM … WHERE …` or `INSERT INTO … VALUE {…}`.

    Its parameters are in their places. An UPDATE has one of SET and REMOVE at least.
    """
    if text.startswith("INSERT"):
        return _insert(text, parameters, key_names)
    if text.startswith("DELETE"):
        where = text.partition(" WHERE ")[2]
        return _where(Statement(delete=True), where, iter(parameters), key_names)
    table, sets, removes, where = re.fullmatch(
        r'UPDATE ("(?:[^"]|"")*")(?: SET (.*?))?((?: REMOVE "(?:[^"]|"")*")*) WHERE (.*)', text
    ).groups()  # type: ignore[union-attr]  # a statement of another form must fail the test
    _name(table)
    rest = iter(parameters)
    statement = Statement()
    assert sets or removes, "an UPDATE of nothing"
    for part in sets.split(", ") if sets else []:
        statement.sets[_name(part.removesuffix("=?"))] = next(rest)
    statement.removes = [_name(part) for part in removes.split(" REMOVE ")[1:]]
    return _where(statement, where, rest, key_names)


def _insert(text: str, parameters: Sequence[Item], key_names: Sequence[str]) -> Statement:
    table, members = re.fullmatch(r'INSERT INTO ("(?:[^"]|"")*") VALUE \{(.*)\}', text).groups()  # type: ignore[union-attr]
    _name(table)
    names = [name.replace("''", "'") for name in re.findall(r"'((?:[^']|'')*)': \?(?:, |$)", members)]
    item = dict(zip(names, parameters, strict=True))
    key = {name: item.pop(name) for name in key_names}
    return Statement(key, item, create=True)


def _where(statement: Statement, where: str, rest: Iterator[Item], key_names: Sequence[str]) -> Statement:
    for part in where.split(" AND "):
        if part.startswith("NOT "):
            statement.below = (_name(part[4:].removesuffix(" >= ?")), next(rest))
        elif part.endswith(" IS MISSING"):
            statement.guards.append((_name(part.removesuffix(" IS MISSING")), None))
        elif (name := _name(part.removesuffix("=?"))) in key_names:
            statement.key[name] = next(rest)
        else:
            statement.guards.append((name, next(rest)))
    assert next(rest, None) is None, "more parameters than places"
    return statement


def _name(quoted: str) -> str:
    assert quoted[0] == quoted[-1] == '"', f"not quoted: {quoted}"
    return quoted[1:-1].replace('""', '"')


def parse_update(request: Item) -> Statement:
    """UpdateItem's SET, REMOVE and condition."""
    names, values = request["ExpressionAttributeNames"], request["ExpressionAttributeValues"]
    found = re.fullmatch(r"(?:SET (.*?))?(?:(?:^| )REMOVE (.*))?", request["UpdateExpression"])
    assert found is not None
    sets, removes = found.groups()
    assert sets or removes, "an update of nothing"
    pairs = (part.split("=") for part in sets.split(", ")) if sets else ()
    statement = Statement(request["Key"], {names[n]: values[v] for n, v in pairs})
    statement.removes = [names[name] for name in removes.split(", ")] if removes else []
    assert _conditions(request, statement), "without attribute_exists UpdateItem brings deleted rows back"
    return statement


def parse_delete(request: Item) -> Statement:
    """DeleteItem's condition."""
    statement = Statement(request["Key"], delete=True)
    values = request.get("ExpressionAttributeValues")
    assert values is None or values, "DynamoDB takes no empty map of values"
    _conditions(request, statement)
    statement.must_exist = True  # by attribute_exists, or by a value that it must hold
    return statement


def parse_put(request: Item, key_names: Sequence[str]) -> Statement:
    """PutItem's item, which must not exist."""
    names = request["ExpressionAttributeNames"]
    found = re.fullmatch(r"attribute_not_exists\((\S+)\)", request["ConditionExpression"])
    assert found is not None, "PutItem replaces what exists"
    assert names[found[1]] in key_names
    item = dict(request["Item"])
    return Statement({name: item.pop(name) for name in key_names}, item, create=True)


def _conditions(request: Item, statement: Statement) -> bool:
    """Whether the item has to exist."""
    names, values = request["ExpressionAttributeNames"], request.get("ExpressionAttributeValues", {})
    exists = False
    for part in request["ConditionExpression"].split(" AND "):
        if part.startswith("attribute_exists"):
            exists = True
        elif match := re.fullmatch(r"NOT (\S+) >= (\S+)", part):
            statement.below = (names[match[1]], values[match[2]])
        elif match := re.fullmatch(r"attribute_not_exists\((\S+)\)", part):
            statement.guards.append((names[match[1]], None))
        else:
            name, value = part.split("=")
            statement.guards.append((names[name], values[value]))
    return exists
