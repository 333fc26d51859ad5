"""The rules of order hold in every interleaving of one key, and each of them is needed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.model_one_key import ABSENT, CUT, Key, Rules, World

#: Puts and deletes. Two writes show most faults; three put the shards' border between others.
HISTORIES = ("PP", "PD", "PPP", "PDP", "PPD")
LONGER = ("PDPD", "PPDP")

HOLDING = {
    "the rules": Rules(),
    "a repair beside a follow": Rules(repairs="order first"),
}
BROKEN = {
    "an eventually consistent scan": Rules(consistent_scan=False),
    "the scan before the positions": Rules(positions_first=False),
    "LATEST": Rules(from_trim_horizon=False),
    "children beside their parents": Rules(parents_first=False),
    "no order": Rules(ordered=False),
    "changes from before the opening are sent": Rules(skips_what_lies_before=False),
    "deletions leave nothing": Rules(tombstones="dropped"),
    "tombstones go when the scan is done": Rules(tombstones="removed when the scan is done"),
    "a repair reads the row first": Rules(repairs="row first"),
    "a repair holds its reads for long": Rules(repairs="order first", repairs_hold_their_reads=True),
}


def worlds(key: Key) -> Iterator[World]:
    first = key.first()
    seen, left = {first}, [first]
    while left:
        world = left.pop()
        yield world
        for following in key.steps(world):
            if following not in seen:
                seen.add(following)
                left.append(following)


@pytest.mark.parametrize("history", HISTORIES)
@pytest.mark.parametrize("rules", HOLDING.values(), ids=HOLDING)
def test_once_drained_the_destination_equals_the_table(rules: Rules, history: str) -> None:
    seen, violation = Key(rules, history).violations()
    assert violation is None
    assert seen > 1000, "not every interleaving was there"


@pytest.mark.nightly
@pytest.mark.parametrize("history", LONGER)
@pytest.mark.parametrize("rules", HOLDING.values(), ids=HOLDING)
def test_the_same_of_longer_histories_with_two_requests_that_land_late(rules: Rules, history: str) -> None:
    _, violation = Key(rules, history, late=2).violations(limit=3_000_000)
    assert violation is None


@pytest.mark.parametrize("rules", BROKEN.values(), ids=BROKEN)
def test_without_it_records_are_lost_come_back_or_stay_old(rules: Rules) -> None:
    assert any(Key(rules, history).violations()[1] is not None for history in HISTORIES)


def test_the_worlds_hold_what_they_are_to_hold() -> None:
    """Else nothing that happens in them would say anything."""
    key = Key(Rules(), "PPD")
    found = list(worlds(key))
    drained = [world for world in found if key.drained(world)]
    assert any(world.crashed for world in drained)
    assert any(world.order == ABSENT for world in drained), "a tombstone was removed"
    assert any(world.order != ABSENT for world in drained), "or not yet"
    assert any(key.passed(world.opened) for world in drained)
    assert any(world.opened >= 0 and world.read[0] < CUT for world in found)
    assert any(
        request[0] == "late" and request[1] <= world.order for world in found for request in world.requests
    ), "a request that lands late is refused"
    assert any(world.order != ABSENT and 0 < world.shown < world.opened for world in found), (
        "a state from just before the opening was sent"
    )
