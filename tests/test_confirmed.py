"""The demo's last lines: whether its witnesses saw what the job says of itself."""

from __future__ import annotations

from typing import Any

import pytest
from rich.console import Console

from commands.running.confirmed import confirmed
from commands.running.downstream import Seen
from reindexer.tally import Tally
from testbed.faults import KeyTruth, Truth
from tests.reports import a_report

REPORT = a_report(tally=Tally(scanned=2, updated=2))


def truth(*runs: int, **injected: int) -> Truth:
    """What the proxy saw: how often each record was changed by the run."""
    keys = {f"k{index}": KeyTruth(runs={REPORT.run: times}) for index, times in enumerate(runs)}
    seen: dict[str, Any] = {"unread": 0, "engine_lost": 0, "pending": 0}
    return Truth(injected=injected, calls={"UpdateItem": 1000, "Scan": 9}, tables={"cities": keys}, **seen)


def shown(*witnesses: Any) -> tuple[bool, str]:
    good, what = confirmed(REPORT, *witnesses)
    console = Console(width=100)
    with console.capture() as captured:
        console.print(what)
    return good, captured.get()


def test_both_agree() -> None:
    faults = {"server_error": 60, "cut_applied": 30, "broken_json": 10, "partiql_denied": 4}
    good, text = shown(truth(1, 1, **faults), Seen(2, 2))
    assert good
    assert "100 of 1,009 calls failed, 40 of them after they had been applied" in text
    assert "by the proxy's count 2 records changed, none twice" in text
    assert "2 records changed, 2 events seen downstream\n" in text


@pytest.mark.parametrize(
    ("witnesses", "said"),
    [
        ((truth(1, 2), Seen(2, 2)), "by the proxy's count 2 records changed, 1 twice"),
        ((truth(1), Seen(2, 2)), "by the proxy's count 1 record changed, none twice"),
        ((truth(1, 1), Seen(3, 2)), "2 records changed, 3 events seen downstream of 2 records"),
        ((truth(1, 1), Seen(2, 1)), "2 records changed, 2 events seen downstream of 1 record"),
        ((None, Seen(1, 1)), "2 records changed, 1 event seen downstream"),
    ],
)
def test_one_that_disagrees_is_enough(witnesses: tuple[Any, Any], said: str) -> None:
    good, text = shown(*witnesses)
    assert not good
    assert said in text


def test_calls_that_are_denied_to_all_are_no_faults() -> None:
    good, text = shown(truth(1, 1, partiql_denied=4), Seen(2, 2))
    assert good
    assert "failed" not in text


def test_without_a_witness_nothing_is_said_in_its_name() -> None:
    good, text = shown(None, None)
    assert good
    assert text.split("\n")[-2] == "2 records changed"
    assert "proxy" not in text
