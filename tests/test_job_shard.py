"""What the root knows of a shard never goes back, whatever order signals, looks and results come in."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reindexer.models import (
    Counts,
    HandBack,
    Isolated,
    Kept,
    Seen,
    Segment,
    ShardReport,
    ShardState,
    ShardSummary,
    Situation,
    Unconfirmed,
    Verification,
)
from reindexer.tally import Tally
from workflows.job.shard import Shard, superseded, together

SEGMENT = Segment(segment=0, total=1)


def a_shard(**more: Any) -> Shard:
    return Shard(0, "running", SEGMENT, **{"active": True, "open": True, "situation": "running", **more})


def counts(done: int) -> Counts:
    return Counts(tally=Tally(scanned=done, updated=done), write_units=float(done))


def summary(rounds: int, done: int, **more: Any) -> ShardSummary:
    return ShardSummary(counts=counts(done), rounds=rounds, **more)


def signalled(known: ShardSummary, state: Any = "running", acknowledged: int = 0) -> ShardReport:
    situation = Situation(state=state, reason="why" if state != "running" else "", summary=known)
    return ShardReport(index=0, acknowledged=acknowledged, situation=situation)


def seen(known: ShardSummary, running: int = 0, state: Any = "running") -> Seen:
    return Seen(situation=Situation(state=state, summary=known), running=counts(running))


def done(shard: Shard) -> int:
    return shard.counts.tally.settled


def test_a_round_that_has_ended_is_not_counted_twice() -> None:
    shard = a_shard()
    shard.see(seen(summary(1, 100), running=40), 10.0, measured=True)
    assert done(shard) == 140
    shard.tell(signalled(summary(2, 150)))
    assert done(shard) == 150, "the 40 are among them"
    shard.see(seen(summary(2, 150), running=7), 20.0, measured=True)
    assert done(shard) == 157
    shard.see(seen(summary(3, 170)), 30.0, measured=True)
    assert done(shard) == 170
    shard.see(seen(summary(3, 170), running=9), 31.0, measured=True)
    shard.close(HandBack(how="yielded", summary=summary(4, 180)))
    assert done(shard) == 180


def test_what_was_seen_before_the_last_signal_is_left_out() -> None:
    shard = a_shard()
    shard.tell(signalled(summary(3, 300)))
    shard.see(seen(summary(2, 200), running=90), 10.0, measured=False)
    assert done(shard) == 300
    shard.see(seen(summary(3, 300), running=5), 20.0, measured=False)
    assert done(shard) == 305


def test_a_signal_that_comes_after_a_later_look_takes_nothing_back() -> None:
    shard = a_shard()
    shard.see(seen(summary(5, 500), running=20), 10.0, measured=False)
    lost = [Isolated(key={"id": {"S": "a"}})]
    assert shard.tell(signalled(summary(4, 400, newest=lost))) == lost, "they were not known"
    assert done(shard) == 520


@given(st.randoms(), st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=12))
def test_known_counts_never_go_back_and_never_exceed_the_truth(
    draw: random.Random, each: list[tuple[int, int]]
) -> None:
    """Looks and signals of every moment of a shard's life, each arriving up to three moments late."""
    moments: list[tuple[ShardSummary, int]] = [(summary(0, 0), 0)]
    total = 0
    for number, (half, rest) in enumerate(each):
        moments.append((summary(number, total), half))  # in mid-round
        total += half + rest
        moments.append((summary(number + 1, total), 0))
    shard, before = a_shard(), 0
    late = sorted(range(len(moments)), key=lambda place: place + draw.uniform(0, 3))
    reached = 0
    for place in late:
        known, running = moments[place]
        if draw.random() < 0.5:
            shard.tell(signalled(known))
        else:
            shard.see(seen(known, running), float(place), measured=False)
        reached = max(reached, known.counts.tally.settled + running)
        assert shard.summary.counts.tally.settled >= before, "went back"
        before = shard.summary.counts.tally.settled
        assert done(shard) <= reached, "counted twice"
    shard.close(HandBack(how="done", summary=moments[-1][0]))
    assert done(shard) == total


def test_a_look_from_before_a_pause_does_not_set_a_shard_in_motion() -> None:
    """Throttled, it waits between two rounds: no round has ended since, and the memo was read before."""
    shard = a_shard()
    shard.tell(signalled(summary(3, 300), "paused", acknowledged=7))
    shard.see(seen(summary(3, 300), state="throttled"), 10.0, measured=False)
    assert (shard.situation, shard.reason, shard.acknowledged) == ("paused", "why", 7)


def test_a_shard_that_was_sent_on_is_what_it_says_to_be() -> None:
    shard = a_shard()
    shard.tell(signalled(summary(3, 300), "paused", acknowledged=7))
    shard.situation, shard.reason, shard.acknowledged = "running", "", -1  # the root sent it on
    shard.see(seen(summary(3, 300), state="paused"), 10.0, measured=False)  # from before that
    shard.see(seen(summary(3, 300), state="throttled"), 20.0, measured=False)
    assert shard.situation == "throttled"


def test_what_is_used_of_budgets_is_measured_between_looks() -> None:
    shard = a_shard(seen_at=100.0)
    shard.see(seen(summary(0, 0), running=50), 110.0, measured=True)
    assert shard.grant.used == {"read_units": 0.0, "write_units": 5.0, "records": 5.0}
    shard.see(seen(summary(1, 50)), 120.0, measured=True)
    assert shard.grant.used == {"read_units": 0.0, "write_units": 0.0, "records": 0.0}


def test_without_a_budget_nothing_is_measured() -> None:
    shard = a_shard(seen_at=100.0)
    shard.see(seen(summary(0, 0), running=50), 110.0, measured=False)
    assert shard.grant.used is None


@pytest.mark.parametrize(("how", "ended"), [("done", True), ("yielded", False), ("cancelled", False)])
def test_what_it_hands_back_replaces_all_that_was_known(how: Any, ended: bool) -> None:
    shard = a_shard(lost=True)
    shard.see(seen(summary(2, 200), running=30), 10.0, measured=False)
    place = Kept(job="j", run="r", index=0, number=3)
    newest = [Isolated(key={"id": {"S": "a"}})]
    back = HandBack(how=how, summary=summary(3, 210, newest=newest), kept=place, hand_backs=3)
    assert shard.close(back) == newest
    assert (done(shard), shard.done, shard.lost) == (210, ended, False)
    assert (shard.state, shard.kept, shard.hand_backs, shard.summary.newest) == (None, place, 3, [])


def test_a_cycle_keeps_the_childs_id_and_an_end_by_somebody_does_not() -> None:
    shard = a_shard()
    assert shard.name() == "shard-000"
    shard.close(HandBack(how="yielded", summary=summary(1, 10), state=ShardState()))
    carried = Shard.carried(shard.carry(None), SEGMENT)
    assert carried.name() == "shard-000"
    carried.ended_from_outside("terminated")
    assert carried.name() == "shard-000-again-2"
    carried = Shard.carried(carried.carry(None), SEGMENT)
    assert carried.name() == "shard-000-again-2"


@pytest.mark.parametrize(
    ("known", "unsettled"),
    [
        ({"state": ShardState(ahead=3)}, True),
        ({"state": ShardState(unconfirmed=[Unconfirmed(key={"id": {"S": "a"}})])}, True),
        ({"state": ShardState(isolated=[Isolated(key={"id": {"S": "a"}})])}, True),
        ({"state": ShardState(timed_out=True)}, True),
        ({"kept": Kept(job="j", run="r", index=0, number=3)}, True),  # what is in it is not known here
        ({"state": ShardState(rounds=3)}, False),
        ({}, False),  # it has not begun
        ({"state": ShardState(ahead=3), "done": True}, False),
        ({"state": ShardState(ahead=3), "phase": "verifying"}, False),
    ],
)
def test_a_shard_that_may_have_done_more_than_is_counted_takes_a_last_look(
    known: dict[str, Any], unsettled: bool
) -> None:
    shard = Shard(0, known.pop("phase", "running"), SEGMENT, **known)
    assert shard.unsettled is unsettled
    shard.close(HandBack(how="cancelled", summary=summary(1, 10), state=ShardState(ahead=3), settled=True))
    assert not shard.unsettled, "it has taken it"


def test_a_run_hands_over_all_that_the_next_one_needs() -> None:
    state = ShardState(cursor={"id": {"S": "a"}}, tally=Tally(scanned=5, updated=5), rounds=1)
    known = ShardSummary(
        counts=Counts(tally=state.tally, checked=Verification(scanned=1)),
        rounds=1,
        failures={"E": 1},
        doubt=True,
    )
    shard = Shard(3, "sweeping", SEGMENT, summary=known, state=state, hand_backs=2, starts=2, lost=True)
    redecide = Shard.carried(shard.carry(SEGMENT), SEGMENT)
    redecide.situation = shard.situation
    assert redecide == shard


def test_shards_that_are_put_together_keep_every_count() -> None:
    parts = [
        a_shard(summary=summary(2, 30, failures={"A": 1})),
        a_shard(summary=summary(1, 12, failures={"A": 2, "B": 1}, doubt=True)),
        a_shard(summary=ShardSummary(), lost=True),
    ]
    one = together(7, parts)
    assert (one.index, one.done, one.lost, one.situation) == (7, True, True, "done")
    assert one.counts == Counts.total([part.counts for part in parts])
    assert (one.summary.rounds, one.summary.failures, one.summary.doubt) == (3, {"A": 3, "B": 1}, True)


def test_what_is_left_to_another_scan_has_its_outcome_and_is_no_failure() -> None:
    tally = Tally(scanned=10, updated=4, superseded=1, quarantined=2)
    shard = a_shard(summary=ShardSummary(counts=Counts(tally=tally, isolated=3), failures={"A": 2}))
    left = superseded(shard)
    assert left.counts.tally == Tally(scanned=10, updated=4, superseded=6)
    assert left.counts.tally.balanced(left.counts.isolated)
    assert (left.counts.isolated, left.summary.failures) == (0, {})
