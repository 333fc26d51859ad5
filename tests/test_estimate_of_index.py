"""The estimate of an index: one consistent scan, no writes."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

import starter
from reindexer.planning.estimate import ON_DEMAND, Estimate, count_actions
from reindexer.planning.estimate_index import estimate_index
from reindexer.settings import Settings
from tests.tables import Table
from tests.test_estimate import HUNDRED_MILLION, LIMITS

SIZE = 60_000_000_000


def indexed(**limits: Any) -> Estimate:
    """Of 100 million items of 600 bytes."""
    facts = HUNDRED_MILLION.model_copy(update={"items": SIZE // 600, "size_bytes": SIZE})
    asked = LIMITS.model_copy(update={"bytes_per_second": "unlimited"} | limits)
    return estimate_index({"TableName": "orders"}, facts, asked, Settings(), ON_DEMAND)


def test_the_table_is_read_once_consistently_and_not_written() -> None:
    found = indexed()
    assert (found.read_units, found.verify_units, found.write_units) == (SIZE / 4096, 0, 0)
    assert found.dollars["read"] == pytest.approx(SIZE / 4096 / 1e6 * 0.125)
    assert found.dollars["write"] == 0
    assert (found.bound, found.work_seconds) == ("the budget of read units", SIZE / 4096 / 6000)
    assert found.actions == count_actions([(found.shards, found.work_seconds)], 32, Settings())


def test_the_tightest_budget_decides_how_long_it_takes() -> None:
    found = indexed(bytes_per_second=1_000_000.0)
    assert (found.bound, found.work_seconds) == ("the budget of bytes", 60_000)
    found = indexed(records_per_second=1000.0)
    assert (found.bound, found.work_seconds) == ("the budget of records", 100_000)
    found = indexed(read_units_per_second="unlimited", shards_in_flight=10)
    assert (found.bound, found.work_seconds) == ("partitions, 10 at a time", SIZE / 4096 / 30_000)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["orders-copy", "--operation", "index"], "OTHER"),
        (["--operation", "index", "--records", "5"], "--operation index"),
        (["--operation", "index", "--no-verify"], "--operation index"),
        (["--operation", "index", "--write-units", "5"], "--write-units"),
        (["--bytes-per-second", "5"], "--bytes-per-second"),
    ],
)
def test_options_that_do_not_go_with_an_index_are_named(
    options: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert starter.run(["estimate", "orders", *options]) == 2
    assert says in capsys.readouterr().err


def test_the_command_shows_reads_alone(
    make_table: Callable[..., Table], capsys: pytest.CaptureFixture[str]
) -> None:
    table = make_table(rows=30)
    asked = ["estimate", table.name, "--operation", "index", "--bytes-per-second", "1000"]
    assert starter.run([*asked, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["operation"], found["write_units"], found["limits"]["bytes_per_second"]) == ("index", 0, 1000)
    assert starter.run(asked) == 0
    shown = capsys.readouterr().out
    assert "none, of the table" in shown
    assert "documents 1.0 kB/s" in shown
    assert "verification" not in shown
