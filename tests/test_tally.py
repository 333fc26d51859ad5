"""The account: outcomes add up to what was scanned, or it shows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from reindexer.tally import Attempts, Outcome, Tally

counts = st.integers(0, 1_000_000_000)
tallies = st.builds(Tally, **dict.fromkeys(Tally.model_fields, counts))


def test_every_outcome_has_its_count() -> None:
    assert {outcome.value for outcome in Outcome} == set(Tally.model_fields) - {"scanned"}


@given(tallies, tallies)
def test_adding_adds_every_count_and_keeps_the_balance(one: Tally, other: Tally) -> None:
    both = one + other
    for name in Tally.model_fields:
        assert getattr(both, name) == getattr(one, name) + getattr(other, name)
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
