"""The account: outcomes add up to what was scanned, or it shows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from reindexer.tally import MEANING, Attempts, Outcome, Tally

counts = st.integers(0, 1_000_000_000)
tallies = st.builds(Tally, **dict.fromkeys(Tally().model_dump(), counts))


def test_every_outcome_is_registered_and_has_its_count_in_json() -> None:
    assert set(MEANING) == set(Outcome)
    assert Tally(3, updated=2, vanished=1).model_dump(mode="json") == {
        "scanned": 3, "updated": 2, "deleted": 0, "current": 0, "superseded": 0, "filtered": 0, "vanished": 1,
        "quarantined": 0,
    }  # fmt: skip


@given(tallies, tallies)
def test_json_and_back_is_the_same_and_what_is_taken_away_was_added(one: Tally, other: Tally) -> None:
    assert Tally.model_validate_json(one.model_dump_json()) == one
    assert one + other - other == one


@given(tallies, tallies)
def test_adding_adds_every_count_and_keeps_the_balance(one: Tally, other: Tally) -> None:
    both = one + other
    assert both.scanned == one.scanned + other.scanned
    for outcome in Outcome:
        assert both[outcome] == one[outcome] + other[outcome]
    assert both.settled == one.settled + other.settled
    assert both == other + one


@given(tallies, counts)
def test_balanced_means_every_scanned_record_has_its_one_outcome(tally: Tally, isolated: int) -> None:
    whole = tally.model_copy(update={"scanned": tally.settled + isolated})
    assert whole.balanced(isolated)
    assert not whole.balanced(isolated + 1)


@pytest.mark.parametrize("outcome", list(Outcome))
def test_an_outcome_is_counted_without_touching_what_was_scanned(outcome: Outcome) -> None:
    assert Tally(scanned=5).plus(outcome, 2) == Tally(scanned=5, **{outcome.value: 2})


def test_counts_are_never_negative_and_never_made_up() -> None:
    with pytest.raises(ValidationError):
        Tally(scanned=-1)
    with pytest.raises(ValidationError):
        Tally.model_validate({"skipped": 1})


def test_attempts_add_up() -> None:
    assert Attempts(throttled=1, ambiguous=2) + Attempts(throttled=3) == Attempts(throttled=4, ambiguous=2)
