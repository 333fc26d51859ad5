"""The estimate: units, seconds, Actions and dollars from a DescribeTable answer, without any server."""

from __future__ import annotations

import asyncio
import json
import math
import re
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import starter
from activities import round_context as context
from reindexer.models import Attributes, Limits, TableFacts
from reindexer.planning import estimate as engine
from reindexer.planning.estimate import ON_DEMAND, PROVISIONED, Estimate, EstimateInput, count_actions, estimate
from reindexer.settings import Settings
from testbed.embedded import Engine
from testbed.job import outcome
from tests.stack import quick_stack
from tests.tables import Table
from workflows import options
from workflows.job import looking, phases

HUNDRED_MILLION = TableFacts(
    account="", region="us-east-1", items=100_000_000, size_bytes=60_000_000_000, write_capacity=4000.0
)
LIMITS = Limits(read_units_per_second=6000.0, write_units_per_second=2000.0, records_per_second="unlimited")


def of(facts: TableFacts = HUNDRED_MILLION, limits: Limits = LIMITS, **more: Any) -> Estimate:
    description = {"TableName": "orders", **more.pop("description", {})}
    prices = more.pop("prices", ON_DEMAND)
    return estimate(description, facts, EstimateInput(Attributes(), limits, **more), Settings(), prices)


def index(kind: str = "GlobalSecondaryIndexes", key: str = "tenant", **more: Any) -> dict[str, Any]:
    one = {
        "IndexName": "by-tenant",
        "KeySchema": [{"AttributeName": key, "KeyType": "HASH"}],
        "Projection": {"ProjectionType": "ALL"},
        "ItemCount": 100_000_000,
        "IndexSizeBytes": 60_000_000_000,
        **more,
    }
    return {kind: [one]}


def test_a_touch_of_a_hundred_million_items() -> None:
    found = of()
    assert found.item_bytes == 600
    assert (found.write_units_per_record, found.write_units) == (1, 100_000_000)
    assert found.read_units == pytest.approx(60e9 / 4096 / 2)
    assert found.verify_units == pytest.approx(60e9 / 4096)
    assert (found.work_seconds, found.bound) == (50_000, "the budget of write units")
    assert found.verify_seconds == pytest.approx(60e9 / 4096 / 6000)
    assert found.dollars["write"] == pytest.approx(62.50)
    assert found.dollars["read"] == pytest.approx(60e9 / 4096 * 1.5 / 1e6 * 0.125)


def test_what_two_attributes_add_may_cost_a_second_unit() -> None:
    """1,024 bytes less the 42 that a touch adds."""
    for bytes_of_item, units in ((982, 1), (983, 2)):
        facts = HUNDRED_MILLION.model_copy(update={"size_bytes": bytes_of_item * 100_000_000})
        assert of(facts).write_units_per_record == units


def test_whatever_the_items_sizes_are_the_upper_bound_holds() -> None:
    sizes = [10, 500, 1200, 1500, 9000]
    facts = HUNDRED_MILLION.model_copy(update={"items": len(sizes), "size_bytes": sum(sizes)})
    assert sum(math.ceil((size + 42) / 1024) for size in sizes) <= of(facts).write_units_at_most


@pytest.mark.parametrize(
    ("described", "units"),
    [
        ({}, 1),
        (index(), 2),
        (index("LocalSecondaryIndexes"), 2),
        (index(ItemCount=25_000_000, IndexSizeBytes=15_000_000_000), 1.25),  # a sparse index
        (index(Projection={"ProjectionType": "KEYS_ONLY"}), 1),
        (index(Projection={"ProjectionType": "INCLUDE", "NonKeyAttributes": ["name"]}), 1),
        (index(Projection={"ProjectionType": "INCLUDE", "NonKeyAttributes": ["reindexRun"]}), 2),
        (index(key="reindexVersion", Projection={"ProjectionType": "KEYS_ONLY"}, ItemCount=0), 3),
    ],
)
def test_indexes_that_a_touch_writes_to_are_paid_for(described: dict[str, Any], units: float) -> None:
    assert of(description=described).write_units_per_record == units


def test_the_slowest_bound_decides_and_is_named() -> None:
    def bound(**limits: Any) -> tuple[str, float]:
        found = of(limits=LIMITS.model_copy(update=limits))
        return found.bound, found.work_seconds

    assert bound(records_per_second=1000.0) == ("the budget of records", 100_000)
    assert bound(read_units_per_second=60.0)[0] == "the budget of read units"
    assert bound(write_units_per_second="unlimited", shards_in_flight=10) == (
        "partitions, 10 at a time",
        10_000,
    )


def test_a_job_that_deletes_reads_consistently_and_one_without_verification_reads_once() -> None:
    plain = of()
    assert of(deletes=True).read_units == 2 * plain.read_units
    assert (of(verify=False).verify_units, of(verify=False).verify_seconds) == (0, 0)
    assert of(records=1000).write_units == 1000
    assert of(records=10**12).write_units == plain.write_units


def test_an_unstamp_reads_consistently_writes_what_is_stamped_and_keeps_digests() -> None:
    plain, found = of(), of(unstamp=True, records=40_000_000)
    assert found.operation == "unstamp"
    assert (found.read_units, found.verify_units) == (2 * plain.read_units, plain.verify_units)
    assert (found.write_units, found.ledger_write_units) == (40_000_000, 800_000)
    assert found.dollars["write"] == pytest.approx(40.8 * 0.625)
    assert plain.ledger_write_units == 0


def test_an_unstamp_is_charged_by_the_size_that_items_have() -> None:
    for bytes_of_item, units in ((1024, 1), (1025, 2)):
        facts = HUNDRED_MILLION.model_copy(update={"size_bytes": bytes_of_item * 100_000_000})
        assert of(facts, unstamp=True).write_units_per_record == units


@pytest.mark.parametrize(
    ("described", "units"),
    [
        (index(), 2),
        (index(Projection={"ProjectionType": "KEYS_ONLY"}), 1),
        (index(key="reindexVersion", Projection={"ProjectionType": "KEYS_ONLY"}), 2),  # the entry is deleted
        (index(key="reindexVersion", ItemCount=25_000_000, IndexSizeBytes=15_000_000_000), 1.25),
    ],
)
def test_indexes_that_an_unstamp_writes_to_are_paid_for(described: dict[str, Any], units: float) -> None:
    assert of(description=described, unstamp=True).write_units_per_record == units


def test_an_empty_table_costs_nothing_and_says_why() -> None:
    found = of(TableFacts(account="", region="us-east-1", items=0, size_bytes=0))
    assert (found.write_units, found.read_units, found.work_seconds) == (0, 0, 0)
    assert any("reports 0 items" in note for note in found.notes)


def test_provisioned_capacity_is_charged_by_the_hour() -> None:
    found = of(prices=PROVISIONED)
    hours = found.work_seconds / 3600
    assert found.dollars["write"] == pytest.approx(hours * 2000 * 0.00065)


def test_what_the_account_should_know_is_said() -> None:
    described = {
        "Replicas": [{"RegionName": "eu-west-1"}],
        "TableClassSummary": {"TableClass": "STANDARD_INFREQUENT_ACCESS"},
    }
    notes = " ".join(of(description=described).notes)
    assert "six hours" in notes
    assert "each of its 1 replicas" in notes
    assert "Standard-IA" in notes


# ── Temporal ───────────────────────────────────────────────────────────────────────────────────────────────


def test_actions_are_those_that_a_server_counted() -> None:
    """Of 8,000 records in 8 shards at 150 write units/s: the server's own metric `action`."""
    found = count_actions([(8, 53.3), (1, 2.0)], 32, Settings())
    assert found.heartbeats == pytest.approx(446, rel=0.05)
    assert found.rounds + found.shards + found.looks + found.job == pytest.approx(554 - 446, abs=8)


def test_heartbeats_are_most_of_it_and_follow_their_interval() -> None:
    often, seldom = (
        count_actions([(400, 50_000.0)], 32, Settings(heartbeat_interval=seconds)) for seconds in (1.0, 5.0)
    )
    assert often.heartbeats == 1_600_000
    assert seldom.heartbeats == often.heartbeats / 5
    assert often.total - often.heartbeats < often.heartbeats / 10


def test_the_rhythm_is_that_of_the_workflows() -> None:
    assert engine.ROWS_PER_VERIFYING_SHARD == phases._ROWS_PER_SHARD
    assert (engine.LOOK_PART_OF_AGE, engine.LONGEST_LOOK_SECONDS) == (looking._PART_OF_AGE, looking._LONGEST)
    assert context._HEARTBEAT_SECONDS == engine.MIN_BETWEEN_HEARTBEATS
    first = [options.first_round_seconds(shard, 30) for shard in range(8)]
    assert sum(first) / len(first) == engine._FIRST_ROUND_SECONDS


@pytest.mark.parametrize("hours", [0.1, 1, 20])
def test_looks_are_as_many_as_their_intervals_make(hours: float) -> None:
    age = looks = 0.0
    while (age := age + min(300.0, max(8.0, age / 60))) < hours * 3600:
        looks += 1
    assert engine._looks(hours * 3600, 8.0) == pytest.approx(looks, abs=2)


@pytest.mark.alone
@pytest.mark.stack
async def test_a_server_counts_as_many_actions_as_are_estimated(
    engine: Engine, dynamodb: Any, make_table: Callable[..., Table], tmp_path: Path
) -> None:
    make_table(name="counted").fill(1000)
    job = {"table": "counted", "limits": {"records_per_second": 100}}
    settings = {"REINDEXER_LOOK_SECONDS": "3"}  # half a second takes twice as long on a busy machine
    with quick_stack(tmp_path, "counted", settings, engine=engine, faults=None) as made:
        with made.workers:
            kind, report = await outcome(await made.start(job))
        assert kind == "complete", report
        await asyncio.sleep(2)  # seconds: the server reports its metrics once a second
        counted = actions_of((tmp_path / "temporal.log").read_text())
    quick = {name.removeprefix("REINDEXER_").lower(): value for name, value in made.environment.items()}
    chosen = Settings.model_validate({name: quick[name] for name in quick if name in Settings.model_fields})
    # 1,000 records at 100 a second; a second is what reading them again takes at most.
    found = count_actions([(report["shards"], 10.0), (1, 1.0)], 32, chosen)
    assert found.heartbeats == pytest.approx(counted.pop("grpc_RecordActivityTaskHeartbeat"), rel=0.2)
    assert found.total - found.heartbeats == pytest.approx(sum(counted.values()), rel=0.2), counted


def actions_of(log: str) -> dict[str, int]:
    """What the server's own metric says, by kind of Action."""
    [address] = re.findall(r"http://\S+/metrics", log)
    with urllib.request.urlopen(address) as answer:
        lines = answer.read().decode().splitlines()
    counted: dict[str, int] = {}
    for line in lines:
        if line.startswith("action{") and 'namespace="default"' in line:
            kind = line.split('action_type="')[1].split('"')[0]
            counted[kind] = counted.get(kind, 0) + int(float(line.rsplit(" ", 1)[1]))
    return counted


# ── The command ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("option", "value", "says"),
    [
        ("--write-units", "much", "--write-units: should be a number per second"),
        ("--write-units", "-5", "limits.write_units_per_second: -5"),
        ("--read-units", "nan", "limits.read_units_per_second"),
        ("--shards-in-flight", "401", "limits.shards_in_flight: 401"),
        ("--write-price", "nan", "--write-price"),
        ("--action-price", "inf", "--action-price"),
        ("--read-price", "-1", "--read-price"),
        ("--records", "-1", "--records"),
    ],
)
def test_a_wrong_option_is_named_before_anything_is_asked(
    option: str, value: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert starter.run(["estimate", "orders", option, value]) == 2
    assert says in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["orders-copy", "--operation", "unstamp"], "OTHER"),
        (["--operation", "repair"], "OTHER"),
        (["--backfill"], "--backfill"),
        (["orders-copy", "--operation", "compare", "--backfill"], "--backfill"),
        (["orders-copy", "--operation", "repair", "--no-verify"], "OTHER"),
        (["orders-copy", "--records", "5"], "OTHER"),
        (["--other-read-units", "5"], "--other-read-units"),
        (["--with-region", "eu-west-1"], "OTHER"),
        (["orders-copy", "--with-region", "there"], "operation.with.region"),
        (["--operation", "transform"], "--operation"),
    ],
)
def test_options_that_do_not_go_together_are_named_before_anything_is_asked(
    options: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert starter.run(["estimate", "orders", *options]) == 2
    assert says in capsys.readouterr().err


def test_the_command_estimates_an_unstamp_and_a_comparison(
    make_table: Callable[..., Table], capsys: pytest.CaptureFixture[str]
) -> None:
    table, other = make_table(), make_table()
    table.fill(30)
    assert starter.run(["estimate", table.name, "--operation", "unstamp", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["operation"], found["ledger_write_units"]) == ("unstamp", pytest.approx(0.6))
    assert starter.run(["estimate", table.name, "--operation", "unstamp"]) == 0
    assert "of the ledger" in capsys.readouterr().out
    assert starter.run(["estimate", table.name, other.name, "--other-read-units", "5", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["operation"], found["write_units"], found["other"]["items"]) == ("compare", 0, 0)
    assert found["limits"]["other_read_units_per_second"] == 5
    assert starter.run(["estimate", table.name, other.name]) == 0
    shown = capsys.readouterr().out
    assert other.name in shown
    assert "verification" not in shown
    repair = ["estimate", table.name, other.name, "--operation", "repair", "--records", "7", "--json"]
    assert starter.run(repair) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["operation"], found["records"], found["write_units"]) == ("repair", 7, 7)
    assert starter.run(repair[:-1]) == 0
    assert "7 keys" in capsys.readouterr().out
    assert starter.run(["estimate", table.name, other.name, "--backfill", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["write_units"] == 30
    assert starter.run(["estimate", table.name, other.name + "-nope"]) == 2
    assert "OTHER" in capsys.readouterr().err


def test_the_command_asks_one_table_and_changes_nothing(
    make_table: Callable[..., Table], capsys: pytest.CaptureFixture[str]
) -> None:
    table = make_table()
    table.fill(30)
    before = list(table.items())
    assert starter.run(["estimate", table.name, "--write-units", "10", "--write-price", "2", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["items"], found["write_units"], found["work_seconds"]) == (30, 30, 3.0)
    assert found["dollars"]["write"] == pytest.approx(60e-6)
    assert starter.run(["estimate", table.name]) == 0
    shown = capsys.readouterr().out
    assert "six hours old" in shown
    assert "Actions" in shown
    assert starter.run(["estimate", table.name + "-nope"]) == 2
    assert list(table.items()) == before
