"""The estimate of a replica: a backfill, and a day of following."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

import starter
from reindexer.planning.estimate import Estimate
from reindexer.planning.estimate_following import following
from reindexer.planning.estimate_index import estimate_index
from reindexer.planning.estimate_repair import estimate_replica
from reindexer.settings import Settings
from reindexer.units import units_of_copy
from tests.tables import Table
from tests.test_estimate import HUNDRED_MILLION, LIMITS
from tests.test_estimate_of_two_tables import compared

INDEX = {"IndexName": "by-city", "ItemCount": 50_000, "IndexSizeBytes": 50_000 * 1500}


def replicated(size: int, other: dict[str, Any] | None = None) -> Estimate:
    return estimate_replica(compared(size, 0), other or {}, Settings())


def test_a_backfill_reads_the_table_and_writes_each_record_with_its_order() -> None:
    found = replicated(60_000_000)
    assert found.other is not None
    assert (found.operation, found.records, found.write_units) == ("replicate", 100_000, 100_000)
    assert (found.read_units, found.other.read_units, found.verify_units) == (60e6 / 4096, 0, 0)
    assert found.dollars["write"] == pytest.approx(100_000 / 1e6 * 0.625)
    assert not any("refused" in note and "job" in note for note in found.notes)
    with_index = replicated(60_000_000, {"ItemCount": 100_000, "GlobalSecondaryIndexes": [INDEX]})
    assert with_index.write_units == 100_000 + 50_000 * 2
    assert with_index.work_seconds == 2 * found.work_seconds


def test_the_order_may_take_another_unit() -> None:
    assert [units_of_copy(size * 10, 10) for size in (0, 981, 982, 2005, 2006)] == [1, 1, 2, 2, 3]
    assert units_of_copy(0, 0) == 1


def test_a_day_of_following_polls_each_shard_and_a_million_changes_are_written_as_records_are() -> None:
    found = replicated(60_000_000, {"ItemCount": 100_000, "GlobalSecondaryIndexes": [INDEX]}).following
    assert found is not None
    assert (found.stream_reads, found.write_units, found.actions) == (86_400, 2_000_000, 23_184)
    assert found.dollars == pytest.approx(
        {"stream_reads": 86_400 * 0.2 / 1e6, "temporal_cloud": 23_184 * 50 / 1e6, "write": 2 * 0.625}
    )
    known = following(2.0, 0.625, 50.0, changes=10_000_000).dollars
    assert known == pytest.approx(found.dollars | {"day": 86_400 * 0.2 / 1e6 + 23_184 * 50 / 1e6 + 20 * 0.625})
    facts = HUNDRED_MILLION.model_copy(update={"items": 10, "size_bytes": 6000})
    asked = LIMITS.model_copy(update={"bytes_per_second": "unlimited"})
    prices = replicated(600).prices
    index = estimate_index({"TableName": "orders"}, facts, asked, Settings(), prices).following
    assert index == following(0.0, prices.write_units, prices.actions)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--operation", "replicate", "--records", "5"], "--operation replicate"),
        (["orders-copy", "--operation", "replicate", "--no-verify"], "--operation replicate"),
        (["orders-copy", "--operation", "replicate", "--backfill"], "--backfill"),
        (["orders-copy", "--operation", "replicate", "--other-read-units", "5"], "--other-read-units"),
        (["--operation", "index", "--changes-per-day", "5"], "--changes-per-day"),
    ],
)
def test_options_that_do_not_go_with_a_replica_are_named(
    options: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert starter.run(["estimate", "orders", *options]) == 2
    assert says in capsys.readouterr().err


def test_the_command_shows_a_replica_that_is_there_and_one_that_is_not(
    make_table: Callable[..., Table], capsys: pytest.CaptureFixture[str]
) -> None:
    table, replica = make_table(rows=30), make_table()
    assert starter.run(["estimate", table.name, "--operation", "replicate", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["operation"], found["following"]["stream_reads"]) == ("replicate", 86_400)
    ways = [table.name, replica.name, "--operation", "replicate", "--changes-per-day", "2000000"]
    assert starter.run(["estimate", *ways]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert replica.name in shown
    assert "a million changes: 1,000,000 write units there, $0.62 a day of 2,000,000 changes: $2.43" in shown
    assert starter.run(["estimate", table.name, "--operation", "replicate"]) == 0
    assert "made as the table is" in capsys.readouterr().out
