"""The order of writes: epochs above all before them, and what a refusal says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reindexer.streams.order import (
    FAR,
    MAX_EPOCH,
    MAX_ORDER,
    Standing,
    applies,
    epoch_of,
    floor_of,
    is_before_opening,
    next_epoch,
    order_of,
    standing,
)

NOW_MS = 1_795_696_605_000  # a day in November 2026


@given(st.integers(1, MAX_EPOCH), st.integers(0, 2**21 - 1))
def test_an_order_fits_into_a_signed_integer_of_64_bits_and_names_its_epoch(epoch: int, ordinal: int) -> None:
    order = order_of(epoch, ordinal)
    assert 0 < order <= MAX_ORDER
    assert epoch_of(order) == epoch
    assert order >= floor_of(epoch) > order_of(max(epoch - 1, 1), 0) - (epoch == 1)


def test_ordinals_go_on_beyond_their_bits() -> None:
    """A long lineage grows into the milliseconds above its epoch, and stays above all it handed out before."""
    orders = [order_of(NOW_MS, ordinal) for ordinal in (2**21 - 1, 2**21, 2**30)]
    assert orders == sorted(orders)
    assert epoch_of(orders[-1]) == NOW_MS + 2**9


@pytest.mark.parametrize(
    ("epoch", "ordinal"), [(0, 0), (-1, 5), (MAX_EPOCH + 1, 0), (MAX_EPOCH, 2**21), (5, -1)]
)
def test_what_has_no_room_is_refused(epoch: int, ordinal: int) -> None:
    with pytest.raises(ValueError, match="epoch"):
        order_of(epoch, ordinal)


@given(
    st.integers(1, NOW_MS), st.none() | st.integers(0, NOW_MS * 2), st.none() | st.integers(0, MAX_ORDER // 2)
)
def test_the_next_epoch_is_above_the_last_and_its_floor_above_every_order(
    now: int, last: int | None, highest: int | None
) -> None:
    epoch = next_epoch(now, last, highest)
    assert epoch >= now
    assert last is None or epoch > last
    assert highest is None or floor_of(epoch) > highest


def test_an_epoch_is_the_clocks_where_nothing_is_above_it() -> None:
    assert next_epoch(NOW_MS) == NOW_MS
    assert next_epoch(NOW_MS, last=NOW_MS - 1, highest=order_of(NOW_MS - 1, 7)) == NOW_MS
    assert next_epoch(NOW_MS, last=NOW_MS) == NOW_MS + 1, "two in one millisecond"
    assert next_epoch(NOW_MS, last=NOW_MS + 5) == NOW_MS + 6, "the clock was put back"
    assert next_epoch(NOW_MS, highest=order_of(NOW_MS, 2**21)) == NOW_MS + 2, "a long lineage"


def test_an_order_at_the_end_of_all_leaves_no_epoch() -> None:
    with pytest.raises(ValueError, match="an epoch is from 1"):
        next_epoch(NOW_MS, highest=MAX_ORDER)


def test_a_write_takes_effect_strictly_above_what_is_stored() -> None:
    assert [applies(5, stored) for stored in (None, 4, 5, 6)] == [True, True, False, False]


@pytest.mark.parametrize(
    ("stored", "meaning"),
    [
        (order_of(NOW_MS, 3), Standing.OURS),
        (order_of(NOW_MS, 2), Standing.OLDER),
        (order_of(NOW_MS, 4), Standing.NEWER),
        (order_of(NOW_MS, 9) + FAR, Standing.NEWER),
        (order_of(NOW_MS, 9) + FAR + 1, Standing.FOREIGN),
    ],
)
def test_what_a_refusal_says(stored: int, meaning: Standing) -> None:
    assert standing(order_of(NOW_MS, 3), stored, newest=order_of(NOW_MS, 9)) is meaning


def test_far_is_counted_from_the_write_itself_where_nothing_newer_was_handed_out() -> None:
    order = order_of(NOW_MS, 3)
    assert standing(order, order + FAR, newest=floor_of(NOW_MS)) is Standing.NEWER


def test_changes_of_the_last_minutes_before_the_opening_are_sent() -> None:
    """Times are rounded down, to a whole minute at worst: what came after the opening must not look earlier."""
    opening = datetime(2026, 11, 27, 12, 30, 59, tzinfo=UTC)
    assert is_before_opening(opening - timedelta(minutes=10, seconds=1), opening)
    assert not is_before_opening(opening - timedelta(minutes=10), opening)
    assert not is_before_opening(opening.replace(second=0), opening)
