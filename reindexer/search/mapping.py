"""The mapping of an index: the user's or one made from a sample, with the two fields that are ours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from reindexer.errors import BadInput
from reindexer.items import WireItem, WireValue
from reindexer.search.documents import GONE, ORDER

#: Added to every mapping. Neither is analysed, and readers' aliases hide what has the second one.
OWN_FIELDS: Mapping[str, Any] = {ORDER: {"type": "long"}, GONE: {"type": "date"}}
#: Types whose fields take a number as a string, digit by digit.
_TEXT_TYPES = frozenset(("keyword", "text", "wildcard", "constant_keyword", "match_only_text"))
#: What OpenSearch itself makes of a string.
_STRING: Mapping[str, Any] = {
    "type": "text",
    "fields": {"keyword": {"type": "keyword", "ignore_above": 256}},
}
#: Fields of an index (`index.mapping.total_fields.limit`), unless its settings say otherwise.
FIELD_LIMIT = 1000
#: Fields met only later: whole numbers as `double` too, since the next one may have a fraction, which a `long`
#: would cut off.
_DYNAMIC: Sequence[Mapping[str, Any]] = (
    {"whole_numbers": {"match_mapping_type": "long", "mapping": {"type": "double"}}},
    {"fractions": {"match_mapping_type": "double", "mapping": {"type": "double"}}},  # else `float`: 32 bits
)


def with_own_fields(mapping: Mapping[str, Any]) -> dict[str, Any]:
    """The user's mapping with our fields. Raises `BadInput` where it rules them out."""
    if not isinstance(mapping.get("properties", {}), Mapping):
        raise BadInput("properties must be an object", "operation.mapping")
    if (mapping.get("_source") or {}).get("enabled", True) in (False, "false"):
        raise BadInput("an index without _source cannot be checked", "operation.mapping._source")
    properties = dict(mapping.get("properties", {}))
    for name, own in OWN_FIELDS.items():
        if properties.get(name, own) != own:
            raise BadInput(
                f"{name} is a field of the reindexer, of type {own['type']}", "operation.mapping.properties"
            )
    return {**mapping, "properties": {**properties, **OWN_FIELDS}}


def numbers_as_text(mapping: Mapping[str, Any]) -> list[str]:
    """Fields whose mapping takes numbers as strings, by their paths."""
    return sorted(path for path, field in _fields(mapping) if field.get("type") in _TEXT_TYPES)


def fields_of(mapping: Mapping[str, Any]) -> int:
    """How many fields the mapping has, objects and subfields included, as OpenSearch counts them."""
    return sum(1 + len(field.get("fields", {})) for _, field in _fields(mapping))


def _fields(mapping: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name, field in (mapping.get("properties") or {}).items():
        if isinstance(field, Mapping):
            yield f"{above}{name}", field
            yield from _fields(field, f"{above}{name}.")


def mapping_from(rows: Sequence[WireItem], left_out: Sequence[str]) -> dict[str, Any]:
    """A mapping of what the rows hold.

    Numbers are `double`; `keyword` where one of the rows has a number that a double cannot hold, so that the
    field's numbers are strings. Text is analysed, with a subfield `keyword`. Dates are not guessed from text.
    """
    return with_own_fields(
        {
            "date_detection": False,
            "dynamic_templates": [dict(template) for template in _DYNAMIC],
            "properties": _properties(rows, frozenset(left_out)),
        }
    )


def _properties(
    rows: Sequence[Mapping[str, WireValue]], left_out: frozenset[str] = frozenset()
) -> dict[str, Any]:
    found: dict[str, list[WireValue]] = {}
    for row in rows:
        for name, value in row.items():
            if name not in left_out:
                found.setdefault(name, []).append(value)
    fields = {name: _field(list(_flat(values))) for name, values in sorted(found.items())}
    return {name: field for name, field in fields.items() if field is not None}


def _flat(values: Sequence[WireValue]) -> Iterator[WireValue]:
    """The values without lists and sets around them: an array's field has the type of its elements."""
    for value in values:
        if "L" in value:
            yield from _flat(value["L"])
        elif kind := next((kind for kind in ("SS", "NS", "BS") if kind in value), None):
            yield from ({kind[0]: entry} for entry in value[kind])
        else:
            yield value


def _field(values: Sequence[WireValue]) -> dict[str, Any] | None:
    kinds = {kind for value in values for kind in value} - {"NULL"}
    if kinds == {"M"}:
        return {"properties": _properties([value["M"] for value in values if "M" in value])}
    if kinds == {"N"}:
        exact = all(_fits_double(value["N"]) for value in values if "N" in value)
        return {"type": "double" if exact else "keyword"}
    if kinds == {"BOOL"}:
        return {"type": "boolean"}
    if kinds == {"B"}:
        return {"type": "binary"}
    if kinds == {"S"} or (kinds and "M" not in kinds):  # of several types: as text
        return dict(_STRING) if kinds == {"S"} else {"type": "keyword", "ignore_above": 256}
    if "M" in kinds:  # an object and something else: no mapping takes both
        return {"type": "object", "enabled": False}
    return None


def _fits_double(text: str) -> bool:
    """Whether a double gives back the number as it is written."""
    number = Decimal(text)
    return Decimal(repr(float(number))) == number
