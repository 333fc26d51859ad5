"""Jobs for named partitions, on real servers: exactly their records, each once, and nothing beside them."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

import pytest

from reindexer.models import KeyAttribute
from reindexer.sinks.table import impossible_key
from testbed.faults import Fault, FaultKind, FaultPlan
from testbed.job import outcome, until
from testbed.stack import Stack
from tests.tables import BY_TENANT, Table
from tests.test_control import has_begun
from tests.test_crashes import exact, slow

Make = Callable[..., Table]
ID = KeyAttribute(name="id", type="S")


def tenants(table: Table, rows: dict[str, int], **attributes: Any) -> None:
    """So many rows of each tenant, their sort keys numbered."""
    table.put(
        *(
            {"id": {"S": tenant}, "sort": {"S": f"{number:06}"}, **attributes}
            for tenant, count in rows.items()
            for number in range(count)
        )
    )


def touched(table: Table) -> dict[str, int]:
    """How many records of each tenant carry a version."""
    found: dict[str, int] = {}
    for item in table.items():
        if "reindexVersion" in item:
            found[item["id"]["S"]] = found.get(item["id"]["S"], 0) + 1
    return found


async def test_only_the_named_tenants_are_touched_and_verified(quiet: Stack, make_table: Make) -> None:
    table = make_table(range_type="S")
    tenants(table, {"acme": 30, "globex": 7, "initech": 200, "other": 50})
    scope = {"kind": "partitions", "values": ["acme", "globex", "nobody", "acme", "initech"]}

    kind, report = await outcome(await quiet.start({"table": table.name, "scope": scope}))

    assert kind == "complete", report
    assert report["tally"] == {**dict.fromkeys(report["tally"], 0), "scanned": 237, "updated": 237}
    assert report["verification"] == {"scanned": 237, "behind": 0}
    assert touched(table) == {"acme": 30, "globex": 7, "initech": 200}


async def test_a_thousand_tenants_one_of_them_huge(quiet: Stack, make_table: Make) -> None:
    table = make_table(range_type="S")
    sizes = {f"tenant-{number:04}": 2 for number in range(999)}
    tenants(table, {**sizes, "huge": 4000, "other": 20})
    scope = {"kind": "partitions", "values": [*sizes, "huge"]}

    kind, report = await outcome(await quiet.start({"table": table.name, "scope": scope}))

    assert kind == "complete", report
    records = 999 * 2 + 4000
    assert report["tally"] == {**dict.fromkeys(report["tally"], 0), "scanned": records, "updated": records}
    assert report["verification"] == {"scanned": records, "behind": 0}
    assert 4 <= report["shards"] <= 60
    found = touched(table)
    assert found.pop("huge") == 4000
    assert found == sizes


@pytest.mark.nightly
async def test_a_huge_tenant_in_parts_through_a_killed_worker(quiet: Stack, make_table: Make) -> None:
    table = make_table(range_type="S")
    tenants(table, {"huge": 3000, "small": 10, "other": 30})
    quiet.proxy.set_plan(slow())
    scope = {"kind": "partitions", "values": ["huge", "small"]}
    handle = await quiet.start({"table": table.name, "scope": scope, "total_segments": 4})
    await has_begun(handle, table)

    os.kill(quiet.workers.children()[0], signal.SIGKILL)
    quiet.proxy.set_plan(FaultPlan())

    report = await exact(quiet, table, handle, records=3010)
    assert report["shards"] == 4
    assert touched(table) == {"huge": 3000, "small": 10}


@pytest.mark.nightly
async def test_a_fifth_of_all_calls_failing(quiet: Stack, make_table: Make) -> None:
    table = make_table(indexes=BY_TENANT)
    table.put(*(row(number, "acme", number) for number in range(1500)))
    quiet.proxy.set_plan(FaultPlan.mixed(0.2, seed=5))
    scope = {"kind": "partitions", "values": ["acme"], "index": "by-tenant"}
    handle = await quiet.start({"table": table.name, "scope": scope, "total_segments": 3})
    await until(handle, lambda p: p["state"] in ("verifying", "done"), seconds=100)
    quiet.proxy.set_plan(FaultPlan())

    report = await exact(quiet, table, handle, records=1500)
    assert report["attempts"]["ambiguous"] > 0
    assert report["shards"] == 2, "one cut, into parts of up to 1,000"


def row(number: int, tenant: str | None, at: int | None, **more: Any) -> dict[str, Any]:
    return {
        "id": {"S": f"row-{number:05}"},
        **({} if tenant is None else {"tenant": {"S": tenant}}),
        **({} if at is None else {"at": {"N": str(at)}}),
        **more,
    }


async def test_a_tenant_by_its_index_leaves_out_what_the_index_has_not(quiet: Stack, make_table: Make) -> None:
    table = make_table(indexes=BY_TENANT)
    table.put(
        *(row(number, "acme", number) for number in range(200)),
        *(row(number, "acme", None) for number in range(200, 210)),
        *(row(number, "globex", number) for number in range(210, 240)),
    )
    scope = {
        "kind": "partitions", "values": ["acme"], "index": "by-tenant", "sort_key": {"between": [50, 149]}
    }  # fmt: skip

    kind, report = await outcome(await quiet.start({"table": table.name, "scope": scope}))

    assert kind == "complete", report
    assert report["tally"] == {**dict.fromkeys(report["tally"], 0), "scanned": 100, "updated": 100}
    assert report["verification"] == {"scanned": 100, "behind": 0}
    assert any("records without tenant or at are not in it" in text for text in report["warnings"])
    touched_ids = {item["id"]["S"] for item in table.items() if "reindexVersion" in item}
    assert touched_ids == {f"row-{number:05}" for number in range(50, 150)}


async def test_a_sort_key_condition_and_a_number_as_tenant(quiet: Stack, make_table: Make) -> None:
    table = make_table(hash_type="N", range_type="S")
    days = [f"2023-{n:03}" for n in range(20)] + [f"2024-{n:03}" for n in range(30)]
    table.put(*({"id": {"N": t}, "sort": {"S": day}} for t in ("7", "8", "9") for day in days))
    scope = {"kind": "partitions", "values": [7, "8.0", 7], "sort_key": {"begins_with": "2024-"}}

    kind, report = await outcome(await quiet.start({"table": table.name, "scope": scope}))

    assert kind == "complete", report
    assert (report["tally"]["updated"], report["verification"]) == (60, {"scanned": 60, "behind": 0})
    assert {(item["id"]["N"], item["sort"]["S"][:5]) for item in table.items() if "reindexVersion" in item} == {
        ("7", "2024-"), ("8", "2024-")
    }  # fmt: skip


@pytest.mark.parametrize("dry_run", [pytest.param(True, marks=pytest.mark.nightly), False])
async def test_a_transform_over_tenants_changes_theirs_alone(
    quiet: Stack, make_table: Make, dry_run: bool
) -> None:
    """The job's query names an attribute that is no key, and is sent along; dry, nothing is written."""
    table = make_table(range_type="S")
    tenants(table, {"acme": 20, "other": 20}, size={"N": "5000"}, name={"S": "Ulm  "})
    operation = {"kind": "transform", "job": "normalise_whitespace", "params": {"attributes": ["name"]}}
    scope = {"kind": "partitions", "values": ["acme"]}
    job = {"table": table.name, "operation": operation, "scope": scope, "dry_run": dry_run}

    kind, report = await outcome(await quiet.start(job))

    assert kind == "complete", report
    if dry_run:
        assert report["dry_run"]["tally"]["updated"] == 20
        assert touched(table) == {}
    else:
        assert report["tally"]["updated"] == 20
        assert touched(table) == {"acme": 20}


async def test_only_reading_counts_what_is_behind_in_the_named_tenants(quiet: Stack, make_table: Make) -> None:
    table = make_table(range_type="S")
    tenants(table, {"acme": 20, "other": 20})
    scope = {"kind": "partitions", "values": ["acme"], "sort_key": {"lt": "000005"}}
    job = {"table": table.name, "operation": {"kind": "verify", "version": 3}, "scope": scope}

    kind, report = await outcome(await quiet.start(job))

    assert kind == "Incomplete"
    assert report["verification"] == {"scanned": 5, "behind": 5}


async def test_an_unknown_index_fails_the_start_and_is_named(quiet: Stack, make_table: Make) -> None:
    table = make_table(indexes=BY_TENANT)
    scope = {"kind": "partitions", "values": ["acme"], "index": "by-tenants"}

    kind, refusal = await outcome(await quiet.start({"table": table.name, "scope": scope}), seconds=20)

    assert kind == "BadInput"
    assert "scope.index: 'by-tenants' is not an index of" in refusal["message"]
    assert "did you mean by-tenant?" in refusal["message"]


async def test_what_others_write_meanwhile_is_swept(quiet: Stack, make_table: Make) -> None:
    table = make_table(range_type="S")
    tenants(table, {"acme": 900, "other": 30})
    quiet.proxy.set_plan(slow())
    scope = {"kind": "partitions", "values": ["acme"]}
    handle = await quiet.start({"table": table.name, "scope": scope})
    await has_begun(handle, table)
    table.put(*({"id": {"S": "acme"}, "sort": {"S": f"000000-{n}"}} for n in range(7)))  # behind the cursor
    quiet.proxy.set_plan(FaultPlan())

    kind, report = await outcome(handle)

    assert kind == "complete", report
    assert report["tally"] == {**dict.fromkeys(report["tally"], 0), "scanned": 907, "updated": 907}
    assert report["verification"] == {"scanned": 907, "behind": 0}
    assert any("7 rows written by others meanwhile" in text for text in report["warnings"])
    assert touched(table) == {"acme": 907}


async def test_a_role_limited_to_a_tenant_suffices_to_the_end(quiet: Stack, make_table: Make) -> None:
    """Scans are denied throughout, and so is the key outside of the scope that permissions are tried on."""
    denied = (
        Fault(kind=FaultKind.ACCESS_DENIED, operations=frozenset(("Scan",))),
        Fault(kind=FaultKind.ACCESS_DENIED, keys=({"id": impossible_key([ID])["id"]},)),
    )
    single, sorted_ = make_table(), make_table(range_type="S")
    single.fill(5)
    tenants(sorted_, {"acme": 30, "other": 5})
    jobs: list[tuple[Table, dict[str, Any], int]] = [
        (sorted_, {"kind": "partitions", "values": ["acme"]}, 30),
        (sorted_, {"kind": "keys", "keys": [{"id": "acme", "sort": "000003"}]}, 1),
        (single, {"kind": "keys", "values": ["row-000001", "row-000002"]}, 2),
        (single, {"kind": "partitions", "values": ["row-000003"]}, 1),
    ]
    quiet.proxy.set_plan(FaultPlan(faults=denied))
    for table, scope, number in jobs:
        kind, report = await outcome(await quiet.start({"table": table.name, "scope": scope}))
        assert (kind, report.get("tally", report)["updated"]) == ("complete", number), report
        assert (report["writer"], report["verification"]) == ("partiql", {"scanned": number, "behind": 0})
    assert quiet.proxy.truth().injected.get(FaultKind.ACCESS_DENIED, 0) > 0
    kind, refusal = await outcome(await quiet.start({"table": single.name}))
    assert (kind, "missing: dynamodb:Scan" in refusal["message"]) == ("AccessDenied", True)
