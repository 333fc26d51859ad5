"""What was named and not found is said first, and is exit code 1 where it was expected."""

from __future__ import annotations

from typing import Any

import pytest

import starter
from commands.account import account, headline
from commands.exits import Exit
from commands.found import as_expected, not_found
from reindexer.models import DryRun, Report, Verification
from reindexer.tally import Tally
from tests.reports import a_report
from tests.test_account import shown

TRANSFORM = {"kind": "transform", "job": "shout", "params": {}}
NOTHING = Verification(scanned=0, behind=0)


def partitions(**rows: int) -> dict[str, Any]:
    tallies = {name: Tally(scanned=number, updated=number) for name, number in rows.items()}
    whole = sum(rows.values())
    return {"partitions": tallies, "tally": Tally(scanned=whole, updated=whole)}


@pytest.mark.parametrize(
    ("report", "words"),
    [
        (a_report(tally=Tally(scanned=100, vanished=100)), ["100 of 100 records vanished"]),
        (a_report(tally=Tally(scanned=100, updated=99, vanished=1)), ["1 of 100 records vanished"]),
        (a_report(tally=Tally(scanned=1, vanished=1)), ["1 of 1 record vanished"]),
        (a_report(**partitions(acme=0, globex=0)), ["2 of 2 partitions empty"]),
        (a_report(**partitions(acme=0, globex=5)), ["1 of 2 partitions empty"]),
        (a_report(tally=Tally(), verification=NOTHING, operation=TRANSFORM), ["the query found no record"]),
        (a_report(tally=Tally(), verification=NOTHING), ["no record found"]),
    ],
)
def test_the_headline_says_what_was_not_found(report: Report, words: list[str]) -> None:
    assert not_found(report) == words
    assert headline(report).endswith(f", {words[0]}")
    assert headline(report).startswith("complete")
    assert as_expected(Exit.COMPLETE, report, expect_found=False) is Exit.COMPLETE
    assert as_expected(Exit.COMPLETE, report, expect_found=True) is Exit.INCOMPLETE


@pytest.mark.parametrize(
    "report",
    [
        a_report(),
        a_report(**partitions(acme=1, globex=2)),
        a_report(tally=Tally(), operation={"kind": "verify", "version": 7}),  # it has read 34,006
        a_report(tally=Tally(), state="running"),
        a_report(**partitions(acme=0), state="cancelled"),
    ],
)
def test_what_was_found_says_nothing_more(report: Report) -> None:
    assert not_found(report) == []
    assert as_expected(Exit.COMPLETE, report, expect_found=True) is Exit.COMPLETE


def test_a_worse_exit_code_stays() -> None:
    gone = a_report(tally=Tally(scanned=1, vanished=1))
    assert as_expected(Exit.BAD_INPUT, gone, expect_found=True) is Exit.BAD_INPUT
    assert as_expected(Exit.COMPLETE, None, expect_found=True) is Exit.COMPLETE


def test_a_dry_run_whose_query_finds_nothing_says_so_with_the_warnings() -> None:
    report = a_report(
        tally=Tally(),
        verification=None,
        operation=TRANSFORM,
        dry_run=DryRun(tally=Tally()),
        warnings=["beware"],
    )
    text = shown(account(report))
    assert "! the query found no record" in text
    assert "! beware" in text
    assert as_expected(Exit.COMPLETE, report, expect_found=True) is Exit.INCOMPLETE


def test_expect_found_needs_an_end_to_look_at(capsys: pytest.CaptureFixture[str]) -> None:
    assert starter.run(["start", "cities", "--yes", "--expect-found"]) == 2
    assert "--expect-found: goes with --wait" in capsys.readouterr().err
