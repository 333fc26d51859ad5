"""Records past their time to live: shown by the plan, left alone where asked for, and never by mistake."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from reindexer.dynamo.table import TableClient
from reindexer.errors import BadInput, Refused
from reindexer.items import to_json_key
from reindexer.jobs.catalogue import find_job
from reindexer.jobs.expiry import MAX_SECONDS_PAST, expired
from reindexer.ledger import Ledger
from reindexer.models import (
    Expiry,
    Isolated,
    KeyAttribute,
    KeyList,
    PartitionRange,
    PartitionRanges,
    PartitionScope,
    RecordInput,
    RoundInput,
    Segment,
    Transform,
    VerifyInput,
)
from reindexer.table_rounds import attempt_record, run_round
from reindexer.tally import Tally
from testbed.job import outcome
from testbed.stack import Stack
from tests.driving import FakeContext, shard, target
from tests.model_table import Clock, ModelTable
from tests.tables import Table
from tests.test_planning import START, Altered, plan
from tests.verifying import verified
from tests.written_jobs import aim, offer, write_job

Make = Callable[..., Table]
NOW = int(START.timestamp())
EXPIRY = Expiry(attribute="ends", first=NOW - MAX_SECONDS_PAST, before=NOW)
#: What a TTL attribute may hold, and whether that has expired; None: there is none.
VALUES: list[tuple[dict[str, Any] | None, bool]] = [
    ({"N": str(NOW - 1)}, True),
    ({"N": str(NOW - 3600)}, True),
    ({"N": f"{NOW - 5}.5"}, True),
    ({"N": f"{NOW - MAX_SECONDS_PAST}"}, True),
    ({"N": str(NOW)}, False),  # DynamoDB expires what is below the time
    ({"N": str(NOW + 60)}, False),
    ({"N": str((NOW - 60) * 1000)}, False),  # milliseconds
    ({"N": str(NOW - MAX_SECONDS_PAST - 1)}, False),  # DynamoDB keeps it
    ({"N": "0"}, False),
    ({"N": "-1"}, False),
    ({"N": str(1 - NOW)}, False),
    ({"N": "1E+100"}, False),
    ({"S": str(NOW - 60)}, False),
    ({"S": ""}, False),
    ({"NULL": True}, False),
    ({"BOOL": True}, False),
    ({"B": b"1"}, False),
    ({"NS": [str(NOW - 60)]}, False),
    ({"L": [{"N": str(NOW - 60)}]}, False),
    ({"M": {"N": {"N": str(NOW - 60)}}}, False),
    (None, False),
]
GONE = sum(gone for _, gone in VALUES)


def rows(key: Callable[[int], Any] = lambda number: {"id": {"S": f"row-{number:02}"}}) -> list[Any]:
    return [
        {**key(number), "name": {"S": "ulm"}, **({} if value is None else {"ends": value})}
        for number, (value, _) in enumerate(VALUES)
    ]


@pytest.mark.parametrize(("value", "gone"), VALUES)
def test_only_a_time_between_five_years_ago_and_the_start_has_expired(value: Any, gone: bool) -> None:
    item = {} if value is None else {"ends": value}
    assert expired(EXPIRY, item) is gone
    assert expired(None, item) is False


TRANSFORM = """
    def transform(item, params):
        return Update(set={"seen": True})
"""
PROCESS = """
    def process(item, params):
        pass
"""
DELETE = """
    def transform(item, params):
        return Delete()
"""


@pytest.fixture(params=["touch", "transform", "process", "delete"])
def aimed(request: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Fields of a target."""
    text = {"transform": TRANSFORM, "process": PROCESS, "delete": DELETE}.get(request.param)
    if text is None:
        return {}
    job = write_job(tmp_path, text)
    offer(monkeypatch, job)
    made = aim(job)
    return {"operation": made.operation, "code": made.code}


def changed(aimed: dict[str, Any]) -> str:
    operation = aimed.get("operation")
    return "deleted" if isinstance(operation, Transform) and find_job(operation.job).destructive else "updated"


@pytest.mark.parametrize("isolation", ["batch", "record"])
@pytest.mark.parametrize("writer", ["partiql", "update_item"])
@pytest.mark.parametrize("named", [False, True])
def test_they_count_as_filtered_and_are_never_written(
    aimed: dict[str, Any], writer: str, named: bool, isolation: str
) -> None:
    model = ModelTable(rows())
    source = (
        KeyList(keys=[to_json_key({"id": row["id"]}) for row in rows()])
        if named
        else Segment(segment=0, total=1)
    )
    aim_ = target(expiry=EXPIRY, writer=writer, **aimed)
    carried = shard(model, target=aim_, source=source, isolation=isolation).run()
    tally, left = carried.tally, carried.isolated
    for record in left:  # each an activity of its own
        request = RecordInput(target=aim_, record=Isolated(key=record.key))
        result = attempt_record(request, TableClient(model, "t"), FakeContext(Clock()))  # type: ignore[arg-type]
        assert result.outcome is not None
        tally += Tally(**{result.outcome: 1})
    what = changed(aimed)
    assert tally == Tally(scanned=len(VALUES), filtered=GONE, **{what: len(VALUES) - GONE})
    kept = [row for row in rows() if expired(EXPIRY, row)]
    assert all(row in model.rows.values() for row in kept)
    assert len(model.rows) == (GONE if what == "deleted" else len(VALUES))


BY_END = {"by-end": [KeyAttribute(name="name", type="S")]}
SCOPES = ["complete", "keys", "partitions", "index", "sort key"]


@pytest.mark.parametrize("scope", SCOPES)
def test_verification_leaves_out_the_same_records(
    each_engine: Any, make_table: Make, aimed: dict[str, Any], scope: str
) -> None:
    """DynamoDB judges there, by a filter; where the TTL attribute is a sort key, the rows are looked at."""
    more: dict[str, Any] = {}
    if scope == "sort key":
        table = make_table(range_type="N", range_name="ends")
        values = {value["N"] for value, _ in VALUES if value and "N" in value}
        table.put(*({"id": {"S": "acme"}, "ends": {"N": value}, "name": {"S": "ulm"}} for value in values))
        more["within"] = PartitionScope(partition=table.key[0], sort=table.key[1])
        source: Any = PartitionRanges(ranges=[PartitionRange(value="acme")])
    elif scope == "partitions":
        table = make_table(range_type="S")
        table.put(*rows(lambda number: {"id": {"S": "acme"}, "sort": {"S": f"{number:02}"}}))
        more["within"] = PartitionScope(partition=table.key[0], sort=table.key[1])
        source = PartitionRanges(ranges=[PartitionRange(value="acme")])
    else:
        table = make_table(indexes=BY_END)
        table.put(*rows())
        source = Segment(segment=0, total=1)
        if scope == "keys":
            source = KeyList(keys=[to_json_key({"id": row["id"]}) for row in rows()])
        if scope == "index":
            more["within"] = PartitionScope(partition=BY_END["by-end"][0], index="by-end")
            source = PartitionRanges(ranges=[PartitionRange(value="ulm")])
    items = list(table.items())
    gone = sum(expired(EXPIRY, item) for item in items)
    assert 0 < gone < len(items)
    aim_ = table.target(expiry=EXPIRY, **aimed, **more)
    for keep in (True, False):
        before = verified(
            VerifyInput(target=aim_, source=source), table.client, FakeContext(Clock()), keep=keep
        )
        assert (before.scanned, before.behind) == (len(items), len(items) - gone)
    result = run_round(RoundInput(target=aim_, source=source), FakeContext(Clock()), table.calls)
    what = changed(aimed)
    assert result.progress.tally == Tally(scanned=len(items), filtered=gone, **{what: len(items) - gone})
    after = verified(VerifyInput(target=aim_, source=source), table.client, FakeContext(Clock()))
    assert (after.behind, after.scanned) == (0, gone if what == "deleted" else len(items))


# ── The plan ───────────────────────────────────────────────────────────────────────────────────────────────


class WithTtl(Altered):
    """The engine's client, by which the table has a TTL attribute: real ones delete what has expired."""

    def __init__(self, client: Any, status: str = "ENABLED", name: str = "ends", **more: Any) -> None:
        super().__init__(client, **more)
        self._ttl = {"TimeToLiveStatus": status, "AttributeName": name}

    def describe_time_to_live(self, **_: Any) -> Any:
        return {"TimeToLiveDescription": self._ttl}


@pytest.fixture
def table(make_table: Make) -> Table:
    table = make_table()
    table.put(*rows())
    return table


@pytest.mark.parametrize("status", ["ENABLED", "ENABLING"])
def test_the_plan_shows_the_attribute_and_the_share(table: Table, ledger: Ledger, status: str) -> None:
    client = WithTtl(table.client, status)
    shown = plan(table, ledger, client)
    assert shown.ttl == f"ends; {GONE} of {len(VALUES)} sampled records have expired"
    assert shown.target.expiry is None
    [warning] = [text for text in shown.warnings if "have expired" in text]
    assert f"{GONE} of {len(VALUES)}" in warning
    assert "skip_expired" in warning
    skipping = plan(table, ledger, client, skip_expired=True)
    assert skipping.target.expiry == EXPIRY
    assert skipping.ttl.endswith("and are left alone")
    assert any("expired before 2026-11-21 12:00:00 UTC (by ends)" in text for text in skipping.warnings)
    verifying = plan(table, ledger, client, skip_expired=True, operation={"kind": "verify", "version": 7})
    assert (verifying.target.expiry, verifying.ttl) == (EXPIRY, "ends")


def test_without_a_ttl_nothing_is_skipped_nor_shown(table: Table, ledger: Ledger) -> None:
    for client in (table.client, WithTtl(table.client, "DISABLING"), WithTtl(table.client, "DISABLED")):
        assert plan(table, ledger, client).ttl == ""
        with pytest.raises(BadInput, match=r"^skip_expired: .* no record of it expires"):
            plan(table, ledger, client, skip_expired=True)


def test_the_permission_is_needed_only_to_skip(table: Table, ledger: Ledger) -> None:
    denied = Altered(table.client, "describe_time_to_live")
    assert plan(table, ledger, denied).ttl == "not known: dynamodb:DescribeTimeToLive is denied"
    with pytest.raises(Refused, match="missing: dynamodb:DescribeTimeToLive"):
        plan(table, ledger, denied, skip_expired=True)
    odd = Altered(table.client, "describe_time_to_live", code="ValidationException")
    assert plan(table, ledger, odd).ttl == "not known: asked for it, DynamoDB answers ValidationException"
    with pytest.raises(Refused, match="DynamoDB answers ValidationException"):
        plan(table, ledger, odd, skip_expired=True)


@pytest.mark.parametrize(("field", "name"), [("version", "reindexVersion"), ("run", "reindexRun")])
def test_the_ttl_attribute_is_never_written(table: Table, ledger: Ledger, field: str, name: str) -> None:
    with pytest.raises(BadInput, match=rf"^attributes\.{field}: '{name}' is the TTL attribute"):
        plan(table, ledger, WithTtl(table.client, name=name))


@pytest.mark.parametrize("more", [{}, {"scope": {"kind": "keys", "values": ["old", "new"]}}])
async def test_a_job_leaves_them_alone_and_is_complete(quiet: Stack, make_table: Make, more: Any) -> None:
    table = make_table()
    with_ttl(table)
    table.put({"id": {"S": "new"}}, {"id": {"S": "old"}, "ends": {"N": "1700000000"}})  # in November 2023
    kind, report = await outcome(await quiet.start({"table": table.name, "skip_expired": True, **more}))
    tally = {name: count for name, count in report["tally"].items() if count}
    assert (kind, tally) == ("complete", {"scanned": 2, "updated": 1, "filtered": 1})
    assert report["verification"] == {"scanned": 2, "behind": 0}
    assert any("are left alone, and counted as filtered" in text for text in report["warnings"])
    [kept] = [row for row in table.items() if row["id"]["S"] == "old"]
    assert kept == {"id": {"S": "old"}, "ends": {"N": "1700000000"}}


def with_ttl(table: Table) -> None:
    ttl = {"Enabled": True, "AttributeName": "ends"}
    try:
        table.client.update_time_to_live(TableName=table.name, TimeToLiveSpecification=ttl)
    except ClientError as error:
        raise AssertionError("the engine knows no TTL") from error
