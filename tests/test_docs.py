"""The documents against the code: settings, fault codes, figures and examples, without any server."""

from __future__ import annotations

import ast
import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml  # type: ignore[import-untyped]  # comes with moto
from temporalio.envconfig import ClientConfig

import starter
from reindexer.answers import Action
from reindexer.dynamo.taxonomy import CODES
from reindexer.models import Attributes, JobInput, Limits, TableFacts
from reindexer.planning.estimate import ON_DEMAND, Estimate, EstimateInput, estimate
from reindexer.settings import Settings
from tests.stack import CHECKOUT
from workflows import faults

DOCS = CHECKOUT / "docs"
PAGES = [CHECKOUT / "README.md", CHECKOUT / "CONTRIBUTING.md", *sorted(DOCS.glob("*.md"))]


def blocks(page: Path, language: str) -> list[str]:
    """The page's fenced blocks of a language; also those in a list, which are indented."""
    found = re.findall(rf"^( *)```{language}\n(.*?)^ *```", page.read_text(), re.S | re.M)
    return [re.sub(rf"^{indent}", "", block, flags=re.M) for indent, block in found]


def table(page: str, heading: str) -> list[list[str]]:
    """The cells of the first table below a heading, without its head."""
    text = (DOCS / page).read_text().split(f"## {heading}\n", 1)[1]
    rows = re.search(r"(?:^\|.*\n)+", text, re.M)
    assert rows is not None
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows[0].splitlines()[2:]]


# ── Commands and examples ──────────────────────────────────────────────────────────────────────────────────

COMMANDS = sorted(
    {
        line.split("  #")[0].strip()
        for page in PAGES
        for block in blocks(page, "sh")
        for line in block.splitlines()
        if line.startswith("reindexer ")
    }
)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_understood(command: str) -> None:
    """Parsed as far as its options; what it does needs servers."""
    _, verb, *rest = shlex.split(command)
    click = typer.main.get_command(starter.app)
    assert click.commands[verb].make_context(verb, rest, resilient_parsing=False)  # type: ignore[attr-defined]


def test_every_json_example_is_json_and_every_input_is_valid() -> None:
    inputs = 0
    for page in PAGES:
        for block in blocks(page, "json"):
            example = json.loads(block)
            if "table" in example:
                JobInput.model_validate(example)
                inputs += 1
    assert inputs >= 2


def test_containers_get_longer_to_stop_than_workers_take() -> None:
    page = DOCS / "running-workers.md"
    [task], [deployment] = blocks(page, "json"), blocks(page, "yaml")
    container = json.loads(task)["containerDefinitions"][0]
    pod = yaml.safe_load(deployment)["spec"]["template"]["spec"]
    grace = Settings().graceful_shutdown_seconds
    assert container["stopTimeout"] >= grace + 10
    assert pod["terminationGracePeriodSeconds"] >= grace + 10
    environment = [*container["environment"], *container["secrets"], *pod["containers"][0]["env"]]
    ours = {
        e["name"].removeprefix("REINDEXER_").lower() for e in environment if e["name"].startswith("REINDEXER_")
    }
    assert ours
    assert ours <= set(Settings.model_fields)


def test_temporal_settings_that_are_named_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def configured(**variables: str) -> dict[str, Any]:
        with monkeypatch.context() as patch:
            for name, value in variables.items():
                assert name.removesuffix("X_TEAM") in (DOCS / "running-workers.md").read_text()
                patch.setenv(name, value)
            return {**ClientConfig.load_client_connect_config()}

    key = configured(TEMPORAL_ADDRESS="there:7233", TEMPORAL_NAMESPACE="ours", TEMPORAL_API_KEY="secret")
    assert key == {"target_host": "there:7233", "namespace": "ours", "api_key": "secret", "tls": True}
    for name in ("cert", "key", "ca"):
        (tmp_path / name).write_text(name)
    certified = configured(
        TEMPORAL_TLS_CLIENT_CERT_PATH=str(tmp_path / "cert"),
        TEMPORAL_TLS_CLIENT_KEY_PATH=str(tmp_path / "key"),
        TEMPORAL_TLS_SERVER_CA_CERT_PATH=str(tmp_path / "ca"),
        TEMPORAL_TLS_SERVER_NAME="temporal.internal",
        TEMPORAL_GRPC_META_X_TEAM="search",
    )
    tls = certified["tls"]
    assert (tls.client_cert, tls.client_private_key, tls.server_root_ca_cert) == (b"cert", b"key", b"ca")
    assert (tls.domain, certified["rpc_metadata"]) == ("temporal.internal", {"x-team": "search"})


# ── Lists that must be whole ───────────────────────────────────────────────────────────────────────────────


def test_the_table_of_settings_is_that_of_the_code() -> None:
    listed = {row[0].strip("`"): row for row in table("settings.md", "The project's own")}
    assert set(listed) == {f"REINDEXER_{name.upper()}" for name in Settings.model_fields}
    for name, field in Settings.model_fields.items():
        _, default, least, most, about = listed[f"REINDEXER_{name.upper()}"]
        bounds = {
            key: f"{getattr(bound, key):g}"
            for bound in field.metadata
            for key in ("ge", "le")
            if hasattr(bound, key)
        }
        assert (least, most) == (bounds.get("ge", ""), bounds.get("le", "")), name
        assert about, name
        if name == "jobs":
            assert field.default == CHECKOUT / "jobs"
        else:
            text = str(field.default) if isinstance(field.default, str) else f"{field.default:g}"
            assert default == (f"`{text}`" if text else "empty"), name


def test_the_runbook_names_every_code_a_job_parks_with() -> None:
    text = (DOCS / "runbook.md").read_text()
    parking = {code for code, (action, _, _) in CODES.items() if action is Action.PARK}
    # Of a start, and of a command: no job parks with these.
    ours = set(_kinds("EnvironmentFault", "reindexer")) - {"LedgerNotWritable", "TemporalUnavailable"}
    for code in {*faults._WORDS, *faults._CREDENTIALS, *parking, *ours}:
        assert f"`{code}`" in text, code


def test_the_runbook_names_every_kind_of_refusal() -> None:
    text = (DOCS / "runbook.md").read_text().split("## A start is refused")[1]
    kinds = {*_kinds("Refused", "reindexer"), *_kinds("Refused", "activities"), "LedgerNotWritable"}
    assert len(kinds) > 5
    for kind in kinds:
        assert f"`{kind}`" in text, kind


def _kinds(error: str, room: str) -> list[str]:
    """The codes under which a room raises an error of that class."""
    found = []
    for file in (CHECKOUT / room).rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == error:
                arguments = [*node.args, *(keyword.value for keyword in node.keywords)]
                words = [a.value for a in arguments if isinstance(a, ast.Constant) and isinstance(a.value, str)]
                found += [word for word in words if re.fullmatch(r"[A-Z]\w+", word)]
    return found


def test_the_glossary_defines_the_projects_own_words_and_no_others() -> None:
    words = re.findall(r"^\| \*\*(\w+)\*\*", (DOCS / "glossary.md").read_text(), re.M)
    assert words == [
        "round", "shard", "isolated", "park", "quarantine", "redrive", "ledger", "stamp", "cycle",
        "epoch", "order", "lineage", "position", "rescan", "drained",
    ]  # fmt: skip


# ── Figures ────────────────────────────────────────────────────────────────────────────────────────────────


def _hundred_million(writes: int, reads: int, seconds: float, indexed: bool) -> Estimate:
    items, size = 100_000_000, 60_000_000_000
    index = {
        "IndexName": "all",
        "KeySchema": [{"AttributeName": "tenant", "KeyType": "HASH"}],
        "Projection": {"ProjectionType": "ALL"},
        "ItemCount": items,
        "IndexSizeBytes": size,
    }
    limits = Limits(
        read_units_per_second=float(reads), write_units_per_second=float(writes), records_per_second="unlimited"
    )
    return estimate(
        {"TableName": "orders", "GlobalSecondaryIndexes": [index] if indexed else []},
        TableFacts(account="", region="us-east-1", items=items, size_bytes=size),
        EstimateInput(Attributes(), limits),
        Settings(heartbeat_interval=seconds),
        ON_DEMAND,
    )


def test_the_worked_table_is_what_the_estimate_says() -> None:
    asked = [
        (2000, 6000, 1.0, False),
        (2000, 6000, 5.0, False),
        (2000, 6000, 1.0, True),
        (10_000, 6000, 1.0, False),
        (20_000, 20_000, 1.0, False),
    ]
    rows = table("cost.md", "A hundred million items")
    assert len(rows) == len(asked)
    for row, given in zip(rows, asked, strict=True):
        found = _hundred_million(*given)
        dollars = found.dollars
        assert row[1:] == [
            f"{found.write_units / 1e6:.0f} M",
            f"{(found.read_units + found.verify_units) / 1e6:.0f} M",
            f"{found.verify_units / 1e6:.1f} M",
            f"{found.work_seconds / 3600:.1f} h + {found.verify_seconds / 3600:.1f} h",
            f"${dollars['write'] + dollars['read']:.0f}",
            f"{found.actions_total / 1e6:.2f} M",
            f"${dollars['temporal_cloud']:.0f}",
        ]
