"""Jobs over partitions on every engine: queries a Query cannot send along, deletions, writes by an index."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reindexer.checks.dry_run import dry_run
from reindexer.checks.verification import verify_segment
from reindexer.jobs.job import Job
from reindexer.models import (
    DryRunInput,
    PartitionRange,
    PartitionRanges,
    PartitionScope,
    RoundInput,
    Target,
    Transform,
    VerifyInput,
)
from reindexer.table_rounds import run_round
from reindexer.tally import Outcome, Tally
from tests.driving import FakeContext
from tests.model_table import Clock
from tests.tables import BY_TENANT, Table
from tests.written_jobs import offer, write_job

Make = Callable[..., Table]
WRITERS = pytest.mark.parametrize("writer", ["partiql", "update_item"])


def aimed(table: Table, job: Job, within: PartitionScope, writer: str = "partiql") -> Target:
    operation = Transform(kind="transform", job=job.name, version=7)
    return table.target(operation=operation, code=job.code, writer=writer, within=within)


def carried(table: Table, target: Target, *values: str) -> Tally:
    source = PartitionRanges(ranges=[PartitionRange(value=value) for value in values])
    request = RoundInput(target=target, source=source, seconds=60.0)
    result = run_round(request, FakeContext(Clock()), table.calls)
    assert (result.stop, result.fault) == ("done", None)
    return result.progress.tally


def behind(table: Table, target: Target, *values: str) -> tuple[int, int]:
    source = PartitionRanges(ranges=[PartitionRange(value=value) for value in values])
    request = VerifyInput(target=target, source=source)
    result = verify_segment(request, table.client, FakeContext(Clock()))
    assert (result.done, result.fault) == (True, None)
    return result.scanned, result.behind


@pytest.mark.parametrize(
    ("query", "rows_read"),
    [('Attr("size").lt(5)', 5), ('Attr("sort").lt(5)', 20), ('Attr("id").eq("acme") & Attr("size").lt(5)', 20)],
)
def test_a_query_that_names_the_key_is_judged_here(
    each_engine: Any,
    make_table: Make,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    query: str,
    rows_read: int,
) -> None:
    job = write_job(
        tmp_path,
        f"""
        def query(params):
            return {query}

        def transform(item, params):
            return Update(set={{"seen": True}})
        """,
    )
    offer(monkeypatch, job)
    table = make_table(range_type="N")
    table.put(
        *(
            {"id": {"S": tenant}, "sort": {"N": str(n)}, "size": {"N": str(n)}}
            for tenant in ("acme", "x")
            for n in range(20)
        )
    )
    target = aimed(table, job, PartitionScope(partition=table.key[0], sort=table.key[1]))
    assert behind(table, target, "acme") == (20, 5)
    source = PartitionRanges(ranges=[PartitionRange(value="acme")])
    tried = dry_run(DryRunInput(target=target, source=source, limit=4), table.calls, FakeContext(Clock()))
    assert tried.tally == Tally(scanned=4, updated=4)
    tally = carried(table, target, "acme")
    assert (tally.scanned, tally[Outcome.UPDATED], tally[Outcome.FILTERED]) == (rows_read, 5, rows_read - 5)
    assert behind(table, target, "acme") == (20, 0)
    assert sum("seen" in item for item in table.items()) == 5


@WRITERS
def test_a_deletion_deletes_of_the_named_partitions_alone(
    each_engine: Any, make_table: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, writer: str
) -> None:
    job = write_job(
        tmp_path,
        """
        def transform(item, params):
            return Delete() if item["sort"] % 2 else Skip("even")
        """,
    )
    offer(monkeypatch, job)
    table = make_table(range_type="N")
    table.put(*({"id": {"S": t}, "sort": {"N": str(n)}} for t in ("acme", "x") for n in range(20)))
    target = aimed(table, job, PartitionScope(partition=table.key[0], sort=table.key[1]), writer)
    assert carried(table, target, "acme") == Tally(scanned=20, deleted=10, filtered=10)
    assert behind(table, target, "acme") == (10, 0)
    assert len(list(table.items())) == 30


@WRITERS
def test_a_job_may_move_a_record_out_of_the_partition_it_was_found_in(
    each_engine: Any, make_table: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, writer: str
) -> None:
    job = write_job(
        tmp_path,
        """
        def transform(item, params):
            return Update(set={"tenant": "globex"}) if item["at"] < 3 else Delete()
        """,
    )
    offer(monkeypatch, job)
    table = make_table(indexes=BY_TENANT)
    table.put(
        *({"id": {"S": str(n)}, "tenant": {"S": "acme"}, "at": {"N": str(n)}} for n in range(6)),
    )
    partition, sort = BY_TENANT["by-tenant"]
    target = aimed(table, job, PartitionScope(partition=partition, sort=sort, index="by-tenant"), writer)
    assert carried(table, target, "acme") == Tally(scanned=6, updated=3, deleted=3)
    assert {item["id"]["S"]: item["tenant"]["S"] for item in table.items()} == dict.fromkeys("012", "globex")
    assert behind(table, target, "acme") == (0, 0)
