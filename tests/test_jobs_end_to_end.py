"""The job as an operator meets it: started with JSON, watched, verified, reported."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest

from reindexer.models import JobProgress
from testbed.job import outcome, progress
from testbed.stack import Stack
from tests.tables import ODD_NAMES, Table

Make = Callable[..., Table]


#: By day each type once in each place; every pair at night.
DAILY = {("S", None), ("N", "B"), ("B", "S"), ("S", "N")}
KEY_TYPES = [
    pytest.param(*pair, marks=() if pair in DAILY else pytest.mark.nightly)
    for pair in itertools.product("SNB", (None, *"SNB"))
]


def by_key(table: Table) -> dict[str, Any]:
    return {str(sorted(item["id"].items())): item for item in table.items()}


async def test_every_record_is_updated_once_and_verified(quiet: Stack, make_table: Make) -> None:
    table = make_table()
    table.fill(600)

    kind, report = await outcome(await quiet.start({"table": table.name, "total_segments": 3}))

    assert kind == "complete"
    assert report["tally"] == {**dict.fromkeys(report["tally"], 0), "scanned": 600, "updated": 600}
    assert report["balanced"] is True
    assert report["verification"] == {"scanned": 600, "behind": 0}
    assert report["shards"] == 3
    versions = {item["reindexVersion"]["N"] for item in table.items()}
    assert versions == {str(report["version"])}
    assert {item["reindexRun"]["S"] for item in table.items()} == {report["run"]}


async def test_the_same_version_again_changes_nothing(quiet: Stack, make_table: Make) -> None:
    table = make_table()
    table.fill(50)
    job = {"table": table.name, "operation": {"kind": "touch", "version": 7}}

    await outcome(await quiet.start(job))
    before = by_key(table)
    kind, report = await outcome(await quiet.start(job))

    assert kind == "complete"
    assert (report["tally"]["scanned"], report["tally"]["current"]) == (50, 50)
    assert by_key(table) == before


async def test_a_lower_version_is_refused_and_never_downgrades(quiet: Stack, make_table: Make) -> None:
    table = make_table()
    table.fill(20)
    await outcome(await quiet.start({"table": table.name, "operation": {"kind": "touch", "version": 9}}))

    lower = {"table": table.name, "operation": {"kind": "touch", "version": 8}}
    kind, refusal = await outcome(await quiet.start(lower))
    assert kind != "complete"
    assert "9" in refusal["message"]

    kind, report = await outcome(await quiet.start({**lower, "allow_lower": True}))
    assert report["tally"]["superseded"] == 20
    assert {item["reindexVersion"]["N"] for item in table.items()} == {"9"}


@pytest.mark.parametrize(("hash_type", "range_type"), KEY_TYPES)
async def test_every_key_type_is_carried(
    quiet: Stack, make_table: Make, hash_type: str, range_type: str | None
) -> None:
    table = make_table(hash_type=hash_type, range_type=range_type)
    table.fill(120)

    kind, report = await outcome(await quiet.start({"table": table.name, "total_segments": 2}))

    assert (kind, report["tally"]["updated"], report["verification"]["behind"]) == ("complete", 120, 0)


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=() if name == 'with "quotes"' else pytest.mark.nightly) for name in ODD_NAMES],
)
async def test_odd_attribute_names_are_quoted(quiet: Stack, make_table: Make, name: str) -> None:
    table = make_table()
    table.fill(5)
    attributes = {"version": name, "run": f"{name} too"}

    kind, report = await outcome(await quiet.start({"table": table.name, "attributes": attributes}))

    assert (kind, report["tally"]["updated"]) == ("complete", 5)
    assert all(item[name]["N"] == str(report["version"]) for item in table.items())


async def test_a_sample_touches_exactly_its_limit(quiet: Stack, make_table: Make) -> None:
    table = make_table()
    table.fill(40)

    kind, report = await outcome(
        await quiet.start({"table": table.name, "scope": {"kind": "sample", "limit": 10}})
    )

    assert (kind, report["tally"]["updated"], report["verification"]) == ("complete", 10, None)
    assert sum("reindexVersion" in item for item in table.items()) == 10


async def test_named_keys_are_carried_one_by_one(quiet: Stack, make_table: Make) -> None:
    table = make_table(hash_type="N")
    table.fill(10)
    scope = {"kind": "keys", "keys": [{"id": 1}, {"id": "1.0"}, {"id": 2}, {"id": 999}]}

    kind, report = await outcome(await quiet.start({"table": table.name, "scope": scope}))

    assert kind == "complete"
    assert report["tally"] == {**dict.fromkeys(report["tally"], 0), "scanned": 3, "updated": 2, "vanished": 1}


async def test_more_segments_than_records(quiet: Stack, make_table: Make) -> None:
    table = make_table()
    table.fill(3)

    kind, report = await outcome(await quiet.start({"table": table.name, "total_segments": 12}))

    assert (kind, report["tally"]["updated"], report["shards"]) == ("complete", 3, 12)


#: More than the 32 slots for rounds that the workers have, and as many as a job may have: 40 s of CPU.
@pytest.mark.parametrize("shards", [40, pytest.param(400, marks=[pytest.mark.nightly, pytest.mark.alone])])
async def test_more_shards_at_once_than_there_are_slots_wedge_nothing(
    quiet: Stack, make_table: Make, shards: int
) -> None:
    table = make_table()
    table.fill(10 * shards)
    job = {"table": table.name, "total_segments": shards, "limits": {"shards_in_flight": shards}}

    kind, report = await outcome(await quiet.start(job), seconds=200)

    assert (kind, report["tally"]["updated"], report["shards"]) == ("complete", 10 * shards, shards)


async def test_an_empty_table_completes(quiet: Stack, make_table: Make) -> None:
    kind, report = await outcome(await quiet.start({"table": make_table().name}))

    assert (kind, report["tally"]["scanned"], report["balanced"]) == ("complete", 0, True)


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"table": "no-such-table-here"}, "table"),
        ({"table": "x", "tabel": 1}, "tabel"),
        ({"table": "x", "operation": {"kind": "touch", "version": 0}}, "operation.version"),
        ({"table": "x", "limits": {"records_per_second": -1}}, "limits.records_per_second"),
        ({}, "table"),
        ("cities", ""),
        (None, ""),
    ],
)
async def test_wrong_input_fails_at_once_and_names_the_field(quiet: Stack, wrong: Any, named: str) -> None:
    kind, refusal = await outcome(await quiet.start(wrong), seconds=20)

    assert kind == "BadInput"
    assert named in refusal["message"]
    assert "\n" not in refusal["message"]


async def test_progress_still_answers_after_the_end(quiet: Stack, make_table: Make) -> None:
    table = make_table()
    table.fill(30)
    handle = await quiet.start({"table": table.name})
    await outcome(handle)

    seen = await progress(handle)

    assert (seen["state"], seen["tally"]["updated"], seen["remaining"]) == ("done", 30, 0)
    assert JobProgress.model_validate(seen).model_dump(mode="json") == seen
    of_others = {
        "comparison",
        "lag_seconds",
        "hours_left",
        "stream_shards",
        "epoch",
        "drained",
        "settled_through",
        "stops_at",
        "resumes_at",
    }
    assert list(seen) == [name for name in JobProgress.model_fields if name not in of_others], (
        "it neither compares nor follows"
    )
