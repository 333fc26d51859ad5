"""Removing stamps on every DynamoDB there is here: what a write removes, and who counts it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from reindexer.answers import Action
from reindexer.checks.dry_run import dry_run
from reindexer.items import Write
from reindexer.models import (
    Attributes,
    DryRunInput,
    Expiry,
    KeyAttribute,
    KeyList,
    PartitionRange,
    PartitionRanges,
    PartitionScope,
    RoundInput,
    Segment,
    Stop,
    Unstamp,
    VerifyInput,
)
from reindexer.operations.unstamp import UnstampOperation
from reindexer.sinks.evidence import stamp_of
from reindexer.sinks.table import make_sink
from reindexer.table_rounds import run_round
from reindexer.tally import Tally
from tests.driving import FakeContext, RememberedSeen
from tests.model_table import Clock
from tests.tables import BY_TENANT, ODD_NAMES, Table
from tests.verifying import verified

Make = Callable[..., Table]
WRITERS = pytest.mark.parametrize("writer", ["partiql", "update_item"])
VERSION, RUN = "reindexVersion", "reindexRun"
#: What may be found where a stamp is: both attributes, either of them, and values of any type.
FOUND: list[dict[str, Any]] = [
    {VERSION: {"N": "7"}, RUN: {"S": "other"}},
    {VERSION: {"N": "1.50"}},
    {RUN: {"S": "other/delete"}},
    {VERSION: {"S": "seven"}, RUN: {"N": "12345678901234567890123456789012345678"}},
    {VERSION: {"M": {"a": {"L": [{"BOOL": True}, {"NULL": True}]}}}, RUN: {"B": b"\x00\xff"}},
    {VERSION: {"NULL": True}, RUN: {"SS": ["a", "b"]}},
]


def aimed(table: Table, **more: Any) -> Any:
    return table.target(**{"operation": Unstamp(kind="unstamp"), "version": 0, "stamp": "run-2", **more})


def removal(target: Any, item: dict[str, Any]) -> Write:
    decision = UnstampOperation(target, stamp_of(target)).decide(item)
    assert isinstance(decision, Write)
    return decision


def carried(table: Table, target: Any, source: Any = Segment(segment=0, total=1)) -> Tally:  # noqa: B008
    """The tally of a round that comes to its end."""
    request = RoundInput(target=target, source=source)
    result = run_round(request, FakeContext(Clock()), table.calls, RememberedSeen())
    assert (result.stop, result.fault, result.progress.isolated) == (Stop.DONE, None, [])
    return result.progress.tally


def behind(table: Table, target: Any, source: Any = Segment(segment=0, total=1)) -> tuple[int, int]:  # noqa: B008
    request = VerifyInput(target=target, source=source)
    found = verified(request, table.client, FakeContext(Clock()))
    assert found.results[-1].fault is None
    assert len(found.kept) == found.behind
    return found.scanned, found.behind


@WRITERS
@pytest.mark.parametrize("found", FOUND)
def test_a_write_removes_what_was_read_and_nothing_else(
    each_engine: Any, make_table: Make, writer: str, found: dict[str, Any]
) -> None:
    table = make_table()
    key = table.fill(1, other={"S": "kept"}, **found)[0]
    target = aimed(table, writer=writer)
    write = removal(target, table.get(key) or {})
    sink = make_sink(table.calls, target, stamp_of(target))
    assert sink.attempt([(key, write)]).failures == [None]
    assert table.get(key) == {**key, "other": {"S": "kept"}}
    [again] = sink.attempt([(key, write)]).failures
    assert again is not None
    assert again.action is Action.SETTLE
    assert table.get(key) == {**key, "other": {"S": "kept"}}


@WRITERS
@pytest.mark.parametrize("since", [{VERSION: {"N": "8"}, RUN: {"S": "later"}}, {VERSION: {"N": "7"}}, None])
def test_a_write_is_refused_where_the_stamp_is_another_one_since_or_the_record_is_gone(
    each_engine: Any, make_table: Make, writer: str, since: dict[str, Any] | None
) -> None:
    table = make_table(rows=1)
    key = table.fill(1, **FOUND[0])[0]
    target = aimed(table, writer=writer)
    write = removal(target, table.get(key) or {})
    if since is None:
        table.client.delete_item(TableName=table.name, Key=key)
    else:
        table.put({**key, **since})
    [failure] = make_sink(table.calls, target, stamp_of(target)).attempt([(key, write)]).failures
    assert failure is not None
    assert failure.action is Action.SETTLE
    assert table.get(key) == (None if since is None else {**key, **since})


@WRITERS
@pytest.mark.parametrize("name", ["reindexVersion", *ODD_NAMES])
def test_a_table_loses_its_stamps_once_and_verification_agrees(
    each_engine: Any, make_table: Make, writer: str, name: str
) -> None:
    if each_engine.name == "local" and name[0] in "#:":
        writer = "update_item"  # in PartiQL it takes these for placeholders of its own making
    table = make_table()
    names = Attributes(version=name, run=f"{name} too")
    table.fill(60, other={"S": "kept"})
    target = aimed(table, writer=writer, attributes=names)
    for number, item in enumerate(list(table.items())):
        found = FOUND[number % 6]
        stamp = {new: found[old] for new, old in ((names.version, VERSION), (names.run, RUN)) if old in found}
        table.put({**item, **(stamp if number < 42 else {})})

    assert behind(table, target) == (60, 42)
    assert carried(table, target) == Tally(scanned=60, updated=42, current=18)
    assert all(set(item) == {"id", "other"} for item in table.items())
    assert behind(table, target) == (60, 0)
    assert carried(table, target) == Tally(scanned=60, current=60)


def test_expired_records_are_left_alone_and_are_not_behind(each_engine: Any, make_table: Make) -> None:
    table = make_table()
    table.fill(4, **FOUND[0], until={"N": "100"})
    table.put({"id": {"S": "stays"}, **FOUND[0], "until": {"N": "1000"}})
    target = aimed(table, expiry=Expiry(attribute="until", first=0, before=500))
    keys = KeyList(keys=[{"id": item["id"]} for item in table.items()])
    assert behind(table, target) == behind(table, target, keys) == (5, 1)
    assert carried(table, target) == Tally(scanned=5, updated=1, filtered=4)
    assert behind(table, target) == behind(table, target, keys) == (5, 0)


@pytest.mark.parametrize("index", [None, "by-tenant"])
def test_named_partitions_lose_theirs_and_no_others(
    each_engine: Any, make_table: Make, index: str | None
) -> None:
    table = make_table(range_type="N") if index is None else make_table(indexes=BY_TENANT)
    if index is None:
        rows = [{"id": {"S": f"t{number % 3}"}, "sort": {"N": str(number)}} for number in range(30)]
    else:
        rows = [
            {"id": {"S": f"row-{number}"}, "tenant": {"S": f"t{number % 3}"}, "at": {"N": str(number)}}
            for number in range(30)
        ]
    table.put(*({**row, **FOUND[0]} for row in rows))
    first, second = (table.key[0], table.key[1]) if index is None else BY_TENANT["by-tenant"]
    within = PartitionScope(
        partition=KeyAttribute(name=first.name, type="S"),
        sort=KeyAttribute(name=second.name, type="N"),
        index=index,
    )
    target = aimed(table, within=within)
    source = PartitionRanges(ranges=[PartitionRange(value="t1")])
    assert behind(table, target, source) == (10, 10)
    assert carried(table, target, source) == Tally(scanned=10, updated=10)
    assert behind(table, target, source) == (10, 0)
    assert sum(VERSION in item for item in table.items()) == 20


def test_a_dry_run_shows_what_would_be_removed_and_writes_nothing(each_engine: Any, make_table: Make) -> None:
    table = make_table()
    table.fill(3, **FOUND[0])
    table.put({"id": {"S": "bare"}})
    request = DryRunInput(target=aimed(table, writer="none"), source=Segment(segment=0, total=1), limit=10)
    shown = dry_run(request, table.calls, FakeContext(Clock()))
    assert shown.tally == Tally(scanned=4, updated=3, current=1)
    changes = {(change.name, change.before, change.after) for pair in shown.pairs for change in pair.changes}
    assert changes == {(VERSION, "7", None), (RUN, '"other"', None)}
    assert sum(VERSION in item for item in table.items()) == 3
