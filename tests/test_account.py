"""What a person reads: the account of a job, where it stands, how it ended."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from rich.console import Console, RenderableType
from temporalio.exceptions import ApplicationError, TerminatedError

from commands import screen
from commands.account import account
from commands.exits import Exit
from commands.history import _with_record, _with_round, finished
from commands.picture import picture
from commands.rounds import overlay
from commands.server import _failed
from commands.standing import Standing
from reindexer.models import (
    ControlEvent,
    Isolated,
    Progress,
    RecordResult,
    RoundResult,
    ShardState,
    Stop,
    Verification,
)
from reindexer.tally import Attempts, Tally, total
from tests.reports import a_report


def shown(renderable: RenderableType, width: int = 100) -> str:
    console = Console(width=width, markup=False, emoji=False, highlight=False)
    with console.capture() as capture:
        console.print(renderable)
    return capture.get()


# ── Renderings ─────────────────────────────────────────────────────────────────────────────────────────────


def test_a_complete_report_begins_with_the_speed() -> None:
    lines = shown(account(a_report())).splitlines()
    assert lines[0] == "complete  34,006 records in 3.4 s, 10,002 records/s"
    text = "\n".join(lines)
    assert "updated      34,006  changed by this run" in text
    assert "scanned      34,006  balanced" in text
    assert "34,006 read consistently afterwards, none behind" in text


def test_ambiguous_answers_are_explained() -> None:
    text = shown(account(a_report(attempts=Attempts(server_errors=40, ambiguous=12))))
    assert "40 server errors, 12 ambiguous" in text
    joined = " ".join(text.split())
    assert (
        "12 answers were errors although the write had been applied; each was settled, none counted twice"
        in joined
    )


def test_an_incomplete_report_says_what_to_do() -> None:
    report = a_report(state="incomplete", tally=Tally(scanned=10, updated=8, quarantined=2))
    text = shown(account(report))
    assert text.startswith("incomplete")
    assert "reindexer failures reindex-cities" in text
    assert "reindexer redrive reindex-cities" in text


def test_rows_behind_are_said_with_the_command_that_carries_them_on() -> None:
    text = shown(account(a_report(state="incomplete", verification=Verification(scanned=34006, behind=3))))
    assert "3 behind" in text
    assert "reindexer start cities --version 7" in text


def test_a_job_that_only_reads_says_how_many_are_behind() -> None:
    report = a_report(
        operation={"kind": "verify", "version": 7},
        tally=Tally(),
        writer="none",
        state="incomplete",
        shards=0,
        verification=Verification(scanned=34006, behind=12),
    )
    lines = shown(account(report)).splitlines()
    assert lines[0].startswith("incomplete  34,006 records")
    assert lines[2].split()[:2] == ["behind", "12"]


def test_an_unbalanced_report_is_called_a_defect() -> None:
    report = a_report(state="incomplete", balanced=False, tally=Tally(scanned=10, updated=9))
    assert "NOT balanced" in shown(account(report))
    assert "a defect" in shown(account(report))


def test_a_cancelled_job_may_leave_records_under_way() -> None:
    report = a_report(state="cancelled", balanced=False, tally=Tally(scanned=10, updated=9), verification=None)
    text = shown(account(report))
    assert "balanced, but for 1 under way when it was cancelled" in text
    assert "defect" not in text


def test_partitions_are_a_table_of_those_that_matter_most() -> None:
    tenants = {f"tenant-{number:04}": Tally(scanned=number, updated=number) for number in range(2000)}
    tenants["acme|[x]"] = Tally(scanned=1, quarantined=1)
    sum_of_all = total(Tally, tenants.values())
    lines = shown(account(a_report(state="incomplete", tally=sum_of_all, partitions=tenants))).splitlines()
    head = next(number for number, line in enumerate(lines) if line.startswith("partition "))
    assert lines[head].split() == ["partition", "scanned", "updated", "quarantined"]
    assert lines[head + 1].split() == ["acme|[x]", "1", "0", "1"]
    assert lines[head + 2].split() == ["tenant-1999", "1,999", "1,999", "0"]
    assert lines[head + 20].split() == ["tenant-1981", "1,981", "1,981", "0"]
    assert lines[head + 21] == "… and 1,981 more; `reindexer report reindex-cities --json` has all"


def test_partitions_done_are_shown_while_a_job_runs() -> None:
    progress = {"state": "running", "partitions": {"total": 2000, "done": 12}}
    stands = Standing("j", "r", "running", datetime.now(UTC), progress, workers=True)
    assert "partitions  2,000: 12 done" in shown(picture(stands))


def test_a_tenant_that_does_not_add_up_is_a_defect_also_of_a_cancelled_job() -> None:
    text = shown(account(a_report(state="cancelled", balanced=False, unbalanced_partitions=["acme"])))
    assert "NOT balanced" in text
    assert "partitions  0, not balanced: acme" in text


def test_controls_and_warnings_are_listed_and_never_read_as_markup() -> None:
    event = ControlEvent(
        at=datetime.now(UTC), what="set_limits", reason="[red]now", limits={"write_units_per_second": 500}
    )
    text = shown(account(a_report(controls=[event], warnings=["no stream [see docs]"])))
    assert "set_limits write_units_per_second=500 ([red]now)" in text
    assert "no stream [see docs]" in text


@pytest.mark.parametrize("width", [80, 100])
def test_a_report_fits_the_terminal(width: int) -> None:
    report = a_report(warnings=["a warning that is as long as warnings are " * 4])
    assert all(len(line) <= width for line in shown(account(report), width).splitlines())


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(3.21, "3.2 s"), (59.6, "1 min 00 s"), (65, "1 min 05 s"), (7500, "2 h 05 min"), (93_600, "1 d 02 h")],
)
def test_durations_are_said_as_people_do(seconds: float, text: str) -> None:
    assert screen.duration(seconds) == text


# ── Where a job stands, and how it ended ───────────────────────────────────────────────────────────────────


def test_heartbeats_are_laid_over_reports_and_nothing_is_counted_twice() -> None:
    tally = Tally(scanned=100, updated=100).model_dump()
    reported: dict[str, Any] = {"tally": tally, "isolated": 1, "remaining": 50}
    running = [
        Progress(tally=Tally(scanned=20, updated=19), attempts=Attempts(throttled=2)),
        Progress(tally=Tally(scanned=5, current=5)),
    ]
    live = overlay(reported, running)
    assert live["tally"]["scanned"] == 125
    assert (live["tally"]["updated"], live["tally"]["current"]) == (119, 5)
    assert live["attempts"]["throttled"] == 2
    assert live["remaining"] == 25
    assert reported["tally"]["scanned"] == 100  # untouched: the next look begins from the answer again


@pytest.mark.parametrize("kind", ["BadInput", "LedgerMissing", "Locked", "VersionTooLow", "AccessDenied"])
def test_a_job_that_was_refused_ends_with_2(kind: str) -> None:
    end = _failed("j", ApplicationError("table: there is no table", type=kind, non_retryable=True))
    assert (end.code, end.report) == (Exit.BAD_INPUT, None)
    assert end.sentence == "j was refused: table: there is no table"


def test_an_incomplete_job_ends_with_1_and_its_report() -> None:
    report = a_report(state="incomplete")
    end = _failed("j", ApplicationError("2 records", report.model_dump(mode="json"), type="Incomplete"))
    assert (end.code, end.report) == (Exit.INCOMPLETE, report)


def test_a_terminated_job_ends_with_1_and_says_so() -> None:
    end = _failed("j", TerminatedError("by hand"))
    assert end.code == Exit.INCOMPLETE
    assert "was terminated" in end.sentence


def test_a_shard_is_folded_from_its_history_as_its_workflow_does() -> None:
    record = Isolated(key={"id": {"S": "a"}}, error="Conflict")
    told = Progress(tally=Tally(scanned=10, updated=9), isolated=[record])
    state = _with_round(ShardState(), RoundResult(progress=told, stop=Stop.SLICE))
    assert (state.tally.scanned, len(state.isolated), state.done) == (10, 1, False)
    state = _with_record(state, RecordResult(outcome=None, record=record, attempts=Attempts(conflicts=3)))
    assert len(state.isolated) == 1  # interrupted: back to pending
    state = _with_record(state, RecordResult(outcome="quarantined", record=record))
    assert (state.tally.quarantined, state.isolated, state.attempts.conflicts) == (1, [], 3)
    state = _with_round(state, RoundResult(progress=Progress(), stop=Stop.DONE))
    assert finished([state]) == 1
