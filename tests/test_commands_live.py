"""The command line as processes of its own, against real servers: with workers, without, and the demo."""

from __future__ import annotations

import asyncio
import json
import os
import re
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from commands.running.launch import require_free
from reindexer.errors import BadInput
from reindexer.models import Report
from reindexer.tally import Outcome
from testbed.embedded import Engine
from testbed.stack import Stack
from tests.cli import command


def test_without_workers_a_job_is_started_shown_and_cancelled_with_exit_code_3(
    quiet: Stack, make_table: Callable[..., Any]
) -> None:
    table = make_table()
    environment = {**quiet.environment, "REINDEXER_TASK_QUEUE": f"nobody-{uuid.uuid4().hex[:8]}"}
    job = f"job-{uuid.uuid4().hex[:8]}"
    code, out, err = command(environment, "start", table.name, "--workflow-id", job, "--yes", "--json")
    assert code == 3, err
    assert json.loads(out)["workers"] is False
    assert "no worker polls the task queue" in err

    code, _, err = command(environment, "start", table.name, "--workflow-id", job, "--yes")
    assert code == 2
    assert f"a job {job} is already running" in err

    async def free(name: str) -> None:
        await require_free(await quiet.connect(), name)

    with pytest.raises(BadInput, match=f"a job {job} is already running"):
        asyncio.run(free(job))
    asyncio.run(free(f"no-{job}"))
    code, _, err = command(environment, "rescan", job)
    assert (code, "only a follow can be scanned again" in err) == (2, True), err

    code, out, _ = command(environment, "status", job, "--json")
    status = json.loads(out)
    assert (code, status["state"], status["workers"]) == (3, "planning", False)
    code, out, _ = command(environment, "status", job)
    assert code == 3
    assert "none answers" in out
    code, out, _ = command(environment, "list", "--json")
    assert code == 0
    assert job in {entry["job"] for entry in json.loads(out)}

    code, _, err = command(environment, "report", job)
    assert (code, f"no report of job {job}: it has not ended" in err) == (3, True), err
    code, _, err = command(environment, "report", f"no-{job}")
    assert code == 2, err
    assert f"no report of job no-{job}, and there is no job no-{job} in namespace default" in err

    assert command(environment, "pause", job)[0] == 3
    assert command(environment, "limits", job, "--write-units", "5")[0] == 3
    code, _, err = command(environment, "cancel", job)
    assert code == 3
    assert f"temporal workflow terminate -w {job}" in err


def test_partitions_come_from_a_file_and_keys_as_values(
    quiet: Stack, make_table: Callable[..., Any], tmp_path: Path
) -> None:
    table = make_table(rows=30)
    environment = {**quiet.environment, "AWS_ENDPOINT_URL_DYNAMODB": quiet.engine.endpoint_url}
    job, file = f"job-{uuid.uuid4().hex[:8]}", tmp_path / "names"
    file.write_text("".join(f"row-{number:06}\n" for number in range(20, 40)))
    arguments = ("start", table.name, "--workflow-id", job, "--yes", "--wait", "--json")
    code, out, err = command(
        environment, *arguments, "--partitions-from", str(file), "--partition", "row-000003"
    )
    assert (code, json.loads(out)["tally"]["updated"]) == (0, 11), err
    code, out, err = command(environment, *arguments, "--keys", str(file))
    tally = json.loads(out)["tally"]
    assert (code, tally["updated"], tally["vanished"]) == (0, 10, 10), err
    code, _, err = command(environment, *arguments, "--partition", "a", "--sort-key", "lt=3")
    assert code == 2
    assert err.startswith("scope.sort_key: the table has no sort key, only the partition key id; leave it out")


def test_a_job_is_run_steered_and_reported(quiet: Stack, make_table: Callable[..., Any]) -> None:
    table = make_table(rows=600)
    environment = {**quiet.environment, "AWS_ENDPOINT_URL_DYNAMODB": quiet.engine.endpoint_url}
    job = f"job-{uuid.uuid4().hex[:8]}"
    begin = ("start", table.name, "--workflow-id", job, "--write-units", "100", "--reason", "a test")
    code, out, err = command(environment, *begin)
    assert (code, out) == (2, "")
    assert f"{job}  touch {table.name}" in err
    assert "start time in ms" in err, "the plan is shown"
    assert "not started: there is no terminal to ask on; use --yes to skip the question" in err
    assert command(environment, "status", job)[0] == 2, "it was not started"
    started = command(environment, *begin, "--yes")
    assert started[0] == 0, started[2]
    code, out, err = command(environment, "pause", job, "--reason", "deploy")
    assert (code, out) == (0, f"{job} is paused: deploy\n"), err
    code, out, _ = command(environment, "status", job, "--json")
    assert (code, json.loads(out)["state"]) == (3, "paused")
    code, _, err = command(environment, "limits", job, "--write-units", "0")
    assert code == 2
    assert "write_units_per_second: 0" in err
    code, out, _ = command(environment, "limits", job, "--write-units", "unlimited", "--json")
    assert json.loads(out)["write_units_per_second"] == "unlimited"
    assert command(environment, "resume", job)[0] == 0
    code, out, _ = command(environment, "watch", job, "--json")
    report = Report.model_validate(json.loads(out))
    assert (code, report.state, report.tally[Outcome.UPDATED]) == (0, "complete", 600)
    assert [event.what for event in report.controls] == ["pause", "set_limits", "resume"]
    code, out, _ = command(environment, "report", job, "--json")
    assert (code, json.loads(out)) == (0, report.model_dump(mode="json"))
    code, _, err = command(environment, "report", job, "--run", "none")
    assert (code, f"no report of run none of job {job}; the newest run is {report.run}" in err) == (2, True)
    assert command(environment, "pause", job)[0] == 2
    code, out, _ = command(environment, "doctor", table.name, "--json")
    assert code == 0, out
    assert json.loads(out)["good"]


def test_the_demo_confirms_what_it_says_and_leaves_nothing(tmp_path: Path, each_engine: Engine) -> None:
    environment = {
        **os.environ,
        "TMPDIR": str(tmp_path),
        "AWS_REGION": "eu-west-1",
        "TEMPORAL_ADDRESS": "127.0.0.1:9",
    }
    code, out, err = command(environment, "demo", "--records", "500", "--engine", each_engine.name)
    assert code == 0, out + err
    assert "complete  500 records" in out
    assert "10% of the workers' calls fail" in out
    assert re.search(r"faults +\d+ of [\d,]+ calls failed, \d+ of them after", out)
    assert "by the proxy's count 500 records changed, none twice" in out
    assert ("500 events seen downstream" in out) == each_engine.streams_at_speed
    assert ("written by  partiql" in out) == each_engine.streams_partiql
    assert list(tmp_path.iterdir()) == []


@pytest.mark.nightly
def test_the_demo_without_faults(tmp_path: Path, engine: Engine) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    code, out, err = command(environment, "demo", "--records", "100", "--engine", engine.name, "--faults", "0")
    assert code == 0, out + err
    assert "every call succeeded at the first attempt" in out
    assert not re.search("^faults", out, re.M)
    assert "100 records changed, 100 events seen downstream" in out
