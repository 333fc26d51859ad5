"""A version stands for one thing on a table: whoever means another by it does not pass for complete."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from reindexer.errors import Refused
from reindexer.ledger import Ledger
from reindexer.models import Plan, Used
from testbed.faults import FaultPlan
from testbed.job import outcome
from testbed.stack import Stack
from tests.tables import Table
from tests.test_control import has_begun
from tests.test_crashes import slow
from tests.test_planning import plan
from tests.written_jobs import offer, write_job

MakeTable = Callable[..., Table]

TOUCH: dict[str, Any] = {"kind": "touch", "version": 7}
TIDY: dict[str, Any] = {"kind": "transform", "job": "normalise_whitespace", "version": 7}


async def ends(
    stack: Stack, table: Table, operation: dict[str, Any], **more: Any
) -> tuple[str, dict[str, Any]]:
    return await outcome(await stack.start({"table": table.name, "operation": operation, **more}))


@pytest.fixture
def untidy(make_table: MakeTable) -> Table:
    made = make_table()
    made.fill(60, name={"S": "a  b"})
    return made


# ── Whole jobs ─────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_transform_does_not_take_the_version_of_a_touch(quiet: Stack, untidy: Table) -> None:
    first = await quiet.start(
        {"table": untidy.name, "operation": TOUCH, "scope": {"kind": "sample", "limit": 20}}
    )
    assert (await outcome(first))[0] == "complete"
    kind, details = await ends(quiet, untidy, TIDY)
    assert kind == "VersionUsed"
    assert f"operation.version 7 was used for something else by job {first.id} (run " in details["message"]
    assert (
        'UTC, touch), and records that carry it would be left as they are; take another version or "next"'
        in (details["message"])
    )
    kind, report = await ends(quiet, untidy, TIDY, allow_used=True)
    assert kind == "Incomplete"
    assert (report["tally"]["current"], report["tally"]["updated"]) == (20, 40)
    assert report["used"]["job"] == first.id
    assert any("with any the job is not complete" in warning for warning in report["warnings"])
    kind, report = await ends(quiet, untidy, {**TIDY, "version": "next"})
    assert (kind, report["tally"]["updated"] + report["tally"]["filtered"]) == ("complete", 60)
    assert {row["name"]["S"] for row in untidy.items()} == {"a b"}


async def test_a_touch_does_not_take_the_version_of_a_transform(quiet: Stack, untidy: Table) -> None:
    assert (await ends(quiet, untidy, TIDY))[0] == "complete"
    kind, details = await ends(quiet, untidy, TOUCH)
    assert (kind, "transform normalise_whitespace, code " in details["message"]) == ("VersionUsed", True)


async def test_the_same_job_again_is_complete_with_nothing_changed(quiet: Stack, untidy: Table) -> None:
    assert (await ends(quiet, untidy, TIDY))[0] == "complete"
    spelt_out = {**TIDY, "params": {"attributes": [], "keys": ["id"]}}
    kind, report = await ends(quiet, untidy, spelt_out)
    assert (kind, report["tally"]["current"], report["tally"]["updated"]) == ("complete", 60, 0)
    assert "used" not in report
    kind, _ = await ends(quiet, untidy, {**TIDY, "params": {"attributes": ["name"]}})
    assert kind == "VersionUsed"
    assert (await ends(quiet, untidy, {"kind": "verify", "version": 7}))[0] == "complete", "it only reads"


@pytest.mark.nightly
async def test_a_cancelled_job_is_started_again_at_its_version(quiet: Stack, make_table: MakeTable) -> None:
    table = make_table()
    table.fill(2000, name={"S": "a  b"})
    quiet.proxy.set_plan(slow())
    handle = await quiet.start({"table": table.name, "operation": TIDY})
    await has_begun(handle, table)
    await handle.cancel()
    await outcome(handle)
    quiet.proxy.set_plan(FaultPlan())
    kind, report = await ends(quiet, table, TIDY)
    assert kind == "complete"
    assert report["tally"]["current"] > 0
    assert report["tally"]["current"] + report["tally"]["updated"] == 2000


# ── Plans ──────────────────────────────────────────────────────────────────────────────────────────────────

JOB = """
class Given(Params):
    mark: str = "x"
    now: float = Field(default_factory=time.time)

def transform(item, params):
    return Update(set={"mark": params.mark})
"""
HEAD = "import time\nfrom pydantic import Field\n"


def planned(table: Table, ledger: Ledger, params: dict[str, Any], **more: Any) -> Plan:
    operation = {"kind": "transform", "job": "job", "version": 9, "params": params}
    return plan(table, ledger, operation=operation, **more)


def use(ledger: Ledger, table: Table, made: Plan) -> None:
    assert made.purpose is not None
    used = Used(purpose=made.purpose, job="job-a", run=made.run, at=datetime.now(UTC))
    ledger.versions.note_use(table.arn, "reindexVersion", made.target.version, used)
    ledger.versions.note_use(
        table.arn, "reindexVersion", made.target.version, used.model_copy(update={"job": "job-b"})
    )
    assert ledger.versions.other_use(table.arn, "reindexVersion", made.target.version, made.purpose) is None


def test_code_and_parameters_tell_what_a_version_means(
    untidy: Table,
    ledger: Ledger,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    offer(monkeypatch, write_job(tmp_path, HEAD + JOB))
    use(ledger, untidy, planned(untidy, ledger, {}))
    planned(untidy, ledger, {})  # the time of day is another, and was not given
    planned(untidy, ledger, {"mark": "x"})
    planned(untidy, ledger, {"mark": "y"}, attributes={"version": "other"})
    for params in ({"mark": "y"}, {"now": 5.0}):
        with pytest.raises(Refused, match="version 9 was used for something else by job job-a") as refused:
            planned(untidy, ledger, params)
        assert refused.value.kind == "VersionUsed"
    assert (
        planned(untidy, ledger, {"mark": "y"}, allow_used=True).purpose != planned(untidy, ledger, {}).purpose
    )
    offer(monkeypatch, write_job(tmp_path, HEAD + JOB.replace("params.mark", "params.mark * 2")))
    with pytest.raises(Refused, match="transform job, code "):
        planned(untidy, ledger, {})
    with pytest.raises(Refused, match="version 9"):
        plan(untidy, ledger, operation={"kind": "touch", "version": 9})
