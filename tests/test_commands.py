"""The command line without a Temporal server: exit codes, sentences, the ledger's verbs, JSON that is JSON."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import starter
from commands.input.scope import scope_given
from reindexer.ledger import Ledger
from reindexer.models import QuarantineEntry, Report
from reindexer.settings import settings
from reindexer.tally import Tally
from testbed import cities
from tests.reports import a_report

NOBODY = "127.0.0.1:9"  # the discard port


@pytest.fixture(autouse=True)
def _fresh_settings(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each test reads its own settings; no Temporal server is there unless a test brings one."""
    monkeypatch.setenv("TEMPORAL_ADDRESS", NOBODY)
    settings.cache_clear()
    yield
    settings.cache_clear()


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Runs a command: (exit code, stdout, stderr)."""

    def call(*arguments: str) -> tuple[int, str, str]:
        code = starter.run(list(arguments))
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return call


# ── Wrong inputs ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["start"], "TABLE: is missing"),
        (
            ["start", "cities", "--version", "seven"],
            "--version: should be a whole number, or next (given: seven)",
        ),
        (["start", "cities", "--version", "0"], "operation.version: 0"),
        (["resume", "a-job", "--code", "abc"], "--code: should be 12 to 64 digits"),
        (["start", "cities", "--operation", "verify"], "operation.version: is missing"),
        (["start", "cities", "--write-units", "much"], "--write-units: should be a number per second"),
        (["start", "cities", "--write-units", "-5"], "limits.write_units_per_second: -5"),
        (["start", "cities", "--shards-in-flight", "401"], "limits.shards_in_flight: 401"),
        (["start", "cities", "--segments", "0"], "total_segments: 0"),
        (["start", "cities", "--sample", "0"], "scope.limit: 0"),
        (["start", "cities", "--scope", "keys"], "--scope keys: needs --keys FILE"),
        (["start", "cities", "--scope", "complete", "--sample", "3"], "--scope: one scope at a time"),
        (["start", "cities", "--scope", "partitions"], "--scope partitions: needs --partition VALUE"),
        (["start", "cities", "--partition", "a", "--sample", "3"], "--scope: one scope at a time"),
        (["start", "cities", "--index", "by-tenant"], "--index: needs --partition VALUE"),
        (["start", "cities", "--sort-key", "lt=3", "--keys", "x"], "--sort-key: needs --partition VALUE"),
        (["start", "cities", "--partition", "a", "--sort-key", "like=x"], "--sort-key: should be OP=VALUE"),
        (["start", "cities", "--partition", "a", "--sort-key", "between=3"], "scope.sort_key.between: 3"),
        (["start", "cities", "--partition", "a", "--sort-key", "between=x,y"], "--sort-key: is not JSON"),
        (
            ["start", "cities", "--partition", "a", "--sort-key", "{}"],
            "--sort-key: must be exactly one",
        ),
        (
            ["start", "cities", "--partition", "a", "--sort-key", '{"lt": 1, "gt": 0}'],
            "scope.sort_key: must be",
        ),
        (["start", "cities", "--partitions-from", "/nowhere"], "--partitions-from: cannot be read: /nowhere"),
        (["start", "cities", "--keys", "/nowhere"], "--keys: cannot be read: /nowhere: No such file"),
        (["start", "--input", "/nowhere"], "--input: cannot be read"),
        (["start", "cities", "--version-attribute", "v", "--run-attribute", "v"], "two different attributes"),
        (["start", "cities", "--workflow-id", "\u20ac" * 400], "workflow id: has 1,200 bytes"),
        (["start", "c" * 1000], "workflow id: has 1,008 bytes"),
        (["failures", "j", "--limit", "0"], "--limit"),
        (["demo", "--faults", "2"], "--faults"),
        (["dev", "--engine", "oracle"], "oracle"),
        (["stat"], "Did you mean"),
    ],
)
def test_a_wrong_input_is_one_sentence_and_exit_code_2(
    run: Callable[..., tuple[int, str, str]], arguments: list[str], sentence: str
) -> None:
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert sentence in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ('{"id": "a"}\n{"id": \n', "line 2: not JSON"),
        ('[{"id": "a"},\n{"id"]', "line 2: not JSON"),
        ("\n", "holds no keys"),
        ('[{"id": 1.5}]', "scope.keys[0]"),
    ],
)
def test_a_wrong_key_file_names_the_line(
    run: Callable[..., tuple[int, str, str]], tmp_path: Path, content: str, sentence: str
) -> None:
    keys = tmp_path / "keys.jsonl"
    keys.write_text(content)
    code, _, err = run("start", "cities", "--keys", str(keys))
    assert code == 2
    assert sentence in err


@pytest.mark.parametrize(
    ("content", "scope"),
    [
        ('{"id": "a"}\n\n{"id": 7}\n', {"kind": "keys", "keys": [{"id": "a"}, {"id": 7}]}),
        ('[{"id": "a"}]', {"kind": "keys", "keys": [{"id": "a"}]}),
        ("a b\n7\n\n", {"kind": "keys", "values": ["a b", "7"]}),
        ('["a", 7]', {"kind": "keys", "values": ["a", 7]}),
    ],
)
def test_a_key_file_holds_objects_or_values(tmp_path: Path, content: str, scope: dict[str, Any]) -> None:
    file = tmp_path / "keys"
    file.write_text(content)
    assert scope_given(None, None, file) == scope


@pytest.mark.parametrize("content", ["acme\n7\n\nglobex inc\n", '["acme", "7", "globex inc"]'])
def test_partitions_come_by_name_and_by_file(tmp_path: Path, content: str) -> None:
    file = tmp_path / "tenants"
    file.write_text(content)
    scope = scope_given(None, None, None, ["first"], file, "begins_with=2024-", "by-tenant")
    assert scope == {
        "kind": "partitions",
        "values": ["first", "acme", "7", "globex inc"],
        "sort_key": {"begins_with": "2024-"},
        "index": "by-tenant",
    }
    between = scope_given("partitions", None, None, ["a"], None, 'between=["3", 9]')
    assert between == {"kind": "partitions", "values": ["a"], "sort_key": {"between": ["3", 9]}}


def test_an_empty_file_of_partitions_is_named(run: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    file = tmp_path / "tenants"
    file.write_text("\n \n")
    code, _, err = run("start", "cities", "--partitions-from", str(file))
    assert code == 2
    assert "holds no values; one a line" in err


def test_an_unknown_field_of_the_input_file_is_named(
    run: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    file = tmp_path / "job.json"
    file.write_text('{"table": "cities", "limit": {}}')
    code, _, err = run("start", "--input", str(file))
    assert code == 2
    assert "limit: is not a known field (did you mean limits?)" in err


@pytest.mark.parametrize("arguments", [["report", "j"], ["list"], ["status", "j"], ["jobs"]])
def test_a_bad_setting_is_named_as_its_variable(
    run: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.setenv("REINDEXER_HEARTBEAT_TIMEOUT", "soon")
    code, _, err = run(*arguments)
    assert code == 2
    assert "REINDEXER_HEARTBEAT_TIMEOUT" in err


@pytest.mark.parametrize(
    "arguments", [["list"], ["status", "j"], ["watch", "j"], ["pause", "j"], ["limits", "j"], ["cancel", "j"]]
)
def test_without_a_temporal_server_the_exit_code_is_3(
    run: Callable[..., tuple[int, str, str]], arguments: list[str]
) -> None:
    code, out, err = run(*arguments)
    assert (code, out) == (3, "")
    assert NOBODY in err
    assert "TEMPORAL_ADDRESS" in err


def test_without_a_dynamodb_the_exit_code_is_3(run: Callable[..., tuple[int, str, str]]) -> None:
    code, out, err = run("report", "j", "--json")
    assert (code, out) == (3, "")
    assert "reindexer-ledger" in err


def test_every_verb_tells_what_it_does(run: Callable[..., tuple[int, str, str]]) -> None:
    for verb in starter.VERBS:
        code, out, _ = run(verb, "--help")
        assert code == 0
        assert f"reindexer {verb}" in out
    _, overview, _ = run("--help")
    assert all(f"\n  {verb} " in overview for verb in starter.VERBS)


def test_every_reading_verb_has_json_and_every_control_a_reason(
    run: Callable[..., tuple[int, str, str]],
) -> None:
    for verb in ("list", "status", "watch", "report", "failures", "limits", "doctor", "start", "redrive"):
        assert "--json" in run(verb, "--help")[1]
    for verb in ("start", "pause", "resume", "limits", "cancel", "redrive", "failures"):
        assert "--reason" in run(verb, "--help")[1]


def test_cities_are_items_with_all_attributes_and_distinct_keys() -> None:
    more = list(cities.cities(36_000))  # 2,000 of them for a second time
    assert len({item["id"]["S"] for item in more}) == 36_000
    assert any(item["id"]["S"].endswith("-2") for item in more)
    assert {"id", "name", "latitude", "alternatenames"} <= more[0].keys()
    assert set(more[0]["latitude"]) == {"N"}


# ── With a ledger ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def ledger(dynamodb: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ledger]:
    """A ledger of this test's own on a real engine, which the commands find by their settings."""
    name = f"ledger-{uuid.uuid4().hex[:8]}"
    monkeypatch.setenv("REINDEXER_LEDGER_TABLE", name)
    settings.cache_clear()
    made = Ledger(name)
    made.store.create()
    yield made
    dynamodb.delete_table(TableName=name)


def give_up(ledger: Ledger, *ids: str, error: str = "ValidationException") -> None:
    for name in ids:
        ledger.failures.add(
            QuarantineEntry(
                job="j",
                run="r1",
                table_arn="arn:aws:dynamodb:us-east-1:123456789012:table/cities",
                version=7,
                stamp="r1",
                key={"id": {"S": name}},
                error=error,
                message="too [large]",
                attempts=5,
                applied="no",
                at=datetime.now(UTC),
            )
        )


def test_a_report_comes_from_the_ledger_as_pure_json(
    run: Callable[..., tuple[int, str, str]], ledger: Ledger
) -> None:
    assert run("report", "reindex-cities", "--json")[0] == 3
    ledger.reports.put(a_report())
    code, out, err = run("report", "reindex-cities", "--json")
    assert (code, err) == (0, "")
    assert Report.model_validate(json.loads(out)) == ledger.reports.find("reindex-cities")
    ledger.reports.put(a_report(run="d4", state="incomplete", tally=Tally(scanned=2, quarantined=2)))
    assert run("report", "reindex-cities")[0] == 1
    assert run("report", "reindex-cities", "--run", "a1b2c3")[0] == 0
    assert run("report", "reindex-cities", "--run", "none")[0] == 2  # an unknown run
    tenants = {f"tenant-{number}": Tally(scanned=number) for number in range(100)}
    ledger.reports.put(a_report(run="e5", partitions=tenants))
    assert Report.model_validate(json.loads(run("report", "reindex-cities", "--json")[1])).partitions == tenants
    assert "… and 80 more" in run("report", "reindex-cities")[1]


def test_without_the_ledger_the_command_that_makes_it_is_named(
    run: Callable[..., tuple[int, str, str]],
    dynamodb: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("REINDEXER_LEDGER_TABLE", "not-made")
    settings.cache_clear()
    code, _, err = run("failures", "j")
    assert code == 2
    assert "reindexer setup" in err


def test_failures_are_shown_by_class_and_closed_with_a_reason(
    run: Callable[..., tuple[int, str, str]], ledger: Ledger
) -> None:
    give_up(ledger, "a", "b")
    give_up(ledger, "c", error="VersionType")
    code, out, _ = run("failures", "j", "--run", "r1")
    assert code == 0
    assert "ValidationException        2" in out
    assert "too [large]" in out
    page = json.loads(run("failures", "j", "--run", "r1", "--limit", "1", "--json")[1])
    assert page["counts"] == {"ValidationException": 2, "VersionType": 1}
    assert len(page["entries"]) == 1
    assert page["after"]

    assert run("failures", "j", "--run", "r1", "--discard")[0] == 2  # why?
    code, _, err = run("failures", "j", "--run", "r1", "--discard", "--key", '{"id": "z"}', "--reason", "x")
    assert code == 2
    assert '{"id": "z"}' in err
    code, out, err = run("failures", "j", "--run", "r1", "--discard", "--reason", "x")
    assert (code, out) == (2, "")
    assert "nothing was changed: there is no terminal to ask on; use --yes" in err
    assert ledger.failures.page("j", "r1").counts == {"ValidationException": 2, "VersionType": 1}
    args = ("failures", "j", "--run", "r1", "--discard", "--reason", "gone upstream", "--yes")
    assert run(*args, "--key", '{"id": "a"}')[0] == 0
    assert run(*args, "--error", "VersionType")[0] == 0
    assert ledger.failures.page("j", "r1").counts == {"ValidationException": 1}
    assert run(*args)[0] == 0
    assert ledger.failures.page("j", "r1").counts == {}
    discarded = ledger.failures.page("j", "r1", state="discarded").entries
    assert {entry.reason for entry in discarded} == {"gone upstream"}


def test_commands_among_the_failures_are_whole_lines(
    run: Callable[..., tuple[int, str, str]], ledger: Ledger
) -> None:
    """That of the next page, and those that list what redrives gave up again, however long."""
    give_up(ledger, "a", "b", "c")
    by = f"of-a-very-long-name-{'x' * 60}-redrive-r1"
    ledger.failures.close("j", "r1", {"id": {"S": "a"}}, "redriven", f"given up again by run r2 of job {by}")
    again = f"some were given up again, see `reindexer failures {by} --run r2`"
    out = run("failures", "j", "--run", "r1", "--limit", "1")[1].splitlines()
    assert again in out
    assert [
        line for line in out if line.startswith("next page: reindexer failures j --run r1 --limit 1 --after ")
    ]
    for key in "bc":
        ledger.failures.close("j", "r1", {"id": {"S": key}}, "discarded", "gone")
    assert run("failures", "j", "--run", "r1")[1] == f"j, run r1: no open quarantined records; {again}\n"
    assert again in run("redrive", "j", "--run", "r1")[2]


def test_nothing_to_redrive_is_said(run: Callable[..., tuple[int, str, str]], ledger: Ledger) -> None:
    assert run("redrive", "j")[0] == 2  # no such job
    give_up(ledger, "a")
    code, _, err = run("redrive", "j", "--run", "r1", "--error", "Other")
    assert code == 0
    assert "nothing to run again" in err
