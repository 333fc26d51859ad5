"""Planning an unstamp: what is warned about, what is refused, and how people read of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from commands.rendering.plan import summary
from commands.rendering.report import render_report
from reindexer.errors import BadInput, Refused
from reindexer.ledger import Ledger
from reindexer.models import JobInput, QuarantineEntry, Verification
from reindexer.plan_rows import plan_rows
from reindexer.tally import Tally
from tests.reports import a_report
from tests.tables import Table
from tests.test_planning import START, plan
from tests.test_rendering import shown

MakeTable = Callable[..., Table]
UNSTAMP: dict[str, Any] = {"operation": {"kind": "unstamp"}}
OWN = {"version": "population", "run": "source"}


@pytest.fixture
def table(make_table: MakeTable, dynamodb: Any) -> Table:
    table = make_table(stream="NEW_IMAGE")
    table.fill(30, reindexVersion={"N": "99999999999999999"}, reindexRun={"S": "other"})
    return table


def test_it_has_no_version_and_no_purpose_whatever_the_records_carry(table: Table, ledger: Ledger) -> None:
    made = plan(table, ledger, **UNSTAMP)
    assert (made.target.version, made.purpose, made.verb.kind, made.verb.stamps) == (0, None, "unstamp", False)
    job = JobInput.model_validate({"table": table.name, **UNSTAMP})
    assert dict(plan_rows(made, job, None))["target"] == "neither reindexVersion nor reindexRun in any record"
    assert summary(job) == f"unstamp {table.name}"


def test_it_warns_of_the_stream_and_of_what_later_jobs_see(table: Table, ledger: Ledger) -> None:
    warnings = " ".join(plan(table, ledger, **UNSTAMP).warnings)
    assert "fires once more for each record" in warnings
    assert "to later jobs the records are as never touched" in warnings
    table.put({"id": {"S": "odd"}, "reindexVersion": {"S": "x"}})
    warnings = " ".join(plan(table, ledger, **UNSTAMP).warnings)
    assert "1 hold something else than a number in reindexVersion; it is removed all the same" in warnings
    assert "never written" not in warnings


def test_a_version_is_refused(table: Table, ledger: Ledger) -> None:
    with pytest.raises(ValueError, match="unstamp removes every version, and takes none"):
        plan(table, ledger, operation={"kind": "unstamp", "version": 7})


def test_attributes_that_no_known_job_has_written_may_be_the_applications_own(
    table: Table, ledger: Ledger
) -> None:
    with pytest.raises(Refused, match="no job that the ledger knows of has written population") as refused:
        plan(table, ledger, **UNSTAMP, attributes=OWN)
    assert refused.value.kind == "NoRecovery"
    for allowed in ("allow_no_recovery", "dry_run"):
        asked: dict[str, Any] = {**UNSTAMP, "attributes": OWN, allowed: True}
        made = plan(table, ledger, **asked)
        assert any("whatever they hold" in warning for warning in made.warnings)
    ledger.versions.record(made.target.table_arn, "population", 7)
    made = plan(table, ledger, **UNSTAMP, attributes=OWN)
    assert not any("whatever they hold" in warning for warning in made.warnings)


def test_a_dry_run_is_planned_and_one_of_a_touch_is_refused(table: Table, ledger: Ledger) -> None:
    assert plan(table, ledger, **UNSTAMP, dry_run=True).target.writer == "none"
    with pytest.raises(BadInput, match="only a transform, an unstamp or an index can be tried out"):
        plan(table, ledger, dry_run=True)


def test_a_redrive_removes_what_its_run_could_not(table: Table, ledger: Ledger) -> None:
    made = plan(table, ledger, **UNSTAMP)
    ledger.reports.put(
        a_report(job="job-a", run="r1", operation={"kind": "unstamp", "version": None}, version=0)
    )
    ledger.failures.add(
        QuarantineEntry(
            job="job-a", run="r1", table_arn=made.target.table_arn, version=0, stamp="r1",
            key={"id": {"S": "a"}},
            error="E", message="m", attempts=1, applied="unknown", at=START,
        )
    )  # fmt: skip
    again = plan(table, ledger, run="r2", scope={"kind": "quarantined", "job": "job-a", "run": "r1"})
    assert (again.target.operation.kind, again.target.version, again.verb.stamps) == ("unstamp", 0, False)
    assert again.isolation == "record"


def test_its_report_has_words_of_its_own() -> None:
    report = a_report(
        operation={"kind": "unstamp", "version": None}, version=0, tally=Tally(scanned=5, updated=3, current=2),
        verification=Verification(scanned=5, behind=1),
    )  # fmt: skip
    text = shown(render_report(report))
    assert "carried either attribute, and carries neither now" in text
    assert "carried neither attribute when this run read it" in text
    assert "to version" not in text
    assert f"reindexer start {report.table} --operation unstamp" in text
