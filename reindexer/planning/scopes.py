"""Which records: the job's scope turned into sources, with named keys typed by the table's key schema."""

from __future__ import annotations

import base64
import difflib
import json
import re
from collections.abc import Mapping, Sequence
from decimal import Context, Decimal

from reindexer.errors import BadInput
from reindexer.items import Key, from_json_key, key_identity
from reindexer.models import Complete, KeyAttribute, Keys, Sample, Scope, Segment, Source, TableFacts
from reindexer.planning.sizing import key_lists, segments

_WORDS = {"S": "a string", "N": "a number", "B": "binary, as base64"}
#: What DynamoDB reads as a number; Python's own readers also take 1_000, NaN and digits of other scripts.
_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,3})?$")
_EXACT = Context(prec=5000)  # Python's own 28 digits would round; no key in reach has more characters
_MAX_KEY_BYTES = (2048, 1024)  # DynamoDB's limits of partition and sort key
_MAX_DIGITS = 38  # DynamoDB's limit
_MAX_EXPONENT = 125  # magnitudes up to 9.99…E+125 and down to 1E−130
_MIN_EXPONENT = -130


def sources_of(
    scope: Scope, schema: Sequence[KeyAttribute], facts: TableFacts, total: int | None, run: str
) -> list[Source]:
    """The sources of every scope but `quarantined` and `partitions`, which ask first. Raises `BadInput`."""
    if isinstance(scope, Complete):
        return list(segments(facts.items, facts.size_bytes, total, run))
    if isinstance(scope, Sample):
        return [Segment(segment=0, total=1, limit=scope.limit)]
    if isinstance(scope, Keys):
        given, field = _as_objects(scope, schema)
        keys = distinct_keys(given, schema, field)
        lists, taken = key_lists(keys)
        if taken < len(keys):
            raise BadInput(
                f"{len(keys)} keys are too long together; the first {taken} fit one job: split the list",
                field,
            )
        return list(lists)
    raise AssertionError(f"{scope.kind} is planned elsewhere")


def _as_objects(scope: Keys, schema: Sequence[KeyAttribute]) -> tuple[Sequence[Mapping[str, str | int]], str]:
    """(keys, the field they were given in). Raises `BadInput` where values alone do not say which keys."""
    if scope.values is None:
        return scope.keys or [], "scope.keys"
    if len(schema) > 1:
        names = " and ".join(attribute.name for attribute in schema)
        example = json.dumps({attribute.name: "…" for attribute in schema}, ensure_ascii=False)
        raise BadInput(
            f'the table\'s key is {names}: a value alone names no record; write "keys": [{example}]',
            "scope.values",
        )
    return [{schema[0].name: value} for value in scope.values], "scope.values"


def distinct_keys(
    given: Sequence[Mapping[str, str | int]], schema: Sequence[KeyAttribute], field: str
) -> list[Key]:
    """The keys typed by the schema, each once (1 and 1.0 are one key), in their order. Raises `BadInput`."""
    found: dict[object, Key] = {}
    for index, key in enumerate(given):
        typed = typed_key(key, schema, f"{field}[{index}]")
        found.setdefault(key_identity(from_json_key(typed)), typed)
    return list(found.values())


def typed_key(given: Mapping[str, str | int], schema: Sequence[KeyAttribute], field: str) -> Key:
    """One key as DynamoDB JSON. Raises `BadInput` naming the attribute and what would be right."""
    shape = " and ".join(f"{attribute.name} ({_WORDS[attribute.type]})" for attribute in schema)
    names = [attribute.name for attribute in schema]
    for name in given:
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise BadInput(f"is not a key attribute of the table: its key is {shape}{hint}", f"{field}.{name}")
    typed: Key = {}
    for position, attribute in enumerate(schema):
        if attribute.name not in given:
            raise BadInput(f"is missing; the table's key is {shape}", f"{field}.{attribute.name}")
        where = f"{field}.{attribute.name}"
        typed[attribute.name] = {attribute.type: typed_value(given[attribute.name], attribute, position, where)}
    return typed


def typed_value(value: str | int, attribute: KeyAttribute, position: int, field: str) -> str:
    """One key attribute's value as DynamoDB JSON's text. `position`: 0 partition key, 1 sort key."""
    if isinstance(value, float):
        raise BadInput(f'{value} may have been rounded; write it as a string: "{value}"', field)
    if isinstance(value, dict):
        raise BadInput("is DynamoDB JSON; write the value alone, without its type", field)
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise BadInput(f"{value!r} is not a key value; it must be {_WORDS[attribute.type]}", field)
    if attribute.type == "N":
        return _number(value, field)
    if not isinstance(value, str):
        raise BadInput(f'{value} is a number; it must be {_WORDS[attribute.type]}: "{value}"', field)
    try:
        content = value.encode() if attribute.type == "S" else base64.b64decode(value, validate=True)
    except ValueError as error:
        raise BadInput(f"{value!r} must be {_WORDS[attribute.type]} ({error})", field) from error
    most = _MAX_KEY_BYTES[position]
    if not 0 < len(content) <= most:
        raise BadInput(f"has {len(content)} bytes; a key value has 1 to {most}", field)
    return value if attribute.type == "S" else base64.b64encode(content).decode()


def _number(value: str | int, field: str) -> str:
    """The number as DynamoDB takes it."""
    text = str(value).strip()
    if not _NUMBER.match(text):
        raise BadInput(f'{value!r} is not a number; write it as an integer, or as a string like "12.5"', field)
    number = Decimal(text)
    digits = number.normalize(_EXACT).as_tuple().digits
    if len(digits) > _MAX_DIGITS or (number and not _MIN_EXPONENT <= number.adjusted() <= _MAX_EXPONENT):
        raise BadInput(f"{value} is beyond DynamoDB's numbers: {_MAX_DIGITS} digits, 1E-130 to 1E+126", field)
    return text
