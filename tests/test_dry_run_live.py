"""`reindexer start … --dry-run` as a process of its own, on real servers: as people and as programs see it."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from commands.temporal.server import pollers, within
from reindexer.models import Report
from reindexer.tally import Outcome
from testbed.job import outcome, until
from testbed.stack import Stack
from tests.cli import command
from tests.stack import CHECKOUT
from tests.tables import Table

MakeTable = Callable[..., Table]

RED, GREEN = "\x1b[31m", "\x1b[32m"
CHANGED, CLEAN = 4, 3


@pytest.fixture
async def environment(quiet: Stack) -> dict[str, str]:
    """Of a person at this stack, who looks at the table past the fault proxy, once its workers are up."""
    client = await quiet.connect()
    assert await within(60, lambda: pollers(client, quiet.queue, "workflow"), bool)
    return {**quiet.environment, "AWS_ENDPOINT_URL_DYNAMODB": quiet.engine.endpoint_url}


@pytest.fixture
def table(make_table: MakeTable) -> Table:
    made = make_table()
    made.put(*({"id": {"S": f"wide-{n}"}, "name": {"S": " a  b "}, "n": {"N": str(n)}} for n in range(CHANGED)))
    made.put(*({"id": {"S": f"good-{n}"}, "name": {"S": "a b"}} for n in range(CLEAN)))
    return made


def rows(table: Table) -> list[Any]:
    return sorted(table.items(), key=lambda row: str(row["id"]))


def dry_run(table: Table, *more: str, job: str = "normalise_whitespace") -> tuple[str, ...]:
    name = f"job-{uuid.uuid4().hex[:8]}"
    return ("start", table.name, "--job", job, "--workflow-id", name, "--dry-run", *more)


def on_a_terminal(environment: dict[str, str], *arguments: str) -> tuple[int, str]:
    """A command whose three channels are one terminal: (exit code, all that it showed)."""
    ours, its = pty.openpty()
    starter = [sys.executable, "starter.py", *arguments]
    kept = {name: value for name, value in environment.items() if name not in ("NO_COLOR", "FORCE_COLOR")}
    coloured = {**kept, "TERM": "xterm", "COLUMNS": "100"}
    with subprocess.Popen(starter, cwd=CHECKOUT, env=coloured, stdin=its, stdout=its, stderr=its) as process:
        os.close(its)
        shown = b""
        while True:
            try:
                part = os.read(ours, 65_536)
            except OSError:  # Linux's word for: no one holds the other end any more
                break
            if not part:
                break
            shown += part
        os.close(ours)
    return process.returncode, shown.decode().replace("\r\n", "\n")


def test_a_dry_run_shows_outcomes_and_differences_and_writes_nothing(
    quiet: Stack, environment: dict[str, str], table: Table
) -> None:
    before = rows(table)
    code, out, err = command(environment, *dry_run(table))
    assert code == 0, err
    assert f"dry run  {CHANGED + CLEAN} records looked at, nothing written" in out
    assert re.search(rf"^updated +{CHANGED} +would be changed *$", out, re.MULTILINE), out
    assert re.search(rf"^filtered +{CLEAN} +left alone *$", out, re.MULTILINE), out
    assert out.count('- name: " a  b "\n+ name: "a b"\n') == CHANGED
    assert "\x1b" not in out + err, "no colours where no terminal is"
    assert rows(table) == before
    assert quiet.proxy.truth(wait=2).applied(table.name) == 0


def test_on_a_terminal_what_goes_is_red_and_what_comes_is_green(
    environment: dict[str, str], table: Table
) -> None:
    before = rows(table)
    code, shown = on_a_terminal(environment, *dry_run(table, "--yes"))
    assert code == 0, shown
    assert shown.count(f'{RED}- name: " a  b "') == CHANGED
    assert shown.count(f'{GREEN}+ name: "a b"') == CHANGED
    assert rows(table) == before


@pytest.mark.parametrize(
    "more",
    [
        pytest.param(("--dry-run",), id="dry run", marks=pytest.mark.nightly),
        pytest.param(("--wait", "--allow-no-recovery"), id="run"),
    ],
)
def test_a_query_that_finds_nothing_is_exit_code_1_where_it_is_to_find_something(
    environment: dict[str, str], make_table: MakeTable, more: tuple[str, ...]
) -> None:
    table = make_table()
    table.fill(3, created_at={"N": "99999999999"})  # none is as old as the query wants it
    asked = ("start", table.name, "--job", "expire", "--param", "older_than_days=30", "--yes", *more)
    for expecting, exit_code in (((), 0), (("--expect-found",), 1)):
        name = ("--workflow-id", f"job-{uuid.uuid4().hex[:8]}")
        code, out, err = command(environment, *asked, *name, *expecting)
        assert code == exit_code, err
        assert "the query found no record" in out
        assert "the query finds none of the table's 3 records" in out


def test_records_that_would_be_quarantined_are_exit_code_1(
    environment: dict[str, str], make_table: MakeTable
) -> None:
    table = make_table()
    table.fill(3, name={"S": " a  b "}, reindexVersion={"S": "no number"})
    code, out, err = command(environment, *dry_run(table))
    assert (code, "VersionType: 3" in out) == (1, True), out + err


def test_json_is_one_document_with_the_pairs(environment: dict[str, str], table: Table) -> None:
    code, out, err = command(environment, *dry_run(table, "--json", "--sample", "5"))
    assert code == 0, err
    report = Report.model_validate(json.loads(out))
    assert report.dry_run is not None
    assert report.dry_run.tally.scanned == 5
    assert report.tally.scanned == 0, "nothing was run"
    assert len(report.dry_run.pairs) == report.dry_run.tally[Outcome.UPDATED]
    assert {(c.name, c.before, c.after) for pair in report.dry_run.pairs for c in pair.changes} == {
        ("name", '" a  b "', '"a b"')
    }


def test_a_job_that_may_delete_is_tried_anywhere_and_run_only_where_it_may(
    environment: dict[str, str], make_table: MakeTable
) -> None:
    """None of the engines here has point-in-time recovery."""
    table = make_table()
    table.fill(3, created_at={"N": "1000"})
    before = rows(table)
    thirty = ("--param", "older_than_days=30")
    code, out, err = command(environment, *dry_run(table, *thirty, job="expire"))
    assert code == 0, err
    assert re.search(r"^deleted +3 +would be deleted *$", out, re.MULTILINE), out
    assert '{"id":{"S":"row-000000"}}  deleted\n- created_at: 1000\n' in out

    name = f"job-{uuid.uuid4().hex[:8]}"
    named = ("--workflow-id", name, "--yes", "--wait", "--json")
    begin = ("start", table.name, "--job", "expire", *thirty, *named)
    code, out, err = command(environment, *begin)
    assert (code, out) == (2, ""), err
    assert "job 'expire' may delete records or attributes" in err
    assert "set allow_no_recovery" in err
    assert rows(table) == before
    code, _, err = command(environment, "status", name)
    assert (code, f"there is no job {name}" in err) == (2, True), "it was not even started"

    code, out, err = command(environment, *begin, "--allow-no-recovery")
    assert (code, json.loads(out)["tally"]["deleted"]) == (0, 3), err
    assert rows(table) == []


async def test_one_that_is_paused_before_it_begins_waits_for_a_resume(quiet: Stack, table: Table) -> None:
    asked = {"table": table.name, "operation": {"kind": "unstamp"}, "dry_run": True}
    handle = await quiet.start(asked, start_signal="pause")
    await until(handle, lambda p: p["state"] == "paused")
    await handle.signal("resume")
    kind, report = await outcome(handle)
    assert (kind, report["dry_run"]["tally"]["scanned"]) == ("complete", CHANGED + CLEAN)
