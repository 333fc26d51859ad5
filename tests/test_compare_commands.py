"""The command line of a comparison, as users run it: exit codes, pages, files, single keys."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from reindexer.dynamo.client import make_client
from reindexer.items import key_text
from testbed.embedded import dynamodb_engine
from testbed.stack import Stack
from tests.cli import command
from tests.planted import Planted, alike, content
from tests.tables import Table, create_table, made_up_key

Make = Callable[..., Table]


def job_name() -> str:
    return f"compare-{uuid.uuid4().hex[:8]}"


def test_a_comparison_is_started_followed_and_its_differences_are_paged(
    quiet: Stack, make_table: Make, tmp_path: Path
) -> None:
    planted, job, environment = Planted(make_table, rows=300), job_name(), dict(quiet.environment)
    table, other = planted.table.name, planted.other.name
    code, out, err = command(
        environment, "compare", table, other, "--workflow-id", job, "--wait", "--yes", "--json"
    )
    assert code == 1, err
    assert json.loads(out)["state"] == "complete"
    assert command(environment, "report", job)[0] == 1

    seen: dict[str, str] = {}
    token: list[str] = []
    while True:
        code, out, err = command(environment, "differences", job, "--limit", "8", "--json", *token)
        assert code == 0, err
        page = json.loads(out)
        assert 0 < len(page["differences"]) <= 8
        seen |= {key_text(entry["key"]): entry["kind"] for entry in page["differences"]}
        if page["after"] is None:
            break
        token = ["--after", page["after"]]
    assert seen == planted.kinds == planted.judged()
    code, out, _ = command(environment, "differences", job, "--limit", "8", "--kind", "missing")
    assert (code, "next page" in out) == (0, False), out
    code, out, _ = command(environment, "differences", job, "--limit", "5", "--kind", "missing")
    hint = " ".join(out.split())  # which a narrow terminal wraps
    assert f"reindexer differences {job} --run" in hint
    assert "--kind missing --limit 5 --after" in hint
    assert page["counts"] == {"different": 6, "missing": 6, "extraneous": 6, "moving": 0}

    code, out, _ = command(environment, "differences", job, "--kind", "missing", "--json")
    found = [entry["kind"] for entry in json.loads(out)["differences"]]
    assert (code, found) == (0, ["missing"] * 6)
    file = tmp_path / "found.jsonl"
    code, _, err = command(environment, "differences", job, "--output", str(file))
    assert (code, "18 differences written" in err) == (0, True), err
    assert {key_text(json.loads(line)["key"]) for line in file.read_text().splitlines()} == set(planted.kinds)
    code, out, _ = command(environment, "differences", job)
    assert (code, 'more."a.b"[0]' in out) == (0, True), out


def test_equal_tables_end_with_0_and_the_other_one_may_be_at_another_endpoint(
    quiet: Stack, make_table: Make, tmp_path: Path, monkeypatch: Any
) -> None:
    table = make_table()
    table.put(*({**made_up_key(table.key, number), **content(number)} for number in range(40)))
    with dynamodb_engine(quiet.engine.name, logs=tmp_path) as elsewhere:
        monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", elsewhere.endpoint_url)
        other = create_table(make_client(), name=table.name)
        other.put(*({**made_up_key(table.key, number), **alike(number)} for number in range(40)))
        job = job_name()
        where = ("--with-endpoint", elsewhere.endpoint_url)
        code, out, err = command(
            dict(quiet.environment),
            *("compare", table.name, table.name, *where, "--workflow-id", job, "--wait", "--yes", "--json"),
        )
        assert code == 0, err
        counts = json.loads(out)["comparison"]["counts"]
        assert (counts["equal"], counts["scanned"], counts["other_scanned"]) == (40, 40, 40)
    assert command(dict(quiet.environment), "report", job)[0] == 0


def test_a_later_run_that_was_cancelled_while_planning_is_named(
    quiet: Stack, make_table: Make, tmp_path: Path
) -> None:
    table, other, job, environment = make_table(), make_table(), job_name(), dict(quiet.environment)
    named = ("compare", table.name, other.name, "--workflow-id", job, "--yes")
    assert command(environment, *named, "--wait")[0] == 0
    code, _, err = command(environment, "report", job)
    assert (code, "a later run" in err) == (0, False), err
    run = quiet.ledger().runs.last(job)
    nowhere = ("--with-endpoint", "http://127.0.0.1:1")  # nothing listens there
    assert command(environment, *named, *nowhere)[0] == 0
    assert command(environment, "cancel", job)[0] in (0, 1, 3)
    assert command(environment, "watch", job)[0] == 3
    for verb, expected in (("report", 3), ("differences", 0)):
        code, _, err = command(environment, verb, job)
        assert (code, f"a later run of {job}, started" in err, "was cancelled" in err) == (expected, True, True)
        assert f"this is run {run}" in err
    assert command(environment, "report", job, "--run", str(run))[0] == 0
    missing = tmp_path / "no-folder" / "found.jsonl"
    code, _, err = command(environment, "differences", job, "--output", str(missing))
    assert (code, f"--output: {missing} cannot be written" in err) == (2, True), err


def test_a_comparison_that_was_cancelled_has_no_verdict(quiet: Stack, make_table: Make) -> None:
    planted, job, environment = Planted(make_table, rows=300), job_name(), dict(quiet.environment)
    slow = ("--read-units", "5", "--other-read-units", "5")
    named = ("compare", planted.table.name, planted.other.name, "--workflow-id", job)
    assert command(environment, *named, *slow, "--yes")[0] == 0
    while "planning" in (out := command(environment, "status", job)[1]):
        pass  # each command takes half a second
    assert "comparing" in out
    assert command(environment, "cancel", job)[0] in (0, 1, 3)
    assert command(environment, "watch", job)[0] == 3
    code, out, _ = command(environment, "report", job)
    assert (code, out.startswith("cancelled")) == (3, True), out


def test_single_keys_are_shown_side_by_side_without_a_job(quiet: Stack, make_table: Make) -> None:
    planted, environment = Planted(make_table, rows=60), dict(quiet.environment)
    tables = (planted.table.name, planted.other.name)

    def shown(*numbers: int, more: tuple[str, ...] = ()) -> tuple[int, str, str]:
        keys = [json.dumps({"id": f"row-{number:06}"}) for number in numbers]
        return command(environment, "compare", *tables, *(a for k in keys for a in ("--key", k)), *more)

    code, out, err = shown(1)
    assert (code, out.startswith("equal")) == (0, True), err
    code, out, _ = shown(1, 3, 5, 7, more=("--json",))
    found = json.loads(out)["keys"]
    assert (code, [entry["kind"] for entry in found]) == (1, ["equal", "different", "missing", "extraneous"])
    assert found[1]["attributes"][0]["path"] == 'more."a.b"[0]'
    code, out, _ = shown(3)
    assert (code, 'more."a.b"[0]' in out) == (1, True), out
    code, _, err = command(environment, "compare", *tables, "--key", '{"wrong": "a"}')
    assert (code, "wrong" in err) == (2, True), err


def test_bad_input_is_refused_before_anything_starts(quiet: Stack, make_table: Make) -> None:
    table, environment = make_table(), dict(quiet.environment)
    for arguments, sentence in (
        ((table.name,), "OTHER: is missing"),
        ((table.name, table.name, "--yes"), "operation.with.table: "),
        ((table.name, "no-such-table", "--yes"), "there is no table no-such-table"),
        ((table.name, "other", "--with-endpoint", "ftp://x", "--yes"), "operation.with.endpoint"),
        ((table.name, "other", "--external-id", "abc", "--yes"), "external_id needs role_arn"),
        ((table.name, "other", "--role-arn", "someone", "--yes"), "operation.with.role_arn"),
    ):
        code, _, err = command(environment, "compare", *arguments)
        assert (code, sentence in err) == (2, True), err
        assert "Traceback" not in err
    code, _, err = command(environment, "differences", "no-such-job")
    assert code == 2, err
