"""A round, one case at a time: cursor, heartbeat, resumption, stops and budgets."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import pytest

from reindexer.dynamo.table import TableClient
from reindexer.items import Skip, to_json_key
from reindexer.models import (
    KeyList,
    Progress,
    RoundInput,
    RoundResult,
    Segment,
    Share,
    Stop,
    Unconfirmed,
)
from reindexer.rounds.checkpoint import MAX_ISOLATED
from reindexer.rounds.pending_write import Patience
from reindexer.table_rounds import make_round, run_round
from reindexer.tally import Outcome, Tally
from tests.driving import PATIENCE, FakeContext, Life, shard, target
from tests.model_table import Clock, Killed, ModelTable, Plan

VERSION = "reindexVersion"


def table(rows: int, plans: Any = None, page_rows: int = 1000, stored: Any = None) -> ModelTable:
    plans = plans or {}
    items = [{"id": {"S": f"row-{number:05}"}, **(stored or {})} for number in range(rows)]
    return ModelTable(items, plan=plans.get, page_rows=page_rows)


def run(
    model: ModelTable,
    context: FakeContext | None = None,
    patience: Patience = PATIENCE,
    **request: Any,
) -> RoundResult:
    fields: dict[str, Any] = {"target": target(), "source": Segment(segment=0, total=1), **request}
    calls = TableClient(model, "t")  # type: ignore[arg-type]
    result = make_round(RoundInput(**fields), calls, context or FakeContext(model.clock), patience).run()
    assert result.stop is not Stop.FAILED, result.fault
    return result


def keys_of(*numbers: int) -> KeyList:
    return KeyList(keys=[{"id": {"S": f"row-{number:05}"}} for number in numbers])


def test_a_quiet_table_is_done_in_one_round() -> None:
    model = table(100, page_rows=30)
    result = run(model)
    assert (result.stop, result.progress.tally) == (Stop.DONE, Tally(scanned=100, updated=100))
    assert set(model.changed.values()) == {1}


def test_the_same_version_again_changes_nothing() -> None:
    model = table(50, stored={VERSION: {"N": "7"}, "reindexRun": {"S": "earlier"}})
    assert run(model).progress.tally == Tally(scanned=50, current=50)
    assert model.batches == []


def test_rows_past_the_target_and_rows_of_another_type_are_never_written() -> None:
    model = table(2)
    first, second = sorted(model.rows)
    model.rows[first][VERSION], model.rows[second][VERSION] = {"N": "8"}, {"S": "7"}
    progress = run(model).progress
    assert progress.tally == Tally(scanned=2, superseded=1)
    assert [(one.error, one.given_up, one.unknown) for one in progress.isolated] == [
        ("VersionType", True, False)
    ]
    assert model.batches == []


def test_the_cursor_waits_for_the_slowest_row_of_the_prefix() -> None:
    """The first row is throttled for ever: whatever else is settled, nothing is counted."""
    model = table(200)
    first = min(model.rows, key=model._order)
    model.failing[first] = "throttled"
    result = run(model)
    assert result.stop in (Stop.THROTTLED, Stop.SLICE)
    assert result.progress.cursor is None
    assert result.progress.tally == Tally()
    assert len(model.changed) == 199


def test_rows_settled_beyond_the_cursor_count_as_updated_in_the_next_round() -> None:
    model = table(200)
    first = min(model.rows, key=model._order)
    model.failing[first] = "throttled"
    carried = shard(model)
    carried.one_round(Life())
    model.failing.clear()
    carried.run()
    assert carried.tally == Tally(scanned=200, updated=200)
    assert set(model.changed.values()) == {1}


def test_a_crash_before_the_first_heartbeat_loses_no_count() -> None:
    model = table(100)
    carried = shard(model).run([Life(kill_at=5, delivered_each=1000)])
    assert carried.tally == Tally(scanned=100, updated=100)


def test_a_round_tells_at_once_where_it_begins() -> None:
    model = table(10)
    cursor = to_json_key({"id": {"S": "row-00003"}})
    sent = [Unconfirmed(key={"id": {"S": "row-00004"}})]
    request: dict[str, Any] = {"cursor": cursor, "unconfirmed": sent, "ahead": 4}
    context = FakeContext(model.clock, kill_at=1)
    with pytest.raises(Killed):
        run(model, context, **request)
    assert context.delivered == Progress(**request)


def test_after_a_crash_an_isolated_record_may_have_been_written() -> None:
    """The lost attempt may have sent it a write that no one heard of."""
    model = table(10, {2: Plan(call="killed late", late_by=1000)})
    bad = min(model.rows)
    carried = shard(model)
    model.failing[bad] = "invalid"  # from now on; the late write is under way already
    carried.run()
    [isolated] = carried.isolated
    assert isolated.unknown


def test_after_a_plain_stop_an_isolated_record_that_was_always_refused_was_not_written() -> None:
    model = table(10)
    model.failing[min(model.rows)] = "invalid"
    carried = shard(model).run([Life(stop_at=2)])
    [isolated] = carried.isolated
    assert not isolated.unknown


def test_unknown_keys_travel_with_a_stopped_round_and_are_cleared_when_settled() -> None:
    plans = {2: Plan(call="500 before"), 3: Plan(call="500 before")}
    model = table(5, plans)
    context = FakeContext(model.clock, stop_at=5)
    first = run(model, context)
    assert first.stop is Stop.ASKED
    assert len(first.progress.unconfirmed) == 5
    second = run(model, unconfirmed=first.progress.unconfirmed)
    assert second.progress.unconfirmed == []
    assert second.progress.tally[Outcome.UPDATED] == 5


class _Leaving:
    """An operation that leaves every record alone."""

    reads = None
    filter: Mapping[str, Any] = MappingProxyType({})
    pure, max_batch, deletes = True, 25, False

    def prefetch(self, _rows: Any) -> None:
        pass

    def decide(self, _item: Any) -> Skip:
        return Skip("not mine")


def test_a_row_left_alone_is_filtered_unless_a_write_to_it_may_yet_land(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("reindexer.sinks.in_place.make_operation", lambda *_: _Leaving())
    assert run(table(2)).progress.tally == Tally(scanned=2, filtered=2)
    result = run(table(2), unconfirmed=[Unconfirmed(key={"id": {"S": "row-00001"}})])
    assert result.progress.tally == Tally(scanned=2, filtered=1, updated=1)


def test_a_record_isolated_beyond_the_cursor_takes_its_unknown_write_into_the_next_round() -> None:
    model = table(3)
    first, _, last = sorted(model.rows, key=model._order)
    model.failing |= {first: "throttled", last: "500 before"}
    carried = shard(model)
    carried.one_round(Life())
    assert carried.tally.scanned == 0
    model.failing = {last: "invalid"}  # from now on it is refused, and the earlier write may yet land
    carried.run()
    [isolated] = carried.isolated
    assert isolated.unknown


def test_inherited_unknown_rows_that_carry_our_stamp_are_ambiguous() -> None:
    model = table(5, {2: Plan(call="500 after")})
    first = run(model, FakeContext(model.clock, stop_at=4))
    second = run(model, unconfirmed=first.progress.unconfirmed, cursor=first.progress.cursor)
    assert (second.progress.tally[Outcome.UPDATED], second.progress.attempts.ambiguous) == (5, 5)


@pytest.mark.parametrize("heartbeat", [1, 2, 3, 5, 8])
def test_asked_to_stop_it_hands_back_where_it_is(heartbeat: int) -> None:
    model = table(200, page_rows=40)
    carried = shard(model).run([Life(stop_at=heartbeat)])
    assert carried.stops[0] is Stop.ASKED
    assert carried.tally == Tally(scanned=200, updated=200)


def test_a_frozen_attempt_that_thaws_writes_nothing() -> None:
    model = table(10)
    context = FakeContext(model.clock)
    context.frozen = True
    assert run(model, context).stop is Stop.STALE
    assert model.changed == {}


def test_it_stops_at_the_end_of_its_slice_and_goes_on() -> None:
    model = table(5000)
    carried = shard(model, seconds=0.5).run()
    assert set(carried.stops) == {Stop.SLICE, Stop.DONE}
    assert carried.tally == Tally(scanned=5000, updated=5000)


def test_a_budget_below_one_record_a_slice_still_moves() -> None:
    model = table(3)
    carried = shard(model, seconds=5.0, share=Share(records=0.1)).run(most_rounds=10)
    assert carried.tally[Outcome.UPDATED] == 3
    assert model.clock.now - 1000 > 20


def test_a_read_budget_below_one_page_a_slice_still_moves() -> None:
    carried = shard(table(3), seconds=5.0, share=Share(read_units=0.1)).run(most_rounds=10)
    assert carried.tally[Outcome.UPDATED] == 3


class ToldAfterThreeSeconds(FakeContext):
    """Told to stop in the middle of whatever it waits for."""

    def wait(self, seconds: float) -> None:
        self._until = getattr(self, "_until", self.clock.now + 3.0)
        super().wait(min(seconds, max(0.0, self._until - self.clock.now)))

    def stopping(self) -> bool:
        return self.clock.now >= getattr(self, "_until", float("inf"))


@pytest.mark.parametrize("share", [Share(read_units=0.1), Share(records=0.1), Share(write_units=0.1)])
def test_a_small_share_is_earned_over_rounds_that_are_interrupted(share: Share) -> None:
    """Ten seconds to earn a unit, asked to stop after three: what a round has earned is not lost with it."""
    model = table(3)
    result = run(model, ToldAfterThreeSeconds(model.clock), share=share)
    updated, rounds = result.progress.tally[Outcome.UPDATED], 1
    while result.stop is not Stop.DONE and rounds < 40:
        context = ToldAfterThreeSeconds(model.clock)
        at = result.progress.cursor
        result = run(model, context, share=share, levels=result.levels, cursor=at)
        updated, rounds = updated + result.progress.tally[Outcome.UPDATED], rounds + 1
    assert updated == 3


def test_budgets_are_kept_over_time() -> None:
    model = table(500)
    run(model, seconds=1e6, share=Share(records=50.0))
    assert model.clock.now - 1000 >= 500 / 50 - 1  # a second's worth may be saved up


def test_one_page_of_hopeless_rows_does_not_become_one_giant_heartbeat() -> None:
    model = table(1000, stored={VERSION: {"S": "x"}})
    result = run(model)
    assert result.stop is Stop.ISOLATED
    assert len(result.progress.isolated) == MAX_ISOLATED
    carried = shard(model).run()
    assert len(carried.isolated) == 1000


def test_many_isolated_records_in_delivery_end_the_round_too() -> None:
    model = table(300)
    model.poison |= set(model.rows)
    result = run(model)
    assert result.stop is Stop.ISOLATED
    assert len(result.progress.isolated) <= MAX_ISOLATED + 100 + 25  # what was in trouble or under way by then


def test_isolation_by_record_writes_nothing_itself() -> None:
    model = table(60)
    result = run(model, isolation="record")
    assert result.stop is Stop.ISOLATED
    assert model.batches == []
    assert not any(one.unknown or one.given_up for one in result.progress.isolated)


def test_a_read_that_fails_is_tried_again_from_the_cursor() -> None:
    plans = {1: Plan(call="500 before"), 3: Plan(call="throttled")}
    result = run(table(30, plans, page_rows=10))
    assert result.progress.tally == Tally(scanned=30, updated=30)
    assert (result.progress.attempts.server_errors, result.progress.attempts.throttled) == (1, 25 - 15)


def test_reads_that_keep_failing_hand_back() -> None:
    model = table(5)
    model.plan = lambda _: Plan(call="throttled")
    assert run(model).stop is Stop.THROTTLED
    model.plan = lambda _: Plan(call="500 before")
    assert run(model).stop is Stop.UNAVAILABLE


def test_reads_that_keep_failing_by_a_code_that_is_unknown_name_it() -> None:
    model = table(5)
    model.plan = lambda _: Plan(call="NeverHeardOf")
    request = RoundInput(target=target(), source=Segment(segment=0, total=1))
    calls = TableClient(model, "t")  # type: ignore[arg-type]
    result = run_round(request, FakeContext(model.clock), calls)
    assert (result.stop, result.fault and result.fault.code) == (Stop.FAILED, "NeverHeardOf")


def test_access_denied_while_reading_parks() -> None:
    model = table(5)
    model.denied_from = 1
    result = run(model)
    assert (result.stop, result.fault and result.fault.code) == (Stop.FAULT, "AccessDeniedException")


def test_a_sample_hands_out_exactly_its_limit_over_rounds() -> None:
    source = Segment(segment=0, total=1, limit=30)
    carried = shard(table(100, page_rows=12), source=source).run(
        [Life(stop_at=2), Life(kill_at=4), Life(stop_at=3)]
    )
    assert carried.tally == Tally(scanned=30, updated=30)


def test_named_keys_are_each_accounted_for_and_gone_ones_vanish() -> None:
    model = table(250)
    carried = shard(model, source=keys_of(*range(240, 260))).run()
    assert carried.tally == Tally(scanned=20, updated=10, vanished=10)


def test_a_read_that_fails_in_mid_sample_does_not_start_its_count_again() -> None:
    plans = {3: Plan(call="500 before")}
    result = run(table(100, plans, page_rows=20), source=Segment(segment=0, total=1, limit=30))
    assert result.progress.tally == Tally(scanned=30, updated=30)


def test_named_keys_go_on_where_a_read_failed_for_long() -> None:
    model = table(150)
    model.plan = lambda _: Plan(call="500 before") if model.log[-1] == "get" and 5 < model.calls < 16 else None
    carried = shard(model, source=keys_of(*range(150))).run()
    assert carried.tally == Tally(scanned=150, updated=150)
    assert len(carried.stops) == 1, "the failure has to come within a round"


def test_named_keys_survive_crashes_and_faults() -> None:
    plans = {1: Plan(call="500 before"), 2: Plan(call="unprocessed half"), 4: Plan(call="killed after")}
    carried = shard(table(300, plans), source=keys_of(*range(300))).run([Life(kill_at=9), Life(stop_at=7)])
    assert carried.tally == Tally(scanned=300, updated=300)


def test_waiting_for_unprocessed_keys_goes_through_the_context() -> None:
    model = table(5, {1: Plan(call="unprocessed all")})
    context = FakeContext(model.clock)
    run(model, context, source=keys_of(0, 1))
    assert context.waited


def test_an_unknown_record_that_a_read_finds_gone_is_settled_by_a_refused_write() -> None:
    model = table(3)
    gone = {"id": {"S": "gone"}}
    result = run(model, source=KeyList(keys=[gone]), unconfirmed=[Unconfirmed(key=gone)])
    assert result.progress.tally == Tally(scanned=1, vanished=1)
    assert len(model.batches) == 1


def test_the_clock_of_a_round_is_its_contexts() -> None:
    clock = Clock()
    model = table(1)
    model.clock = clock
    assert run(model, FakeContext(clock)).seconds == pytest.approx(0.03, abs=0.02)


@pytest.mark.parametrize("behind", [0, 3])
def test_under_a_rate_no_one_waits_for_a_token_that_no_record_needs(behind: int) -> None:
    """Three records need a write; those after them are at the target already."""
    model = table(3 + behind)
    for identity in sorted(model.rows, key=model._order)[3:]:
        model.rows[identity] = {**model.rows[identity], VERSION: {"N": "7"}, "reindexRun": {"S": "earlier"}}
    began = model.clock.now
    tally = run(model, share=Share(records=0.5)).progress.tally
    assert tally == Tally(scanned=3 + behind, updated=3, current=behind)
    assert model.clock.now - began < 6 + 1, "three tokens of 2 s each"
