"""Comparing keys, partitions and samples of two tables on the real servers, and tables that both change."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest

from evidence.exactness.two_tables import every_difference
from reindexer.items import key_text
from reindexer.ledger import Ledger
from reindexer.models import Comparison
from testbed.embedded import dynamodb_engine
from testbed.job import outcome, until
from testbed.stack import Stack
from tests.cli import command
from tests.planted import SLOW, Planted, alike, content
from tests.tables import Table, made_up_key

Make = Callable[..., Table]


async def test_named_keys_are_compared_each_once(quiet: Stack, make_table: Make) -> None:
    planted = Planted(make_table, rows=100)
    numbers = [3, 5, 7, 10, 11, 10, 500]
    keys = [{"id": f"row-{number:06}"} for number in numbers]
    handle = await quiet.start(planted.job(scope={"kind": "keys", "keys": keys}))
    state, report = await outcome(handle)
    counts = report["comparison"]["counts"]
    assert (state, report["balanced"]) == ("complete", True)
    assert [counts[kind] for kind in ("different", "missing", "extraneous", "equal")] == [1, 1, 1, 2]
    # One that the table lacks, and one that neither has.
    assert (counts["scanned"], counts["absent"], counts["other_scanned"]) == (6, 2, 4)


async def test_partitions_are_compared_and_no_others(quiet: Stack, make_table: Make) -> None:
    table, other = (make_table(range_type="N") for _ in range(2))
    tenants = {"a": 40, "b": 10, "c": 20}
    rows = [
        {table.key[0].name: {"S": tenant}, table.key[1].name: {"N": str(n)}, **content(n)}
        for tenant, number in tenants.items()
        for n in range(number)
    ]
    table.put(*[row for row in rows if row[table.key[1].name]["N"] != "7"])
    other.put(*[row for row in rows if row[table.key[1].name]["N"] != "5"])
    operation = {"kind": "compare", "with": {"table": other.name}}
    for more, scanned, missing, extraneous in (
        ({}, 39 + 19, 2, 2),
        ({"sort_key": {"between": [6, 15]}}, 9 + 9, 0, 2),
    ):
        scope = {"kind": "partitions", "values": ["a", "c", "none"], **more}
        job = {"table": table.name, "operation": operation, "scope": scope, "total_segments": 3}
        state, report = await outcome(await quiet.start(job))
        counts = report["comparison"]["counts"]
        assert (state, report["balanced"]) == ("complete", True)
        assert [counts[kind] for kind in ("scanned", "missing", "extraneous", "different")] == [
            scanned, missing, extraneous, 0,
        ]  # fmt: skip


async def test_a_sample_gives_an_interval_that_the_report_shows(quiet: Stack, make_table: Make) -> None:
    planted = Planted(make_table, rows=2000)
    handle = await quiet.start(planted.job(scope={"kind": "sample", "limit": 400}))
    state, report = await outcome(handle)
    counts, found = report["comparison"]["counts"], report["comparison"]["estimate"]
    assert (state, report["balanced"]) == ("complete", True)
    assert 400 <= found["keys"] < 1000
    assert 30 <= found["segments"] < found["total"]
    assert found["low"] < found["share"] < found["high"]
    # Of twenty intervals of 95 % one lacks the truth: here three times its width does not.
    assert abs(found["share"] - 3 / 50) < 1.5 * (found["high"] - found["low"])
    assert counts["equal"] + counts["different"] + counts["missing"] + counts["extraneous"] == found["keys"]
    code, out, _ = await asyncio.to_thread(command, dict(quiet.environment), "report", handle.id)
    assert code == 1
    assert "95 % interval" in out


async def test_writers_on_both_tables_invent_no_difference_and_counts_balance(
    quiet: Stack, make_table: Make
) -> None:
    """Rows that both tables hold alike are rewritten there with the same values; others come and go in both."""
    planted = Planted(make_table, rows=300)
    still = [number for number in range(300) if number % 50 not in (3, 5, 7)]
    stop = asyncio.Event()

    async def writer(table: Table, how: Callable[[int], Any]) -> int:
        writes = 0
        while not stop.is_set():
            for number in still:
                passing = {**made_up_key(table.key, 1000 + number), **content(number)}
                await asyncio.to_thread(table.put, {**made_up_key(table.key, number), **how(number)}, passing)
                await asyncio.to_thread(_delete, table, made_up_key(table.key, 1000 + number))
                await asyncio.sleep(0.01)  # seconds: two at full speed would take both cores
                writes += 1
                if stop.is_set():
                    break
        return writes

    writing = [
        asyncio.ensure_future(writer(planted.table, alike)),
        asyncio.ensure_future(writer(planted.other, content)),
    ]
    state, report = await outcome(await quiet.start(planted.job(limits=SLOW)))
    stop.set()
    assert min(await asyncio.gather(*writing)) > 50
    assert (state, report["balanced"]) == ("complete", True)
    found = by_kind(quiet.ledger(), report)
    rows = {kind: {key for key in keys if key < "row-001000"} for kind, keys in found.items()}
    assert rows["different"] == {f"row-{number:06}" for number in range(300) if number % 50 == 3}
    assert rows["missing"] == {f"row-{number:06}" for number in range(300) if number % 50 == 5}
    assert rows["extraneous"] == {f"row-{number:06}" for number in range(300) if number % 50 == 7}


def _delete(table: Table, key: Any) -> None:
    table.client.delete_item(TableName=table.name, Key=key)


def by_kind(ledger: Ledger, report: Any) -> dict[str, set[str]]:
    """The keys of each kind, of a table whose key is `id`."""
    found: dict[str, set[str]] = {"different": set(), "missing": set(), "extraneous": set(), "moving": set()}
    for difference in every_difference(ledger, report):
        found[difference.kind.value].add(difference.key["id"]["S"])
    return found


async def test_a_copy_that_follows_late_is_no_difference_with_a_lag(quiet: Stack, make_table: Make) -> None:
    planted = Planted(make_table, rows=100)
    late = [{**made_up_key(planted.table.key, number), **content(number)} for number in range(200, 210)]
    planted.table.put(*late)
    job = planted.job()
    job["operation"]["lag_seconds"] = 5
    handle = await quiet.start(job)
    await asyncio.sleep(2)
    await asyncio.to_thread(planted.other.put, *late)
    state, report = await outcome(handle)
    counts = report["comparison"]["counts"]
    assert (state, report["balanced"]) == ("complete", True)
    assert [counts[kind] for kind in ("different", "missing", "extraneous")] == [2, 2, 2]


def _has_found(seen: dict[str, Any]) -> bool:
    return any(Comparison(**seen.get("comparison", {})).differences.values())


async def test_differences_are_listed_before_the_job_has_ended(quiet: Stack, make_table: Make) -> None:
    planted = Planted(make_table, rows=300)
    slower = {"read_units_per_second": 10, "other_read_units_per_second": 10}
    handle = await quiet.start(planted.job(limits=slower))
    await until(handle, _has_found)
    code, out, err = await asyncio.to_thread(
        command, dict(quiet.environment), "differences", handle.id, "--json"
    )
    assert code == 0, err
    assert "has not ended" in err
    listed = json.loads(out)
    assert listed["ended"] is False
    assert {
        key_text(entry["key"]): entry["kind"] for entry in listed["differences"]
    }.items() <= planted.kinds.items()
    assert listed["differences"]
    await handle.cancel()
    assert (await outcome(handle))[0] == "CancelledError"


async def test_differences_go_to_an_object(quiet: Stack, make_table: Make, tmp_path: Path) -> None:
    planted = Planted(make_table, rows=100)
    handle = await quiet.start(planted.job())
    await outcome(handle)
    with dynamodb_engine("moto", logs=tmp_path) as s3:  # it serves S3 as well
        client: Any = boto3.client(
            "s3",
            endpoint_url=s3.endpoint_url,
            region_name="us-east-1",
            aws_access_key_id="a",
            aws_secret_access_key="b",
        )
        client.create_bucket(Bucket="found-here")
        environment = {**quiet.environment, "AWS_ENDPOINT_URL_S3": s3.endpoint_url}
        for bucket, code in (("found-here", 0), ("not-there", 2)):
            target = f"s3://{bucket}/a/found.jsonl"
            seen = await asyncio.to_thread(command, environment, "differences", handle.id, "--output", target)
            assert seen[0] == code, seen
        assert "there is no bucket not-there" in seen[2]
        body = client.get_object(Bucket="found-here", Key="a/found.jsonl")["Body"].read()
    assert {key_text(json.loads(line)["key"]) for line in body.splitlines()} == set(planted.kinds)


@pytest.mark.parametrize("shards", [40, pytest.param(400, marks=pytest.mark.nightly)])
async def test_keys_as_long_as_dynamodb_takes_them_are_compared(
    quiet: Stack, make_table: Make, shards: int
) -> None:
    """3 KB each: a partition key of 2,048 bytes and a sort key of 1,024."""
    table, other = (make_table(range_type="B") for _ in range(2))
    names = [attribute.name for attribute in table.key]
    keys: list[Any] = [
        {names[0]: {"S": f"{n:04}".ljust(2048, "ü"[:1] if n % 2 else "x")[:1024 if n % 2 else 2048]},
         names[1]: {"B": n.to_bytes(2, "big") * 512}}
        for n in range(60)
    ]  # fmt: skip
    table.put(*({**key, **content(n)} for n, key in enumerate(keys) if n % 10 != 1))
    other.put(*({**key, **alike(n)} for n, key in enumerate(keys) if n % 10 != 2))
    operation = {"kind": "compare", "with": {"table": other.name}}
    job = {
        "table": table.name,
        "operation": operation,
        "total_segments": shards,
        "limits": {"shards_in_flight": 100},
    }
    state, report = await outcome(await quiet.start(job))
    counts = report["comparison"]["counts"]
    assert (state, report["balanced"], report["shards"]) == ("complete", True, shards)
    assert [counts[kind] for kind in ("equal", "missing", "extraneous", "different")] == [48, 6, 6, 0]
