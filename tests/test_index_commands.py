"""`reindexer index` as users run it: files, jobs, plans, reports, and what it refuses."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from testbed.job import outcome
from testbed.stack import Stack
from tests.cli import command
from tests.planted import content
from tests.searching import ask
from tests.tables import Table, made_up_key

Make = Callable[..., Table]

SHOP = '''"""What shop visitors search for."""

from reindexer import Attr, Delete, Params, Skip


class Shop(Params):
    currency: str = "EUR"


def query(params):
    return Attr("size").lt(20)


def document(item, params):
    if item["size"] < 2:
        return Skip("too small")
    if item["size"] < 4:
        return Delete()
    return {"price": item["size"], "currency": params.currency, "tags": sorted(item["tags"])}
'''


@pytest.fixture
def table(make_table: Make) -> Table:
    made = make_table()
    made.put(*({**made_up_key(made.key, n), **content(n)} for n in range(40)))
    return made


def own_alias() -> str:
    return f"cmd-{uuid.uuid4().hex[:8]}"


def named() -> tuple[str, str]:
    return ("--workflow-id", f"job-{uuid.uuid4().hex[:8]}")


def test_mapping_and_settings_come_from_files_and_plan_and_report_say_what_was_done(
    quiet: Stack, table: Table, search: str, tmp_path: Path
) -> None:
    mapping, settings = tmp_path / "mapping.json", tmp_path / "settings.json"
    mapping.write_text('{"dynamic": false, "properties": {"size": {"type": "double"}}}')
    settings.write_text('{"index": {"number_of_shards": 2, "number_of_replicas": 0, "refresh_interval": "5s"}}')
    alias, environment = own_alias(), dict(quiet.environment)
    given = ("--mapping", str(mapping), "--settings", str(settings), "--alias", alias)
    code, out, err = command(
        environment, "index", table.name, "--to", search, *given, *named(), "--wait", "--yes"
    )
    assert code == 0, err
    for words in (
        "40 documents, as many as were written",
        "40 records read consistently, each equal to its document",
        f"{alias} points at it",
        "written by  bulk",
    ):
        assert words in out
    status, about = ask(search, "GET", f"/{alias}")
    assert status == 200
    [made] = about.values()
    assert made["mappings"]["properties"].keys() == {"size", "_order", "_gone"}
    assert made["settings"]["index"]["number_of_shards"] == "2"
    assert made["settings"]["index"]["refresh_interval"] == "5s"
    # Without a terminal the plan is shown, and nothing started.
    code, _, err = command(environment, "index", table.name, "--to", search, *given, *named())
    assert code == 2
    shown = " ".join(err.split())
    assert "mapping as given, 3 fields" in shown
    assert f"{alias} moves to the index if it is complete" in shown
    assert "documents unlimited" not in shown
    assert "not started: there is no terminal to ask on" in shown


@pytest.fixture(scope="module")
def shop(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Workers that have a job which makes documents."""
    folder = tmp_path_factory.mktemp("jobs")
    (folder / "shop.py").write_text(SHOP)
    settings = {"REINDEXER_JOBS": str(folder), "REINDEXER_PROCESSES": "1"}
    beside = stack.beside(f"shop-{uuid.uuid4().hex[:8]}", settings, log="shop.log")
    with beside.workers as workers:
        workers.come_up()
        yield beside


def test_a_jobs_documents_are_tried_written_and_checked(
    shop: Stack, table: Table, search: str, tmp_path: Path
) -> None:
    mapping = tmp_path / "mapping.json"
    mapping.write_text('{"dynamic": "strict", "properties": {"price": {"type": "double"}, "tags": '
                       '{"type": "keyword"}, "currency": {"type": "keyword"}}}')  # fmt: skip
    alias, environment = own_alias(), dict(shop.environment)
    asked: tuple[str, ...] = ("index", table.name, "--to", search, "--alias", alias)
    asked += ("--job", "shop", "--param", "currency=CHF")
    code, _, err = command(environment, *asked, *named(), "--yes")
    assert (code, "a job's documents need a mapping: --mapping FILE" in err) == (2, True), err

    asked += ("--mapping", str(mapping))
    code, out, err = command(environment, *asked, *named(), "--dry-run", "--json")
    assert code == 0, err
    tried = json.loads(out)["dry_run"]
    assert {name: number for name, number in tried["tally"].items() if number} == {
        "scanned": 20, "updated": 16, "filtered": 4
    }  # fmt: skip
    fields = {field["name"]: field for field in tried["documents"][0]["fields"]}
    assert fields["currency"] == {"name": "currency", "value": '"CHF"', "mapped": "keyword"}

    code, out, err = command(environment, *asked, *named(), "--wait", "--yes", "--json")
    assert code == 0, err
    report = json.loads(out)
    assert (report["tally"]["updated"], report["tally"]["filtered"]) == (16, 4)
    sample = report["index"]["sample"]
    assert (sample["sampled"], sample["equal"]) == (20, 20)
    found = ask(search, "GET", f"/{alias}/_doc/row-000004")[1]["_source"]
    assert {name: value for name, value in found.items() if name != "_order"} == {
        "price": 4.5, "currency": "CHF", "tags": ["a", "b"]
    }  # fmt: skip

    code, _, err = command(environment, *asked, "--param", "currency=[1", *named(), "--yes")
    assert (code, "--param: currency: not JSON" in err) == (2, True), err
    code, _, err = command(environment, *asked, "--param", "color=red", *named(), "--yes")
    assert (code, "color" in err) == (2, True), err


def test_bad_input_is_one_sentence_and_exit_code_2_and_secrets_are_not_repeated(
    quiet: Stack, table: Table, search: str, tmp_path: Path
) -> None:
    broken, listed, large = (tmp_path / name for name in ("broken.json", "list.json", "large.json"))
    broken.write_text('{"properties": ')
    listed.write_text("[1]")
    large.write_text(json.dumps({"properties": {f"field-{n}": {"type": "keyword"} for n in range(10_000)}}))
    to = ("--to", search)
    for arguments, sentence in (
        ((), "--to: is missing"),
        (("--to", "http://me:secret@search:9200"), "without a password: `auth` says where that is"),
        (("--to", "search:9200"), "must be http:// or https:// and a host"),
        ((*to, "--auth", "me:secret"), "must be aws, or env:NAME"),
        ((*to, "--alias", "Cities"), "'Cities' cannot be an alias"),
        ((*to, "--mapping", str(broken)), "--mapping: "),
        ((*to, "--mapping", str(listed)), "list.json should hold one object"),
        ((*to, "--settings", str(tmp_path / "none.json")), "--settings: cannot be read"),
        ((*to, "--mapping", str(large)), "mapping and settings have"),
        ((*to, "--param", "a=b"), "--param: needs --job NAME"),
        ((*to, "--job", "no-such-job"), "no-such-job"),
        ((*to, "--job", "expire"), "changes records: it is for transform"),
        (("--to", quiet.engine.endpoint_url), "answers, but not as OpenSearch does"),
    ):
        code, out, err = command(dict(quiet.environment), "index", table.name, *arguments, "--yes", *named())
        assert (code, sentence in err) == (2, True), err
        assert "secret" not in out + err
        assert "Traceback" not in err
    assert "--to: is missing" in command(dict(quiet.environment), "index")[2]


async def test_where_the_cluster_cannot_be_seen_from_here_the_worker_plans_and_says_why_it_waits(
    quiet: Stack, table: Table, search: str
) -> None:
    environment, (_, job) = dict(quiet.environment), named()
    asked = ("index", table.name, "--alias", own_alias(), "--workflow-id", job)
    code, _, err = command(environment, *asked, "--to", "http://127.0.0.1:9")
    assert code == 2, err
    assert "http://127.0.0.1:9 does not answer: Failed to establish a new connection" in err
    assert err.count("Failed to establish") == 1
    code, _, err = command(environment, *asked, "--to", "http://127.0.0.1:9", "--yes")
    assert (code, "if only the workers reach it: --no-check" in err) == (2, True), err
    assert command(environment, "status", job)[0] == 2, "nothing was started"
    code, _, err = command(environment, *asked, "--to", "http://127.0.0.1:9", "--yes", "--no-check")
    assert (code, "the job is planned by its worker" in err) == (0, True), err
    handle = (await quiet.connect()).get_workflow_handle(job)
    code, out, _ = command(environment, "status", job)
    assert (code, "planning" in out) == (3, True), out
    await handle.cancel()
    assert (await outcome(handle))[0] == "CancelledError"

    code, _, err = command(environment, *asked, "--to", search, "--auth", "env:NOT_SET_HERE", "--yes", "--wait")
    assert code == 2, err
    assert f"{job} was refused: NoSearchSecret: environment variable NOT_SET_HERE" in err


def test_a_table_with_capitals_has_an_alias_without(quiet: Stack, make_table: Make, search: str) -> None:
    name = f"Cities-{uuid.uuid4().hex[:6]}"
    table = make_table(name=name, rows=3)
    code, out, err = command(
        dict(quiet.environment), "index", table.name, "--to", search, "--wait", "--yes", "--json"
    )
    assert code == 0, err
    report: dict[str, Any] = json.loads(out)
    assert (report["job"], report["index"]["alias"]) == (f"index-{name}", name.lower())
    code, out, err = command(dict(quiet.environment), "retire", table.name, "--to", search, "--json")
    assert (code, json.loads(out)["alias"]) == (0, name.lower()), err
