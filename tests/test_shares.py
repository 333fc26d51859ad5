"""Sharing budgets: the sum of what was granted stays within the budget, whatever the shards use."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from reindexer.models import Limits, Share
from workflows.job.shares import Grant, limited, opening, redistribute

BUDGET = 1000.0
LIMITS = Limits(write_units_per_second=BUDGET)


def granted(grants: dict[int, Grant]) -> float:
    return sum(grant.share.write_units or 0.0 for grant in grants.values())


def begin(shards: int, slots: int) -> dict[int, Grant]:
    grants: dict[int, Grant] = {}
    for index in range(shards):
        grants[index] = Grant(opening(LIMITS, slots, [grant.share for grant in grants.values()]))
    return grants


def test_no_limit_means_no_share() -> None:
    assert not limited(Limits(records_per_second="unlimited"))
    assert opening(Limits(), 4, []) == Share()


def test_shards_begin_with_equal_parts() -> None:
    grants = begin(4, 4)
    assert [grant.share.write_units for grant in grants.values()] == [250.0] * 4


@given(
    used=st.lists(st.lists(st.floats(0, 400), min_size=6, max_size=6), min_size=1, max_size=8),
    leaving=st.sets(st.integers(0, 5), max_size=5),
    slots=st.integers(6, 12),
)
def test_the_sum_never_exceeds_the_budget(used: list[list[float]], leaving: set[int], slots: int) -> None:
    grants = begin(6, slots)
    for turn, consumed in enumerate(used):
        for index in list(grants):
            if turn and index in leaving:
                grants.pop(index)
        for index, grant in grants.items():
            granted_units = grant.share.write_units or 0.0
            grant.used = {"write_units": min(consumed[index], granted_units)}
        for index, share in redistribute(LIMITS, grants, max(slots if not turn else 1, len(grants))).items():
            grants[index] = Grant(share)
            assert share.write_units is not None
            assert share.write_units > 0
        assert granted(grants) <= BUDGET * 1.001  # floating point


def test_the_last_skewed_shard_gets_the_whole_budget() -> None:
    grants = begin(32, 32)
    last = {7: grants[7]}
    last[7].used = {"write_units": last[7].share.write_units or 0.0}

    assert redistribute(LIMITS, last, 1)[7].write_units == BUDGET


def test_what_a_sated_shard_does_not_use_goes_to_a_hungry_one_only_once_it_is_given_back() -> None:
    grants = begin(2, 2)
    grants[0].used, grants[1].used = {"write_units": 50.0}, {"write_units": 500.0}

    first = redistribute(LIMITS, grants, 2)
    assert set(first) == {0}
    grants[0] = Grant(first[0], {"write_units": 50.0})
    second = redistribute(LIMITS, grants, 2)

    assert second[1].write_units is not None
    assert second[1].write_units > 900
    assert (first[0].write_units or 0) + second[1].write_units <= BUDGET
