"""What was named and not found is said first, and is incomplete where it was expected."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from commands.input.exits import Exit
from commands.rendering.found import as_expected
from commands.rendering.report import headline, render_report
from reindexer.models import DryRun, PartitionTotals, Report, Verb, Verification
from reindexer.operations import VERBS
from reindexer.tally import Attempts, Tally
from testbed.job import outcome
from testbed.stack import Stack
from tests.reports import a_report
from tests.tables import Table
from tests.test_rendering import shown
from workflows.job.not_found import not_found, unexplained

TOUCH = {"kind": "touch", "version": 7}
TRANSFORM = {"kind": "transform", "job": "shout", "params": {}}
NOTHING = Verification(scanned=0, behind=0)
NONE = PartitionTotals()


def verb(report: Report) -> Verb:
    return VERBS[report.operation["kind"]]


def partitions(empty: int, **rows: int) -> PartitionTotals:
    tallies = {name: Tally(scanned=number, updated=number) for name, number in rows.items()}
    return PartitionTotals(partitions=tallies, empty=empty, left_out=empty - list(rows.values()).count(0))


def touched(number: int) -> Report:
    return a_report(tally=Tally(scanned=number, updated=number))


@pytest.mark.parametrize(
    ("report", "totals", "words"),
    [
        (a_report(tally=Tally(scanned=100, vanished=100)), NONE, "100 of 100 records vanished"),
        (a_report(tally=Tally(scanned=100, updated=99, vanished=1)), NONE, "1 of 100 records vanished"),
        (a_report(tally=Tally(scanned=1, vanished=1)), NONE, "1 of 1 record vanished"),
        (touched(0), partitions(2, acme=0, globex=0), "2 of 2 partitions empty"),
        (touched(5), partitions(1, acme=0, globex=5), "1 of 2 partitions empty"),
        (touched(5), partitions(3000, globex=5), "3,000 of 3,001 partitions empty"),
        (
            a_report(tally=Tally(), operation=TRANSFORM),
            partitions(1, acme=0),
            "no record found in 1 of 1 partition",
        ),
        (a_report(tally=Tally(), operation=TRANSFORM), NONE, "the query found no record"),
        (
            a_report(tally=Tally(), operation=TRANSFORM, dry_run=DryRun(tally=Tally()), verification=None),
            NONE,
            "the query found no record",
        ),
        (a_report(tally=Tally(), verification=NOTHING), NONE, "no record found"),
        (
            a_report(tally=Tally(), verification=NOTHING, operation={"kind": "verify", "version": 7}),
            NONE,
            "no record found",
        ),
    ],
)
def test_the_headline_says_what_was_not_found(report: Report, totals: PartitionTotals, words: str) -> None:
    assert not_found(report, verb(report), totals) == [words]
    report = report.model_copy(update={"not_found": [words], "dry_run": None})
    assert headline(report).endswith(f", {words}")
    assert headline(report).startswith("complete")
    assert as_expected(Exit.COMPLETE, report, expect_found=False) is Exit.COMPLETE
    assert as_expected(Exit.COMPLETE, report, expect_found=True) is Exit.INCOMPLETE


@pytest.mark.parametrize(
    ("report", "totals"),
    [
        (a_report(), NONE),
        (touched(3), partitions(0, acme=1, globex=2)),
        (a_report(tally=Tally(), operation={"kind": "verify", "version": 7}), NONE),  # it has read 34,006
        (a_report(tally=Tally(), state="cancelled"), partitions(1, acme=0)),
    ],
)
def test_what_was_found_says_nothing_more(report: Report, totals: PartitionTotals) -> None:
    assert not_found(report, verb(report), totals) == []
    assert as_expected(Exit.COMPLETE, report, expect_found=True) is Exit.COMPLETE


def test_a_worse_exit_code_stays() -> None:
    gone = a_report(tally=Tally(scanned=1, vanished=1), not_found=["1 of 1 record vanished"])
    assert as_expected(Exit.BAD_INPUT, gone, expect_found=True) is Exit.BAD_INPUT
    assert as_expected(Exit.COMPLETE, None, expect_found=True) is Exit.COMPLETE


def test_a_dry_run_whose_query_finds_nothing_says_so_with_the_warnings() -> None:
    report = a_report(
        tally=Tally(),
        verification=None,
        operation=TRANSFORM,
        dry_run=DryRun(tally=Tally()),
        warnings=["beware"],
        not_found=["the query found no record"],
    )
    text = shown(render_report(report))
    assert "! the query found no record" in text
    assert "! beware" in text


def counted(scanned: int, verified: int, operation: dict[str, Any] = TOUCH, **more: Any) -> list[str]:
    tally = Tally(scanned=scanned, updated=scanned - sum(more.values()), **more)
    report = a_report(tally=tally, verification=Verification(scanned=verified), operation=operation)
    return unexplained(report, verb(report), swept=0)


def test_counts_of_the_job_and_of_the_read_after_it_differ_for_a_reason() -> None:
    [warning] = counted(4000, 1000)
    assert warning.startswith("the job scanned 4,000 records, the verification afterwards 1,000: ")
    assert counted(1000, 900)
    assert counted(900, 1000), "a touch reads all that the verification does"
    assert counted(4000, 1000, TRANSFORM)
    assert counted(900, 1000, TRANSFORM) == [], "a transform leaves out what its query does not find"
    assert counted(1000, 1000) == []
    assert counted(1000, 900, vanished=100) == counted(1000, 900, deleted=100) == []
    assert counted(1000, 900, vanished=99) != []
    met = a_report(attempts=Attempts(conflicts=6), verification=Verification(scanned=34_000))
    assert unexplained(met, verb(met), swept=0) == []
    assert unexplained(touched(34_016), VERBS["touch"], swept=9) != []
    assert unexplained(touched(34_016), VERBS["touch"], swept=10) == []
    assert unexplained(a_report(verification=None), VERBS["touch"], swept=0) == []
    assert unexplained(a_report(operation={"kind": "verify"}, tally=Tally()), VERBS["verify"], swept=0) == []


async def test_a_job_can_expect_to_find_what_it_names(quiet: Stack, make_table: Callable[..., Table]) -> None:
    table = make_table(range_type="S")
    table.put({"id": {"S": "acme"}, "sort": {"S": "1"}})
    gone = {"kind": "keys", "keys": [{"id": "acme", "sort": str(number)} for number in range(2, 5)]}
    empty = {"kind": "partitions", "values": ["acme", "nobody"]}
    for scope, words in ((gone, "3 of 3 records vanished"), (empty, "1 of 2 partitions empty")):
        asked = {"table": table.name, "scope": scope}
        kind, report = await outcome(await quiet.start(asked))
        assert (kind, report["not_found"]) == ("complete", [words])
        handle = await quiet.start({**asked, "expect_found": True})
        kind, report = await outcome(handle)
        assert (kind, report["state"], report["not_found"]) == ("Incomplete", "incomplete", [words])
        kept = quiet.ledger().reports.find(handle.id)
        assert kept is not None
        assert (kept.state, kept.not_found) == ("incomplete", [words])
    there = {"kind": "partitions", "values": ["acme"]}
    kind, report = await outcome(await quiet.start({"table": table.name, "scope": there, "expect_found": True}))
    assert (kind, "not_found" in report) == ("complete", False)
