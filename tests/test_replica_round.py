"""Rounds that write a replica: a scan, a stream and the sweep, each row and change at its own order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from reindexer.items import GONE, ORDER, Put, to_json_key
from reindexer.models import KeyList, Stop
from reindexer.rounds.coalescing import Coalescing
from reindexer.sinks.replica import ReplicaSink
from reindexer.streams.order import FAR, floor_of
from reindexer.tally import Outcome, Tally
from tests.driving import Life
from tests.model_followed import key_of
from tests.model_replica import FLOOR, SWEEP, Replicated, aimed, copied, row, unnamed
from tests.model_stream import KEYS
from tests.model_table import Plan

pytestmark = pytest.mark.unit

ROWS = 40  # a batch and a half


def table() -> list[dict[str, Any]]:
    return [row(key) for key in range(ROWS)]


def meeting(*calls: str | None, strip_items: bool = False) -> list[Plan]:
    """Of the first calls: the first reads the table, the second writes."""
    return [Plan(call=call, strip_items=strip_items) for call in calls]


def held(world: Replicated, key: int) -> dict[str, Any]:
    return unnamed(world.replica.rows[world.replica.identity(key_of(key))])


def test_each_row_is_inserted_once_at_the_floor_and_read_consistently() -> None:
    world = Replicated(table())
    scan = world.shard().run()
    assert (scan.stops, scan.tally) == ([Stop.DONE], Tally(scanned=ROWS, updated=ROWS))
    assert held(world, 3) == {**key_of(3), "n": {"N": "0"}, ORDER: {"N": str(FLOOR)}}
    assert set(world.table.consistent_scans) == {True}
    assert {len(batch) for batch in world.replica.batches} == {17, 6}, "in batches, of pages of 17 rows"
    assert world.replica.rows_read == 0


def test_what_is_there_is_settled_by_its_order() -> None:
    there = [
        copied(0, FLOOR - 1),
        copied(1, None),
        copied(2, FLOOR, 0),
        copied(3, FLOOR + 5),
        copied(4, FLOOR - 1, gone=True),
        copied(5, FLOOR + 5, gone=True),
    ]
    for how in ("partiql", "update_item"):
        world = Replicated(table(), there)
        scan = world.shard(how=how).run()
        assert scan.tally == Tally(scanned=ROWS, updated=ROWS - 2, superseded=2)
        assert world.differing() == [world.table.identity(key_of(key)) for key in (3, 5)]
        assert world.replica.wrong == []
        assert GONE not in held(world, 4)


@pytest.mark.parametrize("how", ["partiql", "update_item"])
@pytest.mark.parametrize(
    "fault", ["timeout after", "500 after", "short answer", "killed after", "timeout late"]
)
def test_a_write_whose_answer_was_lost_is_counted_once(fault: str, how: str) -> None:
    world = Replicated(table(), [copied(1, FLOOR - 1), copied(2, FLOOR + 5)], meeting(None, fault))
    scan = world.shard(how=how).run([Life()])
    world.replica.land()
    assert scan.tally == Tally(scanned=ROWS, updated=ROWS - 1, superseded=1)
    assert set(world.replica.landed.values()) == {1}
    assert world.differing() == [world.table.identity(key_of(2))]


def test_a_refusal_that_does_not_show_the_order_is_looked_up() -> None:
    faults = meeting(*[None] * ROWS, strip_items=True)
    there = [copied(1, FLOOR, 0), copied(2, FLOOR + 5), copied(3, FLOOR - 1)]
    world = Replicated(table(), there, faults)
    assert world.shard(how="update_item").run().tally == Tally(scanned=ROWS, updated=ROWS - 1, superseded=1)
    assert world.replica.log.count("get") == 1


def test_an_order_that_no_change_of_ours_can_have_is_another_writers() -> None:
    world = Replicated(table(), [copied(1, FLOOR + FAR + 1)])
    last = world.shard().run().last
    assert last is not None
    assert last.fault is not None
    assert (last.stop, last.fault.code) == (Stop.FAULT, "NotTheOnlyWriter")


def test_what_a_later_epoch_has_written_supersedes_a_redrive_that_was_under_way() -> None:
    world = Replicated(table(), [copied(key, floor_of(7 + 70_000) + key) for key in (1, 2)])
    world.epoch = 7 + 70_000  # more than a minute later: far above
    keys = [to_json_key(key_of(key)) for key in (1, 2, 3)]
    redrive = world.shard(KeyList(keys=keys, orders=[FLOOR, FLOOR + 9, FLOOR + 9])).run()
    assert redrive.tally == Tally(scanned=3, updated=1, superseded=2)
    world.replica.rows[world.replica.identity(key_of(1))][ORDER] = {"N": str(floor_of(7 + 140_000))}
    last = world.shard(KeyList(keys=keys[:1])).run().last
    assert last is not None
    assert last.fault is not None
    assert last.fault.code == "NotTheOnlyWriter", "no epoch of ours is as high"


def test_a_named_record_that_is_left_out_takes_its_copy_of_an_earlier_epoch_with_it() -> None:
    """The sweep leaves out what was given up: its redrive is what settles it."""
    world = Replicated([{**row(1), GONE: {"N": "5"}}], [copied(1, FLOOR - 1)])
    redrive = world.shard(KeyList(keys=[to_json_key(key_of(1))])).run()
    assert redrive.tally == Tally(scanned=1, filtered=1)
    assert GONE in held(world, 1)


def test_a_replica_that_holds_most_rows_is_not_asked_to_insert_them() -> None:
    rows = [row(key) for key in range(300)]
    world = Replicated(rows, [copied(key, FLOOR - 1) for key in range(300)])
    assert world.shard().run().tally == Tally(scanned=300, updated=300)
    assert world.differing() == []
    inserted = sum(len(batch) for batch in world.replica.batches if len(batch) > 1)
    assert 100 <= inserted < 150, "four batches or so, to see"


def test_changes_are_put_at_their_own_order_and_a_deletion_leaves_a_mark() -> None:
    world = Replicated([])
    for key in (1, 2):
        world.put(key)
    world.delete(1)
    stream = world.shard(world.lineages)
    stream.one_round(Life())
    assert stream.tally == Tally(scanned=3, updated=1, deleted=1, superseded=1)
    assert held(world, 2) == {**key_of(2), "n": {"N": "2"}, ORDER: {"N": str(FLOOR + 3)}}
    mark = held(world, 1)
    assert mark.keys() == {"id", ORDER, GONE, "until"}
    assert mark[ORDER] == {"N": str(FLOOR + 4)}
    late = world.shard().run()
    assert late.tally == Tally(scanned=1, superseded=1), "the row of the scan comes after its change"
    assert world.differing() == []


def test_changes_of_what_the_replica_has_are_updates_in_batches() -> None:
    world = Replicated(table())
    world.shard().run()
    stream = world.shard(world.lineages)
    for others in ("updated", "deleted", "created"):
        world.replica.batches.clear()
        for key in range(1, KEYS):
            world.put(key)  # most lose an attribute, or get one
        if others == "deleted":
            world.delete(0)
        else:
            world.put(0)
        stream.one_round(Life())
        assert world.differing() == []
        refused = [1] if others == "created" else []  # by the mark: what takes its place is put
        assert list(map(len, world.replica.batches)) == [KEYS, *refused]
    assert stream.tally == Tally(scanned=3 * KEYS, updated=3 * KEYS - 1, deleted=1)
    assert held(world, 0)["n"] == {"N": str(world.written)}


def test_a_poison_record_among_those_that_are_there_already_delays_none() -> None:
    """Each is tried alone, refused as a statement, and put: the service answers all the while."""
    world = Replicated([])
    for key in range(KEYS):
        world.put(key)
    world.shard().run()
    world.replica.poison.add(world.replica.identity(key_of(3)))
    stream = world.shard(world.lineages)
    stream.one_round(Life())
    assert (stream.tally, len(stream.isolated)) == (Tally(scanned=KEYS, updated=KEYS - 1), 1)
    assert stream.stops == [Stop.ISOLATED], "and the service counts as one that answers"


def test_an_item_that_no_statement_takes_is_put() -> None:
    """By a scan, where it is inserted, and by a follow, where it is updated."""
    world = Replicated(table())
    world.replica.unspoken = {world.replica.identity(key_of(key)) for key in (3, 5)}
    scan = world.shard().run()
    assert (scan.tally, scan.isolated) == (Tally(scanned=ROWS, updated=ROWS), [])
    for key in range(KEYS):
        world.put(key)
    stream = world.shard(world.lineages)
    stream.one_round(Life())
    assert (stream.tally, stream.isolated) == (Tally(scanned=KEYS, updated=KEYS), [])
    assert world.differing() == []
    assert world.replica.wrong == []


@pytest.mark.parametrize(("changes", "before"), [(250, 4), (60, 2), (25, 0), (1, 0)])
def test_far_behind_the_next_page_is_read_while_batches_of_this_one_are_under_way(
    monkeypatch: pytest.MonkeyPatch, changes: int, before: int
) -> None:
    """Also of records so large that a page holds few of them. `before`: batches that are sent first."""
    monkeypatch.setattr("reindexer.sources.stream.PAGE_RECORDS", changes)
    world, calls = Replicated([]), list[str]()
    for number in range(2 * changes):
        world.put(number % KEYS)
    for made, name in ((world.stream, "get_records"), (ReplicaSink, "attempt")):
        monkeypatch.setattr(made, name, logged(calls, name, getattr(made, name)))
    monkeypatch.setattr(Coalescing, "holds", lambda *_: False)  # each change is sent
    world.shard(world.lineages).one_round(Life())
    assert calls[: before + 2] == ["get_records", *["attempt"] * before, "get_records"]


def logged(calls: list[str], name: str, call: Callable[..., Any]) -> Callable[..., Any]:
    """The same, which notes that it is called."""

    def noting(*given: Any, **named: Any) -> Any:
        calls.append(name)
        return call(*given, **named)

    return noting


def test_a_batch_changes_a_row_once_and_the_later_change_is_put_after_it() -> None:
    world = Replicated([row(1)])
    world.shard().run()
    before = tuple(row(1))
    changes = [(key_of(1), Put(FLOOR + n, {"n": {"N": str(n)}}, Outcome.UPDATED, old=before)) for n in (1, 2)]
    assert ReplicaSink(world.second.table, aimed()).attempt(changes).failures == [None, None]
    assert held(world, 1) == {**key_of(1), "n": {"N": "2"}, ORDER: {"N": str(FLOOR + 2)}}


def test_a_change_of_a_copy_that_has_other_attributes_is_put_whole() -> None:
    world = Replicated([row(1, 3)])
    world.shard().run()
    assert "odd" in held(world, 1)
    world.table.rows[world.table.identity(key_of(1))] = row(1, 1)  # by a change that is tried by itself
    world.put(1)
    stream = world.shard(world.lineages)
    stream.one_round(Life())
    assert stream.tally == Tally(scanned=1, updated=1)
    assert world.differing() == []


@pytest.mark.parametrize("images", [True, False])
def test_records_that_are_read_beside_their_changes_are_sent_in_calls_of_a_few_megabytes(images: bool) -> None:
    """A page of a stream has a megabyte; without images it names a thousand records of up to 400 KB."""
    world = Replicated([], images=images)
    for key in range(KEYS):
        world.put(key)
    for item in world.table.rows.values():
        item["text"] = {"S": "x" * 1_000_000}
    world.shard(world.lineages).one_round(Life())
    assert list(map(len, world.replica.batches)) == ([KEYS] if images else [3, 3, 2])


def test_a_change_of_what_the_scan_has_not_reached_is_put() -> None:
    world = Replicated([row(1)])
    world.put(1)
    stream = world.shard(world.lineages)
    stream.one_round(Life())
    assert (stream.tally, world.differing()) == (Tally(scanned=1, updated=1), [])
    assert world.shard().run().tally == Tally(scanned=1, superseded=1)


def test_what_the_table_does_not_have_is_marked_and_counted_once_whoever_dies() -> None:
    there = [copied(50, None), copied(51, FLOOR - 1), copied(52, FLOOR - 1, gone=True), copied(53, FLOOR + 2)]
    world = Replicated(table(), there)
    world.shard().run()
    sweep = world.shard(SWEEP)
    world.meets(*[None] * 4, "killed after")  # after three reads and a put: so do both puts land
    sweep.one_round(Life())
    assert (sweep.last, sweep.tally) == (None, Tally())
    sweep.run()
    assert sweep.tally == Tally(scanned=2, removed=2)
    assert GONE in held(world, 50)
    assert GONE in held(world, 51)
    assert held(world, 52) == there[2]
    assert held(world, 53) == there[3]
    assert world.replica.wrong == []


def test_what_a_lost_attempt_of_the_sweep_has_copied_is_counted_once() -> None:
    """The row is in the replica as the scan would have written it, but for its order."""
    world = Replicated([], [copied(1, FLOOR - 1), copied(2, FLOOR, 0)])
    world.shard().run()
    world.put(1)
    world.put(2)  # what the scan had written stays as it is: the stream carries the change
    sweep = world.shard(SWEEP)
    world.meets(None, None, "killed after")  # after two reads
    sweep.one_round(Life())
    assert (sweep.last, sweep.tally, world.replica.landed[world.replica.identity(key_of(1)), FLOOR + 1]) == (
        None, Tally(), 1,
    )  # fmt: skip
    cancelled = world.shard(SWEEP)
    cancelled.running.state = sweep.running.state
    assert cancelled.closed().tally == Tally(scanned=1, updated=1)
    assert sweep.run().tally == Tally(scanned=1, updated=1)
    assert world.replica.landed[world.replica.identity(key_of(1)), FLOOR + 1] == 1


def test_what_cannot_be_read_of_the_replica_names_it() -> None:
    world = Replicated(table(), [copied(50, None)])
    world.replica.denied_from = 1
    last = world.shard(SWEEP).run().last
    assert last is not None
    assert last.fault is not None
    assert "the other table, r: " in last.fault.message


def test_what_the_run_has_given_up_is_left_out_of_the_sweep() -> None:
    world = Replicated([], [copied(key, FLOOR - 1) for key in range(4)])
    given_up = [to_json_key(key_of(key)) for key in (1, 3)]
    sweep = world.shard(SWEEP.model_copy(update={"given_up": given_up})).run()
    assert sweep.tally == Tally(scanned=2, removed=2)
    assert GONE not in held(world, 1)


@pytest.mark.parametrize("there", [True, False], ids=["in the table", "only in the replica"])
@pytest.mark.parametrize("how", ["partiql", "update_item"])
def test_a_record_whose_order_is_not_a_number_is_given_up_in_words(how: str, there: bool) -> None:
    world = Replicated([row(1)] if there else [], [{**copied(1, None), ORDER: {"S": "mine"}}, copied(2, 5)])
    [found] = world.shard(how=how).run().isolated if there else world.shard(SWEEP, how=how).run().isolated
    assert (found.key, found.error, found.given_up) == (to_json_key(key_of(1)), "OrderType", True)
    assert "reindexOrder of the item there is not a number" in found.message
    assert held(world, 1)[ORDER] == {"S": "mine"}


def test_what_the_scan_could_not_see_is_copied_by_the_sweep() -> None:
    """A row that came back to the table after the scan had passed its place."""
    world = Replicated([], [copied(1, FLOOR - 1)])
    world.shard().run()
    world.put(1)
    sweep = world.shard(SWEEP).run()
    assert sweep.tally == Tally(scanned=1, updated=1)
    assert world.differing() == []
    stream = world.shard(world.lineages)
    stream.one_round(Life())
    assert stream.tally == Tally(scanned=1, updated=1)
    assert world.differing() == []


def test_a_record_of_the_sweep_that_kept_failing_is_settled_as_one_of_the_sweep() -> None:
    """By itself it is a named key; what the table leaves out goes from the replica all the same."""
    left_out = {**row(2), GONE: {"N": "5"}}
    world = Replicated([left_out], [copied(2, FLOOR - 1), copied(3, FLOOR - 1)])
    world.shard().run()
    for key in (2, 3):
        world.replica.failing[world.replica.identity(key_of(key))] = "500 before"
    sweep = world.shard(SWEEP).run()
    assert len(sweep.isolated) == 2
    world.replica.failing.clear()
    sweep.alone()
    assert sweep.tally == Tally(scanned=2, filtered=1, removed=1)
    assert GONE in held(world, 2)
    assert GONE in held(world, 3)


def test_a_cancelled_sweep_counts_what_an_attempt_that_was_lost_has_marked() -> None:
    world = Replicated(table(), [copied(50, None), copied(51, FLOOR - 1)])
    sweep = world.shard(SWEEP)
    world.meets(None, None, None, "killed after")  # two reads, and the second of two puts
    sweep.one_round(Life())
    assert (sweep.last, sweep.tally) == (None, Tally())
    assert sweep.closed().tally == Tally(scanned=2, removed=2)
