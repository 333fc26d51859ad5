"""A dry run of an index: documents as they would be, on a real OpenSearch, and nothing left of it."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from testbed.faults.search import SearchFault, SearchFaultKind, SearchFaultPlan, search_fault_proxy
from testbed.job import outcome, until
from testbed.stack import Stack
from tests.cli import command
from tests.planted import content
from tests.searching import ask
from tests.tables import Table, made_up_key

Make = Callable[..., Table]


def filled(make_table: Make, rows: int = 30) -> Table:
    table = make_table()
    table.put(*({**made_up_key(table.key, n), **content(n)} for n in range(rows)))
    return table


def tried(table: Table, url: str, alias: str, **operation: Any) -> dict[str, Any]:
    """As the `temporal` CLI would start it."""
    to = {"search": url, "alias": alias}
    return {"table": table.name, "dry_run": True, "operation": {"kind": "index", "to": to, **operation}}


def own_alias() -> str:
    return f"dry-{uuid.uuid4().hex[:8]}"


def left(search: str, alias: str) -> list[str]:
    status, answer = ask(search, "GET", f"/{alias}*/_alias")
    return sorted(answer) if status == 200 else []


async def test_documents_are_shown_as_they_would_be_with_their_types_and_nothing_is_left(
    quiet: Stack, make_table: Make, search: str
) -> None:
    table, alias = filled(make_table), own_alias()
    state, report = await outcome(await quiet.start(tried(table, search, alias)))
    assert state == "complete", report
    found = report["dry_run"]
    counts = {name: number for name, number in found["tally"].items() if number}
    assert counts == {"scanned": 30, "updated": 30}
    assert (report["tally"]["scanned"], report["writer"], "index" in report) == (0, "none", False)
    assert len(found["documents"]) == 10
    document = found["documents"][0]
    number = int(document["id"].removeprefix("row-"))
    fields = {field["name"]: (field["value"], field["mapped"]) for field in document["fields"]}
    assert fields["id"] == (f'"{document["id"]}"', "text")
    assert fields["size"] == (f"{number}.5", "double")
    assert fields["tags"] == ('["a","b"]', "text")
    assert fields["more"][1] == "object"
    assert left(search, alias) == []
    assert "dry run" in " ".join(report["warnings"])


async def test_what_the_mapping_refuses_is_listed_with_its_reason_and_the_job_is_not_complete(
    quiet: Stack, make_table: Make, search: str
) -> None:
    table, alias = filled(make_table), own_alias()
    table.put({**made_up_key(table.key, 3), "size": {"S": "large"}})
    mapping = {"dynamic": False, "properties": {"size": {"type": "double"}}}
    state, report = await outcome(await quiet.start(tried(table, search, alias, mapping=mapping)))
    assert state == "Incomplete"
    found = report["dry_run"]
    assert (found["tally"]["updated"], found["tally"]["quarantined"]) == (29, 1)
    assert found["failures"] == {"mapper_parsing_exception": 1}
    *taken, refused = found["documents"]
    assert (refused["id"], refused["error"]) == ("row-000003", "mapper_parsing_exception")
    assert "size" in refused["message"]
    types = {field["name"]: field["mapped"] for field in taken[0]["fields"]}
    assert types == {"id": None, "size": "double", "tags": None, "more": None}
    assert left(search, alias) == []


async def test_a_mapping_that_opensearch_does_not_take_ends_it(
    quiet: Stack, make_table: Make, search: str
) -> None:
    table, alias = filled(make_table, rows=3), own_alias()
    mapping = {"properties": {"a": {"type": "nonsense"}}}
    kind, failure = await outcome(await quiet.start(tried(table, search, alias, mapping=mapping)))
    assert (kind, "nonsense" in failure["message"]) == ("BadIndex", True), failure
    assert left(search, alias) == []


@pytest.mark.nightly
async def test_faults_change_no_count_and_a_killed_worker_leaves_no_index(
    quiet: Stack, make_table: Make, search: str
) -> None:
    table, alias = filled(make_table, rows=300), own_alias()
    with search_fault_proxy(search, SearchFaultPlan.mixed(0.2)) as proxy:
        state, report = await outcome(await quiet.start(tried(table, proxy.endpoint_url, alias)))
        assert (state, report["dry_run"]["tally"]["updated"]) == ("complete", 300), report
        assert left(search, alias) == []

        held = SearchFault(kind=SearchFaultKind.TIMEOUT, operations="writes")
        proxy.set_plan(SearchFaultPlan(faults=(held,)))
        beside = quiet.beside(f"index-{uuid.uuid4().hex[:8]}")
        with beside.workers as workers:
            workers.come_up()
            handle = await beside.start(tried(table, proxy.endpoint_url, alias))
            await until(handle, lambda _: bool(left(search, alias)))
            await asyncio.to_thread(workers.kill)
            workers.start()
            state, _ = await outcome(handle)
    assert state != "complete"
    assert left(search, alias) == []


def test_on_the_command_line_it_needs_no_confirmation(quiet: Stack, make_table: Make, search: str) -> None:
    table, alias, environment = filled(make_table), own_alias(), dict(quiet.environment)
    name = ("--workflow-id", f"job-{uuid.uuid4().hex[:8]}")
    asked = ("index", table.name, "--to", search, "--alias", alias, "--dry-run", *name)
    code, out, err = command(environment, *asked)
    assert code == 0, err
    assert "30 records looked at, written to a temporary index, which is removed" in out
    assert "would be in the index" in out
    assert out.count("  document row-") == 10
    assert left(search, alias) == []
    code, out, err = command(environment, *asked, "--json")
    assert code == 0, err
    assert len(json.loads(out)["dry_run"]["documents"]) == 10
