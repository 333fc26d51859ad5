"""Pairs of tables at which dynamodb-replicator's diff-tables fails, or is hard to use, and what is right.

`right` is the number of keys of each kind. `theirs`: what it says of the same tables: the lines that name a
key, by kind (a key that is different has one in each direction); None: it ends with an error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.tables import Table

Rows = Sequence[Mapping[str, Any]]
DIGITS = "1234567890" * 3 + "1234567"  # 37 of the 38 that DynamoDB keeps; a double has 15 to 17
_TYPES = ("S", "N", "B")


@dataclass(frozen=True)
class Case:
    """`schema`: how the tables are made."""

    name: str
    table: Rows
    other: Rows
    right: Mapping[str, int]
    theirs: Mapping[str, int] | None
    schema: Mapping[str, Any]

    def __str__(self) -> str:
        return self.name

    def made(self, make_table: Callable[..., Table]) -> tuple[Table, Table]:
        table, other = make_table(**self.schema), make_table(**self.schema)
        for each, rows in ((table, self.table), (other, self.other)):
            each.put(*(dict(row) for row in rows))
        return table, other


def _case(name: str, table: Rows, other: Rows, right: Any, theirs: Any, **schema: Any) -> Case:
    return Case(name, table, other, right, theirs, schema)


def _row(number: int, **more: Any) -> dict[str, Any]:
    return {"id": {"S": f"row-{number:04}"}, **more}


def _number(text: str, **more: Any) -> dict[str, Any]:
    return {"id": {"N": text}, **more}


def _sorted(sort: Any, **more: Any) -> dict[str, Any]:
    return {"id": {"S": "a"}, "sort": sort, **more}


ONE: Any = {"N": "1"}
TWO: Any = {"N": "2"}
BINARY: Any = {"B": b"\x00\xff"}
THOUSAND = range(1000)

CASES = [
    _case(
        "numbers of 38 digits that differ in the last",
        [_row(0, v={"N": f"{DIGITS}8"}), _row(1, v={"L": [{"NS": [f"{DIGITS}8"]}]})],
        [_row(0, v={"N": f"{DIGITS}9"}), _row(1, v={"L": [{"NS": [f"{DIGITS}9"]}]})],
        {"different": 2},
        {},
    ),
    _case(
        "keys of 38 digits that differ in the last",
        [_number(f"{DIGITS}8")],
        [_number(f"{DIGITS}9")],
        {"missing": 1, "extraneous": 1},
        {},
        hash_type="N",
    ),
    _case(
        "binary range keys",
        [_sorted(BINARY, v=ONE), _sorted({"B": b"\x01"})],
        [_sorted(BINARY, v=TWO)],
        {"different": 1, "missing": 1},
        None,
        range_type="B",
    ),
    _case(
        "a partition key whose name sorts after that of the sort key",
        [{"z": {"S": "a"}, "a": {"S": "b"}, "v": ONE}, {"z": {"S": "b"}, "a": {"S": "a"}, "v": ONE}],
        [{"z": {"S": "a"}, "a": {"S": "b"}, "v": TWO}, {"z": {"S": "b"}, "a": {"S": "a"}, "v": ONE}],
        {"different": 1},
        {"different": 2},
        hash_name="z",
        range_type="S",
        range_name="a",
    ),
    _case(
        "sets in another order",
        [_row(0, v={"SS": ["a", "b"]}, n={"NS": ["1", "2"]}, b={"BS": [b"a", b"b"]})],
        [_row(0, v={"SS": ["b", "a"]}, n={"NS": ["2.0", "1"]}, b={"BS": [b"b", b"a"]})],
        {},
        {},  # these engines hand out sets in one order
    ),
    _case(
        "1,000 differences",
        [_row(number, v=ONE) for number in THOUSAND],
        [_row(number, v=TWO) for number in THOUSAND],
        {"different": 1000},
        {"different": 2000},
    ),
    _case(
        "a first row whose key is 0, and values that are 0, false or empty",
        [_number("0", v={"N": "0"}), _number("1", v={"BOOL": False}), _number("2", v={"S": ""})],
        [_number("0", v={"BOOL": False}), _number("1", v={"BOOL": False}), _number("2", v={"NULL": True})],
        {"different": 2},
        {"different": 4},
        hash_type="N",
    ),
]
