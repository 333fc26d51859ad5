"""The scope `partitions` held against the table: of which keys, which values, under which condition."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from reindexer.errors import BadInput, Refused
from reindexer.items import number_text
from reindexer.models import KeyAttribute, Partitions, PartitionScope, SortCondition, SortKey
from reindexer.partitions.sort_keys import ordered
from reindexer.planning.facts import Described
from reindexer.planning.scopes import typed_value


def checked_scope(given: Partitions, described: Described) -> tuple[PartitionScope, list[str]]:
    """(of what the partitions are partitions, their values as text, each once).

    Raises `BadInput` naming the field, `Refused` where the index is not there to be read.
    """
    key = described.key if given.index is None else _index_key(given.index, described)
    of = "the table" if given.index is None else f"index {given.index}"
    partition, sort = key[0], key[1] if len(key) > 1 else None
    condition = None
    if given.sort_key is not None:
        if sort is None:
            raise BadInput(
                f"{of} has no sort key, only the partition key {partition.name}; leave it out", "scope.sort_key"
            )
        condition = _condition(given.sort_key, sort)
    values = [
        _text(value, partition, 0, f"scope.values[{number}]") for number, value in enumerate(given.values)
    ]
    scope = PartitionScope(partition=partition, sort=sort, index=given.index, condition=condition)
    return scope, list(dict.fromkeys(values))


def index_warning(scope: PartitionScope, described: Described) -> list[str]:
    """What a job that reads by way of an index does not see; nothing for one that reads the table itself."""
    if scope.index is None:
        return []
    index = _described(scope.index, described)
    names = [scope.partition.name, *([scope.sort.name] if scope.sort else [])]
    missing = [name for name in names if name not in {attribute.name for attribute in described.key}]
    held = int(index.get("ItemCount") or 0)
    without = " or ".join(missing) or "its key attributes"
    return [
        f"index {scope.index} is sparse: records without {without} are not in it and are not seen; it holds "
        f"{held:,} of the table's {described.facts.items:,} records (both counts up to six hours old)",
        f"index {scope.index} lags behind the table: what was written shortly before it was read is perhaps "
        "not seen",
    ]


def _described(name: str, described: Described) -> Mapping[str, Any]:
    """DescribeTable's entry of the index. Raises `BadInput` naming near names."""
    description = described.description
    indexes: dict[str, Mapping[str, Any]] = {
        entry["IndexName"]: entry
        for kind in ("GlobalSecondaryIndexes", "LocalSecondaryIndexes")
        for entry in description.get(kind) or []
    }
    if name in indexes:
        return indexes[name]
    near = difflib.get_close_matches(name, indexes, n=3)
    table = described.table.table
    if near:
        hint = f"; did you mean {' or '.join(near)}?"
    else:
        hint = f"; it has {', '.join(sorted(indexes))}" if indexes else "; it has none"
    raise BadInput(f"{name!r} is not an index of {table}{hint}", "scope.index")


def _index_key(name: str, described: Described) -> list[KeyAttribute]:
    """Partition and sort key of an index. Raises `BadInput`, `Refused`."""
    index = _described(name, described)
    status = index.get("IndexStatus") or "ACTIVE"  # a local index has none: it is as the table is
    if status not in ("ACTIVE", "UPDATING") or index.get("Backfilling"):
        raise Refused(
            f"index {name} of {described.table.table} is {status}: it does not hold all it should yet; wait",
            "IndexNotActive",
        )
    types = {a["AttributeName"]: a["AttributeType"] for a in described.description["AttributeDefinitions"]}
    parts = sorted(index["KeySchema"], key=lambda entry: str(entry["KeyType"]))  # HASH before RANGE
    if [entry["KeyType"] for entry in parts] not in (["HASH"], ["HASH", "RANGE"]):
        raise BadInput(
            f"the key of index {name} has several attributes of one kind; an index with one partition key and "
            "at most one sort key can be used",
            "scope.index",
        )
    return [KeyAttribute(name=p["AttributeName"], type=types[p["AttributeName"]]) for p in parts]


def _text(value: str | int, attribute: KeyAttribute, position: int, field: str) -> str:
    """The value as text, one for each value."""
    text = typed_value(value, attribute, position, field)
    return number_text(Decimal(text)) if attribute.type == "N" else text


def _condition(given: SortKey, sort: KeyAttribute) -> SortCondition:
    """The condition typed by the sort key. Raises `BadInput`."""
    operator: Any = next(name for name in SortKey.model_fields if getattr(given, name) is not None)
    value = getattr(given, operator)
    field = f"scope.sort_key.{operator}"
    if operator == "begins_with" and sort.type == "N":
        raise BadInput(
            f"{sort.name} is a number, which begins with nothing; use between, gte or lt", "scope.sort_key"
        )
    if operator != "between":
        return SortCondition(operator=operator, values=[_text(value, sort, 1, field)])
    low, high = (_text(one, sort, 1, f"{field}[{number}]") for number, one in enumerate(value))
    if ordered(sort.type, low) > ordered(sort.type, high):  # type: ignore[operator]  # one type, one key
        raise BadInput(f"{low} comes after {high}: nothing lies between; write the lower one first", field)
    return SortCondition(operator=operator, values=[low, high])


def where(table: str, index: str | None) -> str:
    """The table, or its index, as a policy names it."""
    return f"{table}/index/{index}" if index else table
