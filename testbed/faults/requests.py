"""What a DynamoDB request touches: which items, by which key, under which run stamp.

Reads UpdateItem, PutItem, DeleteItem, GetItem, the batches, the transactions and PartiQL. It is written apart
from the engine on purpose: what checks the counts must not share code with what made them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from decimal import Context, Decimal
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

import orjson

from testbed.faults.partiql import Source, statement_shape

#: One attribute value on the wire: {"S": "a"}, {"N": "1"}, {"B": "base64"} …
WireValue: TypeAlias = Mapping[str, Any]

PARTIQL = frozenset({"BatchExecuteStatement", "ExecuteStatement", "ExecuteTransaction"})
WRITES = PARTIQL | {"UpdateItem", "PutItem", "DeleteItem", "BatchWriteItem", "TransactWriteItems"}
READS = frozenset({"GetItem", "BatchGetItem", "TransactGetItems", "Query", "Scan", "GetRecords"})

_DIGITS = Context(prec=60)  # more than the 38 digits of a DynamoDB number, so nothing is rounded away


class Schema(NamedTuple):
    """The key attributes of a table and its ARN."""

    partition: str
    sort: str | None
    arn: str


class Touched(NamedTuple):
    """One item that a request names. `key` is None where the request could not be read."""

    table: str
    key: str | None  # canonical, see `key_text`
    partition: str  # the partition key's value, canonical; "" where it could not be read
    run: str | None  # the run stamp that this request would set on the item
    entry: int  # its place in the request, from 0


def key_text(key: Mapping[str, WireValue]) -> str:
    """A key as canonical text: compact JSON, names sorted; 1, 1.0 and 1E0 are the same number."""
    plain = {name: _canonical(value) for name, value in key.items()}
    return orjson.dumps(plain, option=orjson.OPT_SORT_KEYS).decode()


def _canonical(value: WireValue) -> WireValue:
    number = value.get("N")
    if number is None or (number.isdigit() and number[0] != "0"):  # the usual one is canonical already
        return value
    exact = Decimal(number).normalize(_DIGITS)
    return {"N": format(exact, "f") if exact else "0"}  # -0 and 0.00 are 0


def table_name(name: str) -> str:
    """The table's name, also when it was named by ARN."""
    return name.partition(":table/")[2].partition("/")[0] if name.startswith("arn:") else name


def tables_of(operation: str, request: Mapping[str, Any]) -> list[str]:
    """The tables that a request names, without repetition; empty for what is not about tables."""
    names: list[str] = []
    if operation in PARTIQL:
        texts = dict.fromkeys(entry.get("Statement", "") for entry in _statements(operation, request))
        names = [shape.table for shape in map(statement_shape, texts) if shape is not None]
    elif "RequestItems" in request:
        names = list(request["RequestItems"])
    elif "TransactItems" in request:
        names = [body["TableName"] for item in request["TransactItems"] for body in item.values()]
    elif isinstance(request.get("TableName"), str):
        names = [request["TableName"]]
    return list(dict.fromkeys(table_name(name) for name in names))


def touched_by(
    operation: str, request: Mapping[str, Any], schemas: Mapping[str, Schema], stamp: str | None
) -> list[Touched]:
    """Every item that the request would write, or for GetItem and BatchGetItem would read.

    `stamp`: the name of the attribute that carries the run stamp. Raises nothing on odd requests: what cannot
    be read is listed with `key` None, since the engine is the one to refuse it.
    """
    if operation in PARTIQL:
        return list(_by_statements(_statements(operation, request), schemas, stamp))
    found = []
    for entry, (table, key, run) in enumerate(_by_fields(operation, request, stamp)):
        if table:
            name = table_name(table)
            names = _key_names(schemas.get(name))
            found.append(_touched(name, [(attribute, key.get(attribute)) for attribute in names], run, entry))
    return found


class _Recipe(NamedTuple):
    """How to read the key and the stamp of one statement text on one table; computed once per text."""

    table: str
    key: tuple[tuple[str, Source | None], ...]  # the partition key first
    run: Source | None


@lru_cache(maxsize=4096)  # as many texts as `statement_shape` remembers
def _recipe(text: str, schema: Schema | None, stamp: str | None) -> _Recipe | None:
    shape = statement_shape(text)
    if shape is None:
        return _Recipe("", (), None)
    if shape.verb == "SELECT":
        return None
    sources = shape.assigned if shape.verb == "INSERT" else shape.equals
    key = tuple((name, sources.get(name)) for name in _key_names(schema))
    return _Recipe(table_name(shape.table), key, shape.assigned.get(stamp) if stamp else None)


def _by_statements(
    statements: Sequence[Mapping[str, Any]], schemas: Mapping[str, Schema], stamp: str | None
) -> Iterator[Touched]:
    """What each statement writes; a SELECT is left out."""
    recipe, text_before = None, None
    for entry, statement in enumerate(statements):
        text = statement.get("Statement", "")
        if text != text_before:  # a batch mostly repeats one text
            shape = statement_shape(text)
            schema = schemas.get(table_name(shape.table)) if shape is not None else None
            recipe, text_before = _recipe(text, schema, stamp), text
        if recipe is not None:
            parameters = statement.get("Parameters") or ()
            key = [(name, _value(source, parameters)) for name, source in recipe.key]
            yield _touched(recipe.table, key, _plain(_value(recipe.run, parameters)), entry)


def _value(source: Source | None, parameters: Sequence[WireValue]) -> WireValue | None:
    if isinstance(source, int):
        return parameters[source] if source < len(parameters) else None
    return source


def _touched(table: str, key: Sequence[tuple[str, WireValue | None]], run: str | None, entry: int) -> Touched:
    try:
        values = {name: _canonical(value) for name, value in key if value is not None}
        if not key or len(values) < len(key):
            return Touched(table, None, "", run, entry)
        text = orjson.dumps(values, option=orjson.OPT_SORT_KEYS).decode()
        [partition] = values[key[0][0]].values()
    except (TypeError, ValueError, ArithmeticError):
        return Touched(table, None, "", run, entry)
    return Touched(table, text, str(partition), run, entry)


def _key_names(schema: Schema | None) -> tuple[str, ...]:
    if schema is None:
        return ()
    return (schema.partition,) if schema.sort is None else (schema.partition, schema.sort)


def _by_fields(
    operation: str, request: Mapping[str, Any], stamp: str | None
) -> Iterator[tuple[str, Mapping[str, WireValue], str | None]]:
    """(table, key or whole item, stamp) of each item; the table is "" for what is not a write."""
    if operation in ("UpdateItem", "DeleteItem", "PutItem", "GetItem"):
        yield _single(request, stamp)
    elif operation == "TransactWriteItems":
        for item in request.get("TransactItems", ()):
            [(verb, body)] = item.items()
            yield _single(body, stamp) if verb != "ConditionCheck" else ("", {}, None)
    elif operation == "BatchWriteItem":
        for table, entries in request.get("RequestItems", {}).items():
            for entry in entries:
                [body] = entry.values()
                yield _single({"TableName": table, **body}, stamp)
    elif operation == "BatchGetItem":
        for table, wanted in request.get("RequestItems", {}).items():
            for key in wanted.get("Keys", ()):
                yield table, key, None


def _single(body: Mapping[str, Any], stamp: str | None) -> tuple[str, Mapping[str, WireValue], str | None]:
    if "Item" in body:
        return body["TableName"], body["Item"], _plain(body["Item"].get(stamp)) if stamp else None
    return body.get("TableName", ""), body.get("Key", {}), _stamp_of_update(body, stamp)


def _stamp_of_update(body: Mapping[str, Any], stamp: str | None) -> str | None:
    expression, values = body.get("UpdateExpression"), body.get("ExpressionAttributeValues")
    if not stamp or not expression or not values:
        return None
    names = [stamp, *(a for a, name in body.get("ExpressionAttributeNames", {}).items() if name == stamp)]
    spelt = "|".join(map(re.escape, names))
    found = re.search(rf"(?<![\w#:.\]])(?:{spelt})\s*=\s*(:\w+)", expression)
    return _plain(values.get(found[1])) if found else None


def _plain(value: WireValue | None) -> str | None:
    return None if not value else str(next(iter(value.values())))


def _statements(operation: str, request: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    if operation == "ExecuteStatement":
        return (request,)
    field = "Statements" if operation == "BatchExecuteStatement" else "TransactStatements"
    found: Sequence[Mapping[str, Any]] = request.get(field) or ()
    return found
