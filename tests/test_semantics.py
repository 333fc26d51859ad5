"""What the engine's requests do on every DynamoDB there is here, so that nothing rests on one engine's manners.

Where engines differ, the test names the engine and asserts what it does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from reindexer.answers import Action, CallFailed
from reindexer.dynamo.reading import read_consistently
from reindexer.dynamo.wire import projection
from reindexer.items import Write
from reindexer.models import Attributes, RoundInput, Segment, Stop
from reindexer.sinks.evidence import stamp_of
from reindexer.sinks.table import make_sink
from reindexer.table_rounds import run_round
from reindexer.tally import Outcome
from tests.driving import FakeContext
from tests.model_table import Clock
from tests.tables import ODD_NAMES, Table, made_up_key

Make = Callable[..., Table]
WRITERS = pytest.mark.parametrize("writer", ["partiql", "update_item"])

VERSION = "reindexVersion"
RUN = "reindexRun"


def touch(table: Table, *keys: dict[str, Any], writer: str = "partiql", write: Write = Write()) -> list[Any]:  # noqa: B008
    """One attempt at each key; its failures."""
    target = table.target(writer=writer)
    return make_sink(table.calls, target, stamp_of(target)).attempt([(key, write) for key in keys]).failures


@WRITERS
@pytest.mark.parametrize("stored", [None, {"N": "6"}, {"N": "6.99"}, {"N": "-1"}])
def test_a_missing_or_lower_version_is_raised_and_stamped(
    each_engine: Any, make_table: Make, writer: str, stored: Any
) -> None:
    table = make_table()
    key = table.fill(1, other={"S": "kept"}, **({VERSION: stored} if stored else {}))[0]
    assert touch(table, key, writer=writer) == [None]
    assert table.get(key) == {**key, "other": {"S": "kept"}, VERSION: {"N": "7"}, RUN: {"S": "run-1"}}


@WRITERS
@pytest.mark.parametrize("stored", ["7", "8", "7.5"])
def test_an_equal_or_higher_version_refuses_the_write_and_comes_back(
    each_engine: Any, make_table: Make, writer: str, stored: str
) -> None:
    table = make_table()
    key = table.fill(1, **{VERSION: {"N": stored}, RUN: {"S": "other"}})[0]
    [failure] = touch(table, key, writer=writer)
    assert failure.action is Action.SETTLE
    assert failure.item == {**key, VERSION: {"N": stored}, RUN: {"S": "other"}}
    assert table.get(key) == failure.item


@WRITERS
@pytest.mark.parametrize("stored", [{"S": "9"}, {"NULL": True}, {"B": b"9"}, {"M": {}}])
def test_a_version_of_another_type_would_be_overwritten_which_is_why_it_is_checked_on_reading(
    each_engine: Any, make_table: Make, writer: str, stored: Any
) -> None:
    table = make_table()
    key = table.fill(1, **{VERSION: stored})[0]
    assert touch(table, key, writer=writer) == [None]
    assert (table.get(key) or {})[VERSION] == {"N": "7"}


@WRITERS
def test_a_missing_item_is_refused_without_an_item_and_not_brought_to_life(
    each_engine: Any, make_table: Make, writer: str
) -> None:
    table = make_table(rows=1)
    gone = {"id": {"S": "gone"}}
    [failure] = touch(table, gone, writer=writer)
    assert (failure.action, failure.item) == (Action.SETTLE, None)
    assert table.get(gone) is None


@WRITERS
def test_the_second_touch_is_refused_with_our_own_stamp(
    each_engine: Any, make_table: Make, writer: str
) -> None:
    table = make_table()
    key = table.fill(1)[0]
    assert touch(table, key, writer=writer) == [None]
    [failure] = touch(table, key, writer=writer)
    assert failure.item == {**key, VERSION: {"N": "7"}, RUN: {"S": "run-1"}}


@WRITERS
def test_a_probe_for_our_own_stamp_below_the_target_is_always_refused(
    each_engine: Any, make_table: Make, writer: str
) -> None:
    table = make_table()
    fresh, done = table.fill(2)
    assert touch(table, done, writer=writer) == [None]
    probe = Write(guards={RUN: {"S": "run-1"}})
    failures = touch(table, fresh, done, {"id": {"S": "gone"}}, writer=writer, write=probe)
    assert [failure.action for failure in failures] == [Action.SETTLE] * 3
    assert table.get(fresh) == fresh


@WRITERS
def test_guards_sets_and_removes_hold_with_odd_names(each_engine: Any, make_table: Make, writer: str) -> None:
    table = make_table()
    names = ODD_NAMES
    if (each_engine.name, writer) == ("local", "partiql"):  # it takes these for placeholders of its own making
        names = [name for name in ODD_NAMES if name[0] not in "#:"]
    values = {name: {"S": "old"} for name in names}
    key, other = table.fill(2, **values)
    first, second, third, *rest = names
    write = Write(
        sets={first: {"M": {"a": {"L": [{"N": "1"}]}}}, "new one": {"BS": [b"\x00", b"\x01"]}},
        removes=(second, third),
        guards={**{name: {"S": "old"} for name in rest}, "absent": None},
    )
    assert touch(table, key, writer=writer, write=write) == [None]
    item = table.get(key) or {}
    assert item[first] == {"M": {"a": {"L": [{"N": "1"}]}}}
    assert sorted(item["new one"]["BS"]) == [b"\x00", b"\x01"]
    assert second not in item
    assert third not in item
    for guards in ({rest[0]: {"S": "changed"}}, {rest[0]: None}, {"absent": {"S": "old"}}):
        [failure] = touch(table, other, writer=writer, write=Write(guards=guards))
        assert failure.action is Action.SETTLE
    assert table.get(other) == {**other, **values}


@WRITERS
@pytest.mark.parametrize("range_type", [None, "S", "N", "B"])
@pytest.mark.parametrize("hash_type", ["S", "N", "B"])
def test_the_probe_with_an_impossible_key_is_refused_cleanly_and_leaves_nothing(
    each_engine: Any, make_table: Make, hash_type: str, range_type: str | None, writer: str
) -> None:
    table = make_table(hash_type=hash_type, range_type=range_type)
    target = table.target(writer=writer)
    assert make_sink(table.calls, target, stamp_of(target)).healthy()
    assert list(table.items()) == []


@WRITERS
@pytest.mark.parametrize("range_type", [None, "S", "N", "B"])
@pytest.mark.parametrize("hash_type", ["S", "N", "B"])
def test_a_round_touches_every_row_once_and_a_second_finds_all_current(
    each_engine: Any, make_table: Make, hash_type: str, range_type: str | None, writer: str
) -> None:
    odd: dict[str, Any] = {"hash_name": 'select "id"', "range_name": "order.by-x"}
    table = make_table(hash_type=hash_type, range_type=range_type, rows=60, **odd)
    attributes = Attributes(version="re.index-version", run='"run" #1')
    total = 0
    for stamp, outcome in (("run-1", "updated"), ("run-2", "current")):
        target = table.target(stamp=stamp, writer=writer, attributes=attributes)
        total = 0
        for segment in range(2):
            request = _request(target, Segment(segment=segment, total=2))
            result = run_round(request, FakeContext(Clock()), table.calls)
            assert result.stop is Stop.DONE
            total += result.progress.tally[Outcome(outcome)]
            assert result.progress.tally.balanced()
        assert total == 60
    assert all(item['"run" #1'] == {"S": "run-1"} for item in table.items())


def _request(target: Any, source: Segment, **more: Any) -> Any:
    return RoundInput(target=target, source=source, **more)


def test_a_scan_goes_on_exactly_after_any_key_even_of_a_row_that_is_gone(
    each_engine: Any, make_table: Make
) -> None:
    table = make_table(rows=30)
    parameters = {"Segment": 0, "TotalSegments": 1, **projection(("id",))}
    whole = table.calls.read("scan", parameters, None).rows
    assert len(whole) == 30
    table.client.delete_item(TableName=table.name, Key=whole[11])
    assert table.calls.read("scan", parameters, whole[11]).rows == whole[12:]
    assert table.calls.read("scan", parameters, whole[-1]).rows == []


def test_a_limit_of_rows_is_kept_and_the_scan_can_go_on(each_engine: Any, make_table: Make) -> None:
    table = make_table(rows=10)
    page = table.calls.read("scan", {"Segment": 0, "TotalSegments": 1, "Limit": 4}, None)
    assert len(page.rows) == 4
    assert page.last_key == {"id": page.rows[-1]["id"]}


def test_a_cursor_of_another_segment_is_refused_or_skips_rows_in_silence(
    each_engine: Any, make_table: Make
) -> None:
    table = make_table(rows=60)

    def read(segment: int, start: Any) -> list[Any]:
        page = table.calls.read("scan", {"Segment": segment, "TotalSegments": 2, **projection(("id",))}, start)
        return page.rows

    first, second = read(0, None), read(1, None)
    assert first
    assert second
    if each_engine.name in ("local", "dynamodb"):
        with pytest.raises(CallFailed) as failed:
            read(0, second[0])
        assert failed.value.failure.action is Action.GIVE_UP
    else:
        # Nothing tells that the cursor is foreign, which is why it travels with its table and segment.
        assert read(0, second[0]) != first


def test_one_bad_value_poisons_its_whole_batch_or_its_own_statement_and_never_gets_in(
    each_engine: Any, make_table: Make
) -> None:
    table = make_table()
    good, bad, other = table.fill(3)
    target = table.target()
    sink = make_sink(table.calls, target, stamp_of(target))
    writes = [(good, Write()), (bad, Write(sets={"n": {"N": "1" * 39}})), (other, Write())]
    if each_engine.name == "local":
        with pytest.raises(CallFailed) as failed:
            sink.attempt(writes)
        assert failed.value.failure.action is Action.SPLIT  # no one is blamed yet
        assert table.get(good) == good
    else:
        applied, failure, also_applied = sink.attempt(writes).failures
        assert applied is None
        assert also_applied is None
        if each_engine.name == "ministack":  # it does not check how many digits a number has
            assert failure is None
            return
        assert failure is not None
        assert failure.action is Action.GIVE_UP
    assert "n" not in (table.get(bad) or {})


def test_one_key_twice_in_a_batch_is_split_or_settled_by_itself(each_engine: Any, make_table: Make) -> None:
    table = make_table()
    key = table.fill(1)[0]
    if each_engine.name == "ministack":  # takes it: the second finds the first's stamp
        applied, refused = touch(table, key, key)
        assert applied is None
        assert refused.action is Action.SETTLE
    else:
        with pytest.raises(CallFailed) as failed:
            touch(table, key, key)
        assert failed.value.failure.action is Action.SPLIT
        # Local runs what comes before the second mention, and refuses the call all the same: a reason more why
        # the engine never names a key twice.
        assert (VERSION in (table.get(key) or {})) == (each_engine.name == "local")


def test_keys_are_read_consistently_and_what_does_not_come_back_does_not_exist(
    each_engine: Any, make_table: Make
) -> None:
    table = make_table(hash_type="N", range_type="B")
    keys = table.fill(120)  # more than one call takes
    missing = made_up_key(table.key, 999)
    found, _ = read_consistently(table.calls, [*keys, missing], (VERSION,))
    assert len(found) == 120
    nothing, _ = read_consistently(table.calls, [missing], None)
    assert nothing == {}


def test_38_digits_tell_two_keys_apart(each_engine: Any, make_table: Make) -> None:
    table = make_table(hash_type="N")
    keys = [{"id": {"N": "1" * 37 + last}} for last in "12"]
    table.put(*keys)
    found, _ = read_consistently(table.calls, keys, None)
    assert len(found) == 2


def test_a_missing_table_parks(each_engine: Any, make_table: Make) -> None:
    table = make_table(rows=1)
    table.drop()
    request = _request(table.target(), Segment(segment=0, total=1))
    result = run_round(request, FakeContext(Clock()), table.calls)
    assert result.stop is Stop.FAULT
    assert result.fault
    assert result.fault.code.startswith("ResourceNotFound")


@WRITERS
def test_writing_to_a_missing_table_parks_too(each_engine: Any, make_table: Make, writer: str) -> None:
    table = make_table(rows=2)
    key = table.fill(2)[0]
    table.drop()
    try:
        [failure] = touch(table, key, writer=writer)
    except CallFailed as failed:  # Local refuses the call as a whole
        failure = failed.failure
    assert failure.action is Action.PARK
