"""The estimate of a comparison and of a repair, without any server."""

from __future__ import annotations

from typing import Any

import pytest

from reindexer.planning.estimate import ON_DEMAND, Estimate, count_actions
from reindexer.planning.estimate_comparison import estimate_comparison
from reindexer.planning.estimate_repair import RepairInput, estimate_repair
from reindexer.settings import Settings
from tests.test_estimate import HUNDRED_MILLION, LIMITS


def compared(size: int, other_size: int, **limits: Any) -> Estimate:
    """Of tables of these sizes in bytes, 600 an item."""
    facts = [
        HUNDRED_MILLION.model_copy(update={"items": total // 600, "size_bytes": total})
        for total in (size, other_size)
    ]
    asked = LIMITS.model_copy(update={"other_read_units_per_second": 6000.0} | limits)
    return estimate_comparison(
        {"TableName": "orders"}, facts[0], "copy", facts[1], asked, Settings(), ON_DEMAND
    )


def test_a_comparison_reads_both_tables_consistently_and_writes_nothing() -> None:
    found = compared(60_000_000_000, 30_000_000_000)
    assert found.other is not None
    assert (found.read_units, found.other.read_units) == (60e9 / 4096, 30e9 / 4096)
    assert (found.write_units, found.write_units_at_most, found.verify_units) == (0, 0, 0)
    assert found.dollars["read"] == pytest.approx(90e9 / 4096 / 1e6 * 0.125)
    assert (found.bound, found.work_seconds) == ("the budget of read units", 60e9 / 4096 / 6000)
    assert found.actions == count_actions([(found.shards, found.work_seconds)], 32, Settings())


def test_the_slower_table_decides_how_long_a_comparison_takes() -> None:
    found = compared(60_000_000_000, 30_000_000_000, other_read_units_per_second=100.0)
    assert (found.bound, found.work_seconds) == (
        "the budget of the other table's read units",
        30e9 / 4096 / 100,
    )
    unlimited = {"read_units_per_second": "unlimited", "other_read_units_per_second": "unlimited"}
    found = compared(60_000_000_000, 30_000_000_000, **unlimited, shards_in_flight=10)
    assert found.bound == "partitions, 10 at a time"
    assert found.work_seconds == pytest.approx(90e9 / 4096 / 30_000)
    assert compared(600, 60_000_000_000).shards == compared(60_000_000_000, 600).shards == 400


def repaired(size: int, other_size: int, other: Any = None, **asked: Any) -> Estimate:
    comparison = compared(size, other_size)
    return estimate_repair(comparison, RepairInput(other or {}, **asked), Settings())


def test_a_repair_costs_a_comparison_and_what_differs_besides() -> None:
    comparison, found = compared(60_000_000, 60_000_000), repaired(60_000_000, 60_000_000, records=1000)
    assert comparison.other is not None
    assert found.other is not None
    # Items of 600 bytes: one unit each to write, and one for each of three consistent reads of either table.
    assert (found.records, found.write_units, found.write_units_per_record) == (1000, 1000, 1)
    assert found.read_units == comparison.read_units + 3000
    assert found.other.read_units == comparison.other.read_units + 3000
    assert found.work_seconds == comparison.work_seconds + 1000 / 2000
    assert found.dollars["write"] == pytest.approx(1000 / 1e6 * 0.625)
    assert found.actions.total > comparison.actions.total
    index = {"IndexName": "by-city", "ItemCount": 50_000, "IndexSizeBytes": 50_000 * 1500}
    written = {"ItemCount": 100_000, "GlobalSecondaryIndexes": [index]}
    found = repaired(60_000_000, 60_000_000, written, records=1000)
    assert found.write_units == 1000 + 500 * 2, "half of the items are in the index, with entries of two units"


def test_without_a_number_as_many_keys_differ_as_the_counts_say() -> None:
    found = repaired(60_000, 48_000)
    assert found.records == 20
    assert any("--records" in note for note in found.notes)
    assert repaired(60_000, 48_000, records=1_000_000).records == 180, "every key of either table"
    same = repaired(60_000, 60_000)
    assert (same.write_units, same.work_seconds) == (0, compared(60_000, 60_000).work_seconds)


def test_a_backfill_reads_one_table_and_writes_all_of_it() -> None:
    found = repaired(60_000_000, 0, backfill=True)
    assert found.other is not None
    assert (found.records, found.write_units) == (100_000, 100_000)
    assert (found.read_units, found.other.read_units) == (60e6 / 4096, 0)
    assert (found.bound, found.work_seconds) == ("the budget of write units", 50)
