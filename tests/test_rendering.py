"""What a person reads: the report of a job, its state, how it ended."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from rich.console import Console, RenderableType
from temporalio.exceptions import ApplicationError, TerminatedError

from commands.input.exits import Exit, exit_code
from commands.rendering.comparison import comparison_rows
from commands.rendering.report import render_report
from commands.rendering.screen import moment
from commands.rendering.status import picture, plain_line
from commands.running import watching
from commands.temporal.ending import of_failure
from commands.temporal.status import JobStatus
from reindexer.models import (
    Comparison,
    Consumed,
    ControlEvent,
    JobProgress,
    Limits,
    PartitionsDone,
    ShardsDone,
    Verification,
)
from reindexer.tally import Attempts, Tally
from reindexer.words import duration
from tests.reports import a_report


def shown(renderable: RenderableType, width: int = 100) -> str:
    console = Console(width=width, markup=False, emoji=False, highlight=False)
    with console.capture() as capture:
        console.print(renderable)
    return capture.get()


# ── Renderings ─────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("left", "said", "next_step"),
    [(None, "given up, listed in the ledger\n", True), (0, "; all redriven since", False),
     (2, "; 2 records not redriven since", True)],
)  # fmt: skip
def test_what_was_redriven_since_is_not_asked_for_again(left: int | None, said: str, next_step: bool) -> None:
    text = shown(render_report(a_report(tally=Tally(scanned=9, updated=6, quarantined=3), left=left)))
    assert said in text
    assert ("reindexer redrive reindex-cities" in text) == next_step


def test_a_complete_report_begins_with_the_speed() -> None:
    lines = shown(render_report(a_report())).splitlines()
    assert lines[0] == "complete  34,006 records in 3.4 s, 10,002 records/s"
    text = "\n".join(lines)
    assert "updated      34,006  changed by this run" in text
    assert "scanned      34,006  balanced" in text
    assert "34,006 read consistently afterwards, none behind" in text


def test_ambiguous_answers_are_explained() -> None:
    text = shown(render_report(a_report(attempts=Attempts(server_errors=40, ambiguous=12))))
    assert "40 server errors, 12 ambiguous" in text
    joined = " ".join(text.split())
    assert (
        "12 answers were errors although the write had been applied; each was settled, none counted twice"
        in joined
    )


def test_an_incomplete_report_says_what_to_do() -> None:
    report = a_report(state="incomplete", tally=Tally(scanned=10, updated=8, quarantined=2))
    text = shown(render_report(report))
    assert text.startswith("incomplete")
    assert "reindexer failures reindex-cities" in text
    assert "reindexer redrive reindex-cities" in text


def test_rows_behind_are_said_with_the_command_that_carries_them_on() -> None:
    text = shown(
        render_report(a_report(state="incomplete", verification=Verification(scanned=34006, behind=3)))
    )
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
    lines = shown(render_report(report)).splitlines()
    assert lines[0].startswith("incomplete  34,006 records")
    assert lines[2].split()[:2] == ["behind", "12"]


def test_an_unbalanced_report_is_called_a_defect() -> None:
    report = a_report(state="incomplete", balanced=False, tally=Tally(scanned=10, updated=9))
    assert "NOT balanced" in shown(render_report(report))
    assert "a defect" in shown(render_report(report))


def test_a_cancelled_job_may_leave_records_under_way() -> None:
    report = a_report(state="cancelled", balanced=False, tally=Tally(scanned=10, updated=9), verification=None)
    text = shown(render_report(report))
    assert "balanced, except for 1 in progress when it was cancelled" in text
    assert "defect" not in text


def test_partitions_are_a_table_of_those_that_matter_most() -> None:
    tenants = {f"tenant-{number:04}": Tally(scanned=number, updated=number) for number in range(2000)}
    tenants["acme|[x]"] = Tally(scanned=1, quarantined=1)
    sum_of_all = Tally.total(tenants.values())
    lines = shown(
        render_report(a_report(state="incomplete", tally=sum_of_all, partitions=tenants))
    ).splitlines()
    head = next(number for number, line in enumerate(lines) if line.startswith("partition "))
    assert lines[head].split() == ["partition", "scanned", "updated", "quarantined"]
    assert lines[head + 1].split() == ["acme|[x]", "1", "0", "1"]
    assert lines[head + 2].split() == ["tenant-1999", "1,999", "1,999", "0"]
    assert lines[head + 20].split() == ["tenant-1981", "1,981", "1,981", "0"]
    assert lines[head + 21] == "… and 1,981 more; `reindexer report reindex-cities --json` has all"


def test_partitions_done_are_shown_while_a_job_runs() -> None:
    seen = status(partitions=PartitionsDone(total=2000, done=12))
    assert "partitions  2,000: 12 done" in shown(picture(seen))


def test_a_tenant_that_does_not_add_up_is_a_defect_also_of_a_cancelled_job() -> None:
    text = shown(render_report(a_report(state="cancelled", balanced=False, unbalanced_partitions=["acme"])))
    assert "NOT balanced" in text
    assert "partitions  0, not balanced: acme" in text


def test_controls_and_warnings_are_listed_and_never_read_as_markup() -> None:
    event = ControlEvent(
        at=datetime.now(UTC), what="set_limits", reason="[red]now", limits={"write_units_per_second": 500}
    )
    text = shown(render_report(a_report(controls=[event], warnings=["no stream [see docs]"])))
    assert "set_limits write_units_per_second=500 ([red]now)" in text
    assert "no stream [see docs]" in text


@pytest.mark.parametrize("width", [80, 100])
def test_a_report_fits_the_terminal(width: int) -> None:
    report = a_report(warnings=["a warning that is as long as warnings are " * 4])
    assert all(len(line) <= width for line in shown(render_report(report), width).splitlines())


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(3.21, "3.2 s"), (59.6, "1 min 00 s"), (65, "1 min 05 s"), (7500, "2 h 05 min"), (93_600, "1 d 02 h")],
)
def test_durations_are_said_as_people_do(seconds: float, text: str) -> None:
    assert duration(seconds) == text


# ── The state of a job, and how it ended ───────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", ["BadInput", "LedgerMissing", "Locked", "VersionTooLow", "AccessDenied"])
def test_a_job_that_was_refused_ends_with_2(kind: str) -> None:
    end = of_failure("j", ApplicationError("table: there is no table", type=kind, non_retryable=True))
    assert (end.code, end.report) == (Exit.BAD_INPUT, None)
    assert end.sentence == "j was refused: table: there is no table"


def test_an_incomplete_job_ends_with_1_and_its_report() -> None:
    report = a_report(state="incomplete")
    end = of_failure("j", ApplicationError("2 records", report.model_dump(mode="json"), type="Incomplete"))
    assert (end.code, end.report) == (Exit.INCOMPLETE, report)


def test_a_terminated_job_ends_with_1_and_says_so() -> None:
    end = of_failure("j", TerminatedError("by hand"))
    assert end.code == Exit.INCOMPLETE
    assert "was terminated" in end.sentence


def test_what_the_ledger_knows_of_a_job_that_has_not_ended_is_a_lower_bound() -> None:
    as_of = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    report = a_report(state="terminated", as_of=as_of, tally=Tally(scanned=10, updated=8), verification=None)
    text = shown(render_report(report))
    lines = text.splitlines()
    assert lines[0].startswith("terminated  at least 10 records, as of 2026-01-02 ")
    assert "scanned      10  a lower bound, as are the others" in text
    assert "reindexer start cities --version 7" in text
    assert "defect" not in text
    assert "verified" not in text
    assert exit_code(report) is Exit.INCOMPLETE
    assert exit_code(report.model_copy(update={"state": "running"})) is Exit.NOT_FINISHED
    assert exit_code(a_report()) is Exit.COMPLETE


# ── While it runs ──────────────────────────────────────────────────────────────────────────────────────────


def status(**progress: Any) -> JobStatus:
    given = {"state": "running", "tally": Tally(scanned=100, updated=90), **progress}
    return JobStatus("j", "r", "running", datetime.now(UTC), JobProgress(**given), workers=True)


def test_a_verification_has_its_own_progress() -> None:
    verification = Verification(scanned=1234, behind=2)
    seen = status(
        state="verifying",
        verification=verification,
        remaining=4444,
        records_per_second=500.0,
        eta_seconds=9,
        shards=ShardsDone(total=8, done=3, running=5),
    )
    assert plain_line(seen) == "verifying, 1,234 of about 5,678 verified, 500/s, 3 of 8 shards done"
    text = shown(picture(seen))
    assert "1,234 of about 5,678 verified  500/s  9.0 s left" in text
    assert "1,234 read consistently, 2 behind" in text
    assert "90 updated" in text, "what the job did is still details"
    waiting = status(state="throttled", phase="verifying", verification=verification, remaining=0)
    assert "1,234 records verified" in plain_line(waiting)
    assert "100 of about 150" in plain_line(status(verification=verification, remaining=50)), (
        "while it is swept"
    )


def test_isolated_records_are_among_those_scanned() -> None:
    tally = Tally(scanned=30, updated=11)
    assert plain_line(status(tally=tally, isolated=19, remaining=0)) == "running, 30 records, 19 isolated"
    assert "30 of about 50" in plain_line(status(tally=tally, isolated=19, remaining=20))


@pytest.mark.parametrize(("seconds", "said"), [(3, ""), (25, "figures are 25 s old"), (300, "5 min 00 s old")])
def test_figures_that_are_old_are_shown_with_their_age(seconds: int, said: str) -> None:
    as_of = (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat()
    for text in (plain_line(status(as_of=as_of)), shown(picture(status(as_of=as_of)))):
        assert ("old" in text) == bool(said)
        assert said in text


def test_units_are_in_use_while_something_moves() -> None:
    figures = {"limits": Limits(write_units_per_second=5.0), "consumed": Consumed(write_units=76.0)}
    assert "5 write units/s (using 76)" in shown(picture(status(**figures)))
    assert "using" not in shown(picture(status(state="paused", **figures))), "the rate is of before the pause"


def test_what_is_absent_adds_up_on_either_side() -> None:
    counts = Comparison(scanned=10, equal=7, absent=3, other_scanned=12, matched=7, other_absent=5)
    rows = [[str(cell) for cell in row] for row in comparison_rows(counts)]
    of = {name: int(number) for name, number, _ in rows}
    assert (of["absent"], of["absent there"]) == (3, 5)
    assert sum(of[name] for name in ("equal", "different", "missing", "moving", "absent")) == of["scanned"]
    names = [name for name, *_ in rows]
    assert names.index("absent") < names.index("scanned") < names.index("absent there")


def test_a_hand_over_to_the_next_run_is_shown() -> None:
    assert "handing over to its next run" in plain_line(status(cycling=True))
    lines = shown(picture(status(cycle=2, cycling=True, reason="the run's history is long"))).splitlines()
    assert "the run's history is long" in lines[1]
    assert "run         3 of the job, handing over to its next run" in lines
    assert not any(line.startswith("run ") for line in shown(picture(status())).splitlines())


def test_a_follow_at_rest_says_the_same_for_an_hour() -> None:
    def line(hours: float) -> str:
        return plain_line(status(state="following", lag_seconds=0.0, hours_left=hours))

    assert line(23.98) == line(23.97) == line(23.2)
    assert "nothing behind, unread changes are kept for 23 h" in line(23.98)
    assert "kept for 2 h 30 min" in line(2.5)


def test_that_a_follow_is_going_to_end_is_shown_until_it_has() -> None:
    until = datetime(2026, 11, 20, 9, 30, tzinfo=UTC).isoformat()
    seen = status(state="following", lag_seconds=0.0, stops_at=until)
    for text in (plain_line(seen), shown(picture(seen))):
        assert f"ends once all changes until {moment(until)} are carried" in text
    assert "carried" not in plain_line(status(state="done", lag_seconds=0.0, stops_at=until))
    assert "carried" not in plain_line(status(state="following", lag_seconds=0.0))


def test_lines_that_say_the_same_are_seldom_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    said, clock = list[str](), [1000.0]
    monkeypatch.setattr(watching, "note", lambda text: said.append(text))
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    lines = watching._Lines()

    def after(seconds: float, **progress: Any) -> int:
        """How many lines there are by then. Figures are older from look to look."""
        clock[0] += seconds
        as_of = datetime.now(UTC) - timedelta(seconds=60 + clock[0] - 1000)
        lines.show(status(state="following", as_of=as_of.isoformat(), **{"lag_seconds": 0.0, **progress}))
        return len(said)

    assert after(0) == 1
    assert [after(6) for _ in range(40)] == [1] * 40
    assert after(6, lag_seconds=3.0) == 2, "something has changed"
    assert after(1, lag_seconds=4.0) == 2, "not more than a line in five seconds"
    assert after(6, lag_seconds=4.0) == 3
    assert after(301, lag_seconds=4.0) == 4, "it is still watched"
