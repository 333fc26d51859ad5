"""A replica on the real servers, whose keys, values and attribute names are unlike those of examples."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest

from testbed.stack import Stack
from tests.planted import Make
from tests.test_index_end_to_end import FAST
from tests.test_replica_key_types import VALUES
from tests.test_replicate_end_to_end import Replicated, until_drained

#: Reserved words, what placeholders and paths of expressions begin with, quotes, and names close to our own.
NAMES = [
    "select",
    "Value",
    "a.b",
    "a.b[0]",
    "#n",
    ":order",
    "'",
    'a"b',
    "`",
    "\\",
    "?",
    " ",
    "a\nb",
    "\0",
    "\U0001f600",
]
NAMES += [
    "reindex",
    "reindexOrderX",
    "ReindexNames",
    "aws:x",
    "n" * 255,
    "N" * 5000,
    "*",
    "--",
    "{}",
    "%s",
    "id2",
]
VALUES_OF: list[dict[str, Any]] = [
    {"S": ""},
    {"B": b""},
    {"N": "-1E-130"},
    {"N": "9.9999999999999999999999999999999999999E+125"},
    {"NULL": True},
    {"L": []},
    {"M": {"from": {"M": {}}, "a.b": {"L": [{"S": "\0"}, {"BOOL": False}]}}},
    {"SS": ["", "\U0001f600", "a"]},
    {"NS": ["1E+125", "0.1"]},
    {"BS": [b"", b"\xff\x00"]},
]


class Odd:
    """Writes of every kind, in an order that a seed decides."""

    def __init__(self, replicated: Replicated, kinds: tuple[str, str]) -> None:
        self._client, self._name = replicated.table.client, replicated.table.name
        names = [part.name for part in replicated.table.key]
        pairs = zip(*(VALUES[kind] for kind in kinds), strict=True)
        self._keys: list[Any] = [
            {name: {kind: value} for name, kind, value in zip(names, kinds, pair, strict=True)}
            for pair in pairs
        ]
        self._random = random.Random(7)

    def _content(self) -> dict[str, Any]:
        chosen = self._random.sample(NAMES, self._random.randrange(1, 8))
        return {name: self._random.choice(VALUES_OF) for name in chosen}

    def put(self) -> None:
        for key in self._keys[::2]:
            self._client.put_item(TableName=self._name, Item={**key, **self._content()})

    def change(self, times: int) -> None:
        """Inserts, whole items, single attributes set and removed, removals, and what comes back after them."""
        for _ in range(times):
            key = self._random.choice(self._keys)
            way = self._random.choice(["put", "delete", "set", "remove"])
            if way == "put":
                self._client.put_item(TableName=self._name, Item={**key, **self._content()})
            elif way == "delete":
                self._client.delete_item(TableName=self._name, Key=key)
            else:
                self._client.update_item(TableName=self._name, Key=key, **dict(self._expression(way)))

    def _expression(self, way: str) -> Iterator[tuple[str, Any]]:
        content = self._content()
        yield "ExpressionAttributeNames", {f"#{i}": name for i, name in enumerate(content)}
        if way == "remove":
            yield "UpdateExpression", "REMOVE " + ", ".join(f"#{i}" for i in range(len(content)))
        else:
            yield "UpdateExpression", "SET " + ", ".join(f"#{i} = :{i}" for i in range(len(content)))
            yield "ExpressionAttributeValues", {f":{i}": value for i, value in enumerate(content.values())}


@pytest.mark.parametrize(
    ("kinds", "names"),
    [
        (("S", "B"), ("a.b #:\"'", "order")),
        pytest.param(("B", "N"), ("it's", "n 1"), marks=pytest.mark.nightly),
    ],
)
async def test_odd_keys_values_and_names_are_followed(
    quiet: Stack, make_table: Make, kinds: tuple[str, str], names: tuple[str, str]
) -> None:
    key = {"hash_type": kinds[0], "range_type": kinds[1], "hash_name": names[0], "range_name": names[1]}
    replicated = Replicated(make_table, rows=0, **key)
    odd = Odd(replicated, kinds)
    odd.put()
    handle = await replicated.follow(quiet, limits=FAST)
    odd.change(150)
    seen = await until_drained(replicated, handle)
    assert seen["tally"]["deleted"]
    odd.change(100)
    await replicated.equal()
    assert replicated.tombstones()
    seen = await handle.query("progress")
    assert (seen["tally"]["quarantined"], seen["isolated"]) == (0, 0)
    await handle.cancel()
