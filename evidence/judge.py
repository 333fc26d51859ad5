"""An independent judge of two tables: plain boto3, and no line of ours.

What it says is held against what a comparison says. It reads both tables whole, into memory, and is for tables
that hold still.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from boto3.dynamodb.types import TypeDeserializer

_plain = TypeDeserializer().deserialize  # numbers become decimals of up to 38 digits, sets Python's sets


def differences(
    client: Any, table: str, other: str, left_out: Collection[str] = (), mark: str | None = None
) -> Iterator[tuple[dict[str, Any], str]]:
    """Each key that differs, as boto3 has it, and how: different, missing (in `other`) or extraneous.

    `left_out`: attributes that are not compared. `mark`: rows of `other` that have it count as not there.
    """
    names = [part["AttributeName"] for part in client.describe_table(TableName=table)["Table"]["KeySchema"]]
    first = dict(_rows(client, table, names, left_out))
    second = dict(_rows(client, other, names, left_out, mark))
    for name, (key, row) in first.items():
        if name not in second:
            yield key, "missing"
        elif not _equal(row, second[name][1]):
            yield key, "different"
    for name, (key, _) in second.items():
        if name not in first:
            yield key, "extraneous"


def _rows(
    client: Any, table: str, names: Collection[str], left_out: Collection[str], mark: str | None = None
) -> Iterator[Any]:
    """(key by value, (key as boto3 has it, what is compared)) of each row without the mark."""
    for page in client.get_paginator("scan").paginate(TableName=table, ConsistentRead=True):
        for item in page["Items"]:
            if mark in item:
                continue
            row = {name: _plain(value) for name, value in item.items() if name not in left_out}
            yield tuple(row[name] for name in names), ({name: item[name] for name in names}, row)


def _equal(one: Any, other: Any) -> bool:
    """By value and type: to Python True is 1, to DynamoDB it is not."""
    if type(one) is not type(other):
        return False
    if isinstance(one, Mapping):
        return one.keys() == other.keys() and all(_equal(value, other[name]) for name, value in one.items())
    if isinstance(one, list):
        return len(one) == len(other) and all(map(_equal, one, other))
    if isinstance(one, set):
        return one == other and set(map(type, one)) == set(map(type, other))
    return bool(one == other)
