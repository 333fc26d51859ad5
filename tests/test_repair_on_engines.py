"""Creating, changing and removing rows of another table on every DynamoDB there is here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from reindexer.answers import Action
from reindexer.compare.repair import needed
from reindexer.compare.rows import Rules
from reindexer.items import WireItem, Write, to_json_key
from reindexer.models import (
    FoundDifference,
    KeptDifferences,
    OtherTable,
    Repair,
    RoundInput,
    Stop,
    Target,
)
from reindexer.sinks.other_table import OtherTableSink
from reindexer.table_rounds import Second, run_round
from reindexer.tally import Tally
from reindexer.values import same
from tests.driving import FakeContext
from tests.model_table import Clock
from tests.tables import ODD_NAMES, Table, made_up_key

Make = Callable[..., Table]
WRITERS = pytest.mark.parametrize("writer", ["partiql", "update_item"])
#: One of everything that DynamoDB stores.
EVERYTHING: WireItem = {
    "number": {"N": "12345678901234567890123456789012345678"},
    "text": {"S": "Zürich \U0001f600"},
    "empty": {"S": ""},
    "binary": {"B": b"\x00\xff"},
    "yes": {"BOOL": True},
    "nothing": {"NULL": True},
    "list": {"L": [{"S": "a"}, {"N": "1"}, {"L": []}]},
    "map": {"M": {"a.b": {"M": {"c": {"NULL": True}}}}},
    "words": {"SS": ["a", "b"]},
    "numbers": {"NS": ["1", "2.5"]},
    "blobs": {"BS": [b"a", b"b"]},
}
_LARGE = 380 * 1024  # bytes, of the 400 KB that an item may have


def aimed(table: Table, other: Table, writer: str) -> Target:
    beside = OtherTable(table=other.name, table_arn=other.arn, table_id=other.id, region="us-east-1")
    operation = Repair.model_validate({"kind": "repair", "with": {"table": other.name}})
    return table.target(operation=operation, other=beside, version=0, writer=writer)


def repaired(table: Table, other: Table, writer: str, kinds: list[tuple[WireItem, str]]) -> Tally:
    """The tally of a round over keys that differ, with the kind of each."""
    chunk = [FoundDifference(kind=kind, key=to_json_key(key)) for key, kind in kinds]
    request = RoundInput(
        target=aimed(table, other, writer), source=KeptDifferences(job="j", run="r", shard=0, chunks=1)
    )
    result = run_round(request, FakeContext(Clock()), table.calls, second=Second(other.calls, lambda _: chunk))
    assert (result.stop, result.fault, result.progress.isolated) == (Stop.DONE, None, [])
    assert result.progress.unconfirmed == []
    return result.progress.tally


def alike(one: WireItem | None, other: WireItem | None) -> bool:
    if one is None or other is None:
        return one is other
    return one.keys() == other.keys() and all(same(value, other[name]) for name, value in one.items())


def _write(first: WireItem | None, other: WireItem | None) -> Write:
    write = needed(first, other, Rules((), ()), {"id", "sort"}, lambda _: True)
    assert write is not None
    return write


@WRITERS
@pytest.mark.parametrize(("hash_type", "range_type"), [("S", None), ("N", "S"), ("B", "N"), ("S", "B")])
def test_rows_of_every_type_are_created_changed_and_removed(
    each_engine: Any, make_table: Make, writer: str, hash_type: str, range_type: str | None
) -> None:
    table, other = (make_table(hash_type=hash_type, range_type=range_type) for _ in range(2))
    keys = [made_up_key(table.key, number) for number in range(8)]
    table.put(*({**key, **EVERYTHING} for key in keys[:4]), keys[4])
    changed = {**EVERYTHING, "words": {"SS": ["b", "c"]}, "more": {"S": "goes"}, "numbers": {"N": "1"}}
    other.put({**keys[2], **changed}, keys[3], {**keys[4], **EVERYTHING}, {**keys[5], **EVERYTHING}, keys[6])
    kinds = ["missing"] * 2 + ["different"] * 3 + ["extraneous"] * 2 + ["different"]
    tally = repaired(table, other, writer, list(zip(keys, kinds, strict=True)))
    assert tally == Tally(scanned=8, created=2, replaced=3, removed=2, vanished=1)
    for key in keys:
        assert alike(table.get(key), other.get(key))


@WRITERS
def test_odd_names_are_created_changed_and_removed(each_engine: Any, make_table: Make, writer: str) -> None:
    odd = [name for name in ODD_NAMES if each_engine.name != "local" or name[0] not in "#:"]
    table, other = make_table(hash_name=odd[4]), make_table(hash_name=odd[4])
    item, before = ({name: {"S": text} for name in odd if name != odd[4]} for text in ("x", "y"))
    keys = [made_up_key(table.key, number) for number in range(4)]
    table.put({**keys[0], **item}, {**keys[1], **item}, keys[2])
    other.put({**keys[1], **before}, {**keys[2], **item}, {**keys[3], **item})
    kinds = ["missing", "different", "different", "extraneous"]
    tally = repaired(table, other, writer, list(zip(keys, kinds, strict=True)))
    assert tally == Tally(scanned=4, created=1, replaced=2, removed=1)
    for key in keys:
        assert table.get(key) == other.get(key)


@WRITERS
@pytest.mark.parametrize(
    ("first", "read", "since"),
    [
        ({"n": {"N": "1"}}, None, {"n": {"N": "2"}}),  # to be created, and there by now
        ({}, None, {}),
        ({"n": {"N": "1"}}, {"n": {"N": "2"}}, {"n": {"N": "3"}}),
        ({"n": {"N": "1"}}, {"n": {"N": "2"}}, None),  # to be changed, and gone: it is not created
        ({"n": {"N": "1"}}, {}, None),
        ({"n": {"N": "1"}}, {}, {"n": {"N": "3"}}),
        ({}, {"n": {"N": "2"}}, {"n": {"N": "3"}}),
        (None, {"n": {"N": "2"}}, {"n": {"N": "3"}}),
        (None, {"n": {"N": "2"}}, {}),
    ],
)
def test_a_write_is_refused_where_the_row_is_not_what_was_read(
    each_engine: Any,
    make_table: Make,
    writer: str,
    first: WireItem | None,
    read: WireItem | None,
    since: WireItem | None,
) -> None:
    table = make_table()
    key = made_up_key(table.key, 1)
    items = [None if item is None else {**key, **item} for item in (first, read, since)]
    if items[2] is not None:
        table.put(items[2])
    sink = OtherTableSink(table.calls, aimed(table, table, writer))
    [failure] = sink.attempt([(key, _write(items[0], items[1]))]).failures
    assert failure is not None
    assert (failure.action, failure.applied) == (Action.SETTLE, False)
    assert table.get(key) == items[2]


@WRITERS
def test_a_refused_creation_does_not_hold_up_its_neighbours(
    each_engine: Any, make_table: Make, writer: str
) -> None:
    table, other = make_table(rows=25), make_table()
    keys = [made_up_key(table.key, number) for number in range(25)]
    other.put({**keys[2], "theirs": {"S": "x"}}, keys[3])
    sink = OtherTableSink(other.calls, aimed(table, other, writer))
    writes = [(key, Write(bare=True, create=True)) for key in keys[: sink.max_changes]]
    failures = sink.attempt(writes).failures
    refused = [place for place, failure in enumerate(failures) if failure is not None]
    assert refused == [2, 3]
    assert other.get(keys[2]) == {**keys[2], "theirs": {"S": "x"}}


@WRITERS
def test_a_wide_row_and_a_large_one_are_created(each_engine: Any, make_table: Make, writer: str) -> None:
    """As a statement the wide one is longer than DynamoDB takes: it goes as a call of its own."""
    table, other = make_table(), make_table()
    keys = [made_up_key(table.key, number) for number in range(3)]
    wide = {f"attribute number {number:03}": {"N": str(number)} for number in range(400)}
    large = {"large": {"S": "x" * _LARGE}}
    table.put({**keys[0], **wide}, {**keys[1], "small": {"N": "1"}})
    table.put({**keys[2], **large})
    tally = repaired(table, other, writer, [(key, "missing") for key in keys])
    assert tally == Tally(scanned=3, created=3)
    for key in keys:
        assert table.get(key) == other.get(key)


@WRITERS
def test_a_large_row_is_changed_and_removed(each_engine: Any, make_table: Make, writer: str) -> None:
    table, other = make_table(), make_table()
    keys = [made_up_key(table.key, number) for number in range(2)]
    table.put({**keys[0], "large": {"S": "x" * _LARGE}})
    for key in keys:
        other.put({**key, "large": {"S": "y" * _LARGE}})
    tally = repaired(table, other, writer, [(keys[0], "different"), (keys[1], "extraneous")])
    assert tally == Tally(scanned=2, replaced=1, removed=1)
    assert table.get(keys[0]) == other.get(keys[0])
    assert other.get(keys[1]) is None


@WRITERS
def test_a_wide_row_is_changed_and_removed(each_engine: Any, make_table: Make, writer: str) -> None:
    table, other = make_table(), make_table()
    keys = [made_up_key(table.key, number) for number in range(2)]
    first, second = ({f"attribute {n:03}": {"N": str(n + by)} for n in range(400)} for by in (0, 1))
    table.put({**keys[0], **first})
    other.put(*({**key, **second} for key in keys))
    tally = repaired(table, other, writer, [(keys[0], "different"), (keys[1], "extraneous")])
    assert tally == Tally(scanned=2, replaced=1, removed=1)
    assert table.get(keys[0]) == other.get(keys[0])
    assert other.get(keys[1]) is None
