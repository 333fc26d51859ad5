"""One rule for what rounds and records add to a shard: the order in which they end changes no count."""

from __future__ import annotations

import random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from reindexer.models import Counts, Isolated, Progress, RecordResult, ShardState, Unconfirmed, VerifyResult
from reindexer.models.closing import ClosingResult
from reindexer.models.folding import after_check, after_closing, after_record, after_round, at_the_end
from reindexer.tally import Attempts, Outcome, Tally, plus_each

KEYS = [{"id": {"S": f"row-{number:02}"}} for number in range(12)]
SETTLED = [outcome for outcome in Outcome if outcome is not Outcome.QUARANTINED]


@st.composite
def rounds(draw: st.DrawFn) -> list[Progress]:
    """Rounds in balance; each record is isolated once at most, by one of them."""
    made, left = [], list(KEYS)
    for number in range(draw(st.integers(1, 4))):
        own = [left.pop() for _ in range(draw(st.integers(0, min(4, len(left)))))]
        partition = draw(st.sampled_from(["acme", "bolt"]))
        counts = {outcome.value: draw(st.integers(0, 5)) for outcome in SETTLED}
        tally = Tally(scanned=sum(counts.values()) + len(own), **counts)
        made.append(
            Progress(
                cursor={"id": {"S": f"cursor-{number}"}},
                tally=tally,
                attempts=Attempts(throttled=draw(st.integers(0, 3))),
                isolated=[Isolated(key=key, error="E", partition=partition) for key in own],
                write_units=float(draw(st.integers(0, 9))),
                partitions={partition: tally},
            )
        )
    return made


def settle(key: Any, outcome: Outcome) -> RecordResult:
    return RecordResult(
        outcome=outcome.value,
        record=Isolated(key=key, error="Bad"),
        attempts=Attempts(conflicts=1),
        write_units=1.0,
    )


def test_an_isolated_change_keeps_its_time_whatever_is_learnt_of_it_and_the_oldest_is_told() -> None:
    first, second = (Isolated(key=key, changed_ms=ms) for key, ms in zip(KEYS, (7000, 5000), strict=False))
    state = after_round(ShardState(), Progress(tally=Tally(scanned=2), isolated=[first, second]))
    assert state.summary.counts.oldest_ms == 5000
    again = RecordResult(outcome=None, record=Isolated(key=second.key, attempts=2))
    state = after_record(state, again)
    assert [record.changed_ms for record in state.isolated] == [7000, 5000]
    running = Counts.of(Progress(tally=Tally(scanned=1), isolated=[Isolated(key=KEYS[2], changed_ms=4000)]))
    assert (state.summary.counts + running).oldest_ms == 4000
    assert (state.summary.counts + Counts()).oldest_ms == 5000
    unknown = Counts.of(Progress(tally=Tally(scanned=1), isolated=[Isolated(key=KEYS[3])]))
    assert (state.summary.counts + unknown).oldest_ms == 0
    assert after_record(state, settle(second.key, Outcome.UPDATED)).summary.counts.oldest_ms == 7000


def balanced(state: ShardState) -> bool:
    """In all, and by partition."""
    apart = dict.fromkeys(state.partitions, 0)
    for record in state.isolated:
        apart[record.partition or ""] += 1
    whole = Tally()
    for name, tally in state.partitions.items():
        whole += tally
        assert tally.balanced(apart[name]), name
    return state.tally.balanced(len(state.isolated)) and whole == state.tally


@given(rounds(), st.randoms(), st.lists(st.sampled_from(list(Outcome)), min_size=12, max_size=12))
def test_whatever_ends_first_the_account_is_in_balance_and_ends_the_same(
    made: list[Progress], draw: random.Random, outcomes: list[Outcome]
) -> None:
    """Rounds come one after another; a record may be settled any time after the round that isolated it."""
    states = []
    for _ in range(2):
        state, coming = ShardState(), list(made)
        settled = dict(zip((key["id"]["S"] for key in KEYS), outcomes, strict=True))
        while coming or state.isolated:
            if coming and (not state.isolated or draw.random() < 0.5):
                state = after_round(state, coming.pop(0))
            else:
                key = draw.choice(state.isolated).key
                state = after_record(state, settle(key, settled[key["id"]["S"]]))
            assert balanced(state)
        states.append(state.model_copy(update={"quarantined": sorted(state.quarantined, key=repr)}))
    assert states[0] == states[1]
    assert states[0].tally.scanned == sum(progress.tally.scanned for progress in made)
    assert states[0].tally[Outcome.QUARANTINED] == sum(states[0].failures.values())
    assert states[0].rounds == len(made)


def test_what_was_learnt_of_a_record_that_is_not_settled_stays_with_it() -> None:
    other = Isolated(key=KEYS[1], partition="bolt")
    state = ShardState(isolated=[Isolated(key=KEYS[0], partition="acme"), other])
    known = Isolated(key=KEYS[0], error="Late", attempts=7, unknown=True)
    after = after_record(state, RecordResult(outcome=None, record=known, attempts=Attempts(timeouts=2)))
    assert after.isolated == [known.model_copy(update={"partition": "acme"}), other]
    assert (after.tally, after.attempts) == (Tally(), Attempts(timeouts=2))


def test_an_attempt_at_a_record_that_died_leaves_the_shard_in_doubt() -> None:
    """It may have deleted a record that its successor finds gone, and it may still be writing."""
    state = ShardState(isolated=[Isolated(key=KEYS[0]), Isolated(key=KEYS[1])])
    known = RecordResult(outcome="updated", record=Isolated(key=KEYS[0]))
    state = after_record(state, known)
    assert not state.timed_out
    state = after_record(state, RecordResult(outcome="vanished", record=Isolated(key=KEYS[1]), died=True))
    assert (state.timed_out, state.summary.doubt) == (True, True)


def test_of_a_record_that_an_index_hands_out_twice_one_is_settled() -> None:
    twice = [Isolated(key=KEYS[0], partition=name) for name in ("acme", "bolt")]
    state = ShardState(tally=Tally(scanned=2), isolated=twice, partitions={"acme": Tally(scanned=1)})
    after = after_record(state, settle(KEYS[0], Outcome.UPDATED))
    assert after.isolated == [twice[1]]
    assert after.partitions == {"acme": Tally(scanned=1, updated=1)}


def test_error_classes_are_bounded_in_number_and_bytes_and_each_record_is_counted() -> None:
    for length, apart in ((4, 20), (100, 5)):
        state = ShardState()
        for number in range(60):
            key = {"id": {"S": str(number)}}
            state = state.model_copy(update={"isolated": [Isolated(key=key)]})
            name = f"{number % 30:02}".ljust(length, "E")
            record = Isolated(key=key, error=name)
            state = after_record(state, RecordResult(outcome="quarantined", record=record))
        assert len(state.failures) == apart + 1, state.failures
        assert sum(state.failures.values()) == 60
        assert state.failures["others"] == 60 - 2 * apart
        assert len(state.quarantined) == 50, "the newest"


def test_a_round_without_a_cursor_leaves_the_one_there_is() -> None:
    state = ShardState(cursor=KEYS[3], unconfirmed=[Unconfirmed(key=KEYS[4])], ahead=2)
    assert after_round(state, Progress()).cursor == KEYS[3]
    assert after_round(state, Progress()).unconfirmed == []
    assert after_check(state, VerifyResult(scanned=0)).cursor == KEYS[3]


def test_at_the_end_nothing_is_left_in_doubt() -> None:
    sent = [Unconfirmed(key=key, deletion=True, partition="acme") for key in KEYS]
    assert at_the_end(ShardState(unconfirmed=sent, ahead=12)) == ShardState(done=True)


def test_a_verification_counts_beside_the_tally() -> None:
    state = after_check(ShardState(), VerifyResult(scanned=10, behind=2, read_units=3.0, cursor=KEYS[0]))
    state = after_check(state, VerifyResult(scanned=5, behind=1, read_units=1.0, cursor=KEYS[1], done=True))
    assert (state.checked.scanned, state.checked.behind, state.read_units, state.rounds) == (15, 3, 4.0, 2)
    assert state.summary.counts.tally == Tally()


@given(rounds())
def test_what_the_last_look_finds_settles_records_and_rows_beyond_the_cursor(made: list[Progress]) -> None:
    state = ShardState()
    for progress in made:
        state = after_round(state, progress)
    beyond = Tally(scanned=3, updated=3)
    found = Tally(updated=len(state.isolated))
    parts: dict[str, Tally] = {"acme": beyond}
    for record in state.isolated:
        parts = plus_each(parts, {str(record.partition): Tally(updated=1)})
    after = after_closing(state, ClosingResult(tally=beyond + found, partitions=parts))
    assert balanced(after)
    assert (after.isolated, after.ahead, after.unconfirmed) == ([], 0, [])
