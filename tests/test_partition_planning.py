"""The plan of a job over partitions, on a real engine: what is looked at, dealt, asked for and refused."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from commands.rendering.plan import look_ahead
from reindexer.errors import BadInput, Refused
from reindexer.ledger import Ledger
from reindexer.models import JobInput, KeyAttribute, PartitionRange, PartitionRanges, Plan
from reindexer.plan_rows import plan_rows
from reindexer.settings import settings
from tests.tables import Table
from tests.test_planning import Altered, plan

MakeTable = Callable[..., Table]
INDEX = {"by-tenant": [KeyAttribute(name="tenant", type="S")]}


@pytest.fixture
def table(make_table: MakeTable, dynamodb: Any) -> Table:
    table = make_table(range_type="N", indexes=INDEX)
    table.put(*({"id": {"S": "huge"}, "sort": {"N": str(n)}} for n in range(2500)))
    table.put(*({"id": {"S": "small"}, "sort": {"N": str(n)}, "tenant": {"S": "acme"}} for n in range(10)))
    return table


def ranges(made: Plan) -> list[PartitionRange]:
    found = [part for source in made.sources if isinstance(source, PartitionRanges) for part in source.ranges]
    return sorted(found, key=lambda part: (part.value, float(part.first or "-inf")))


def over(*values: str, **more: Any) -> dict[str, Any]:
    return {"kind": "partitions", "values": list(values), **more}


def test_a_huge_one_is_cut_and_the_others_are_counted(table: Table, ledger: Ledger) -> None:
    made = plan(table, ledger, scope=over("small", "huge", "nobody"))
    parts = ranges(made)
    huge, rest = parts[:-2], parts[-2:]
    assert 3 <= len(huge) <= 32
    assert (huge[0].first, huge[-1].before) == (None, None)
    assert [part.first for part in huge[1:]] == [part.before for part in huge[:-1]], "no gap, no overlap"
    assert [(part.value, part.rows) for part in rest] == [("nobody", 0), ("small", 10)]
    assert made.expected is not None
    assert 2510 <= made.expected <= 2510 + len(huge), "of a part its end may be counted too"
    assert made.isolation == "batch"
    assert plan(table, ledger, scope=over("small", "huge", "nobody")).sources == made.sources


def test_the_sort_key_condition_counts(table: Table, ledger: Ledger) -> None:
    made = plan(table, ledger, scope=over("huge", sort_key={"lt": 50}))
    assert ranges(made) == [PartitionRange(value="huge", rows=50)]
    assert made.expected == 50


def test_as_many_shards_as_wished(table: Table, ledger: Ledger) -> None:
    assert len(plan(table, ledger, scope=over("huge"), total_segments=2).sources) == 2
    assert len(plan(table, ledger, scope=over("huge"), total_segments=1).sources) == 1
    assert len(ranges(plan(table, ledger, scope=over("huge"), total_segments=1))) == 1


def test_by_an_index_only_its_partitions_are_known(table: Table, ledger: Ledger) -> None:
    made = plan(table, ledger, scope=over("acme", index="by-tenant"))
    assert ranges(made) == [PartitionRange(value="acme", rows=10)]
    assert made.target.within is not None
    assert made.target.within.index == "by-tenant"
    assert any("index by-tenant is sparse: records without tenant" in text for text in made.warnings)
    assert any("lags behind" in text for text in made.warnings)


def test_reading_alone_looks_at_nothing_beforehand(table: Table, ledger: Ledger) -> None:
    made = plan(table, ledger, scope=over("huge"), operation={"kind": "verify", "version": 3})
    assert ranges(made) == [PartitionRange(value="huge")]
    assert made.expected is None


def test_a_missing_permission_to_query_is_named_with_its_index(table: Table, ledger: Ledger) -> None:
    with pytest.raises(Refused, match=r"missing: dynamodb:Query$"):
        plan(table, ledger, Altered(table.client, "query"), scope=over("huge"))
    denied = Altered(table.client, "query", "batch_get_item")
    with pytest.raises(Refused) as refused:
        plan(table, ledger, denied, scope=over("acme", index="by-tenant"))
    missing = f"missing: dynamodb:BatchGetItem, dynamodb:Query on {table.name}/index/by-tenant"
    assert missing in str(refused.value)


def test_a_list_too_long_for_one_job_is_refused(table: Table, ledger: Ledger) -> None:
    values = ["x" * 1500 + str(number) for number in range(1000)]
    with pytest.raises(BadInput, match=r"scope\.values: 1000 values are too long together; the first \d+ fit"):
        plan(table, ledger, scope=over(*values))


def test_a_busy_table_is_planned_without_having_been_looked_at(
    table: Table, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reindexer.planning.partitions.sizes._SECONDS_TO_LOOK", 0.0)
    made = plan(table, ledger, scope=over("huge", "small"))
    assert ranges(made) == [PartitionRange(value="huge"), PartitionRange(value="small")]
    assert any("2 of 2 partitions were not looked at" in text for text in made.warnings)
    assert made.expected is None


def test_the_plan_that_is_shown_names_partitions_parts_and_index(
    table: Table, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REINDEXER_LEDGER_TABLE", ledger.table)
    settings.cache_clear()
    try:
        whole = JobInput.model_validate({"table": table.name, "scope": over("huge", "small", "nobody")})
        indexed = JobInput.model_validate({"table": table.name, "scope": over("acme", index="by-tenant")})
        first = over("huge", sort_key={"between": [3, 9]})
        narrow = JobInput.model_validate({"table": table.name, "scope": first})
        jobs = (whole, indexed, narrow)
        shown = [(look_ahead(job, "j"), job) for job in jobs]
    finally:
        monkeypatch.delenv("REINDEXER_LEDGER_TABLE")
        settings.cache_clear()
    rows = [dict(plan_rows(plan, job, None))["partitions"] for plan, job in shown if plan is not None]
    assert re.match(r"3 by id; 1 large, in \d+ parts; 2,5\d\d records seen$", rows[0])
    assert rows[1:] == [
        "1 by tenant, from index by-tenant; 10 records seen",
        "1 by id, sort between 3 and 9; 7 records seen",
    ]
