"""Reads of a check or a comparison while nothing answers: a time-out is no reason to park."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError

from reindexer.dynamo.calls import Calls
from reindexer.dynamo.table import TableClient
from tests.test_verification import Clock

KEYS = [{"id": {"S": "a"}}]
TIME_OUT = 5.0  # seconds


class Silent:
    """A client of a service that accepts calls and answers none."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock, self._seconds = clock, seconds

    def batch_get_item(self, **_: Any) -> Any:
        self._clock.wait(self._seconds)
        raise ReadTimeoutError(endpoint_url="http://away")


def calls_of(slice_seconds: float, call_seconds: float) -> Calls:
    """After a slice in which no call was answered."""
    clock = Clock()
    client: Any = Silent(clock, call_seconds)
    calls = Calls(TableClient(client, "cities"), clock, None, slice_seconds)
    assert calls.get_all(KEYS) is None
    return calls


@pytest.mark.parametrize("seconds", [3.0, 6.5])  # of a shard's first round
def test_one_time_out_that_takes_a_whole_slice_hands_back_and_parks_nothing(seconds: float) -> None:
    assert calls_of(seconds, TIME_OUT).fault is None


@pytest.mark.parametrize(("slice_seconds", "call_seconds"), [(30.0, TIME_OUT), (3.0, 0.01)])
def test_a_service_that_answers_nothing_for_a_slice_has_to_be_seen_to(
    slice_seconds: float, call_seconds: float
) -> None:
    fault = calls_of(slice_seconds, call_seconds).fault
    assert fault is not None
    assert fault.code == "ReadTimeoutError"
