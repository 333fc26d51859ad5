"""The plan: what is chosen, why, and what is refused, on real engines and with answers no engine here gives."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from reindexer.errors import BadInput, EnvironmentFault, Refused, Unavailable
from reindexer.ledger import Ledger
from reindexer.models import (
    JobInput,
    KeyList,
    Plan,
    PlanInput,
    QuarantineEntry,
    Segment,
)
from reindexer.planning.plan import make_plan
from tests.tables import Table
from tests.written_jobs import offer, write_job

MakeTable = Callable[..., Table]
START = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@pytest.fixture
def table(make_table: MakeTable, dynamodb: Any) -> Table:
    table = make_table()
    table.fill(30, reindexVersion={"N": "5"})
    return table


def plan(
    table: Table, ledger: Ledger, client: Any = None, run: str = "r1", named: str = "", **job: Any
) -> Plan:
    request = PlanInput(
        job=JobInput.model_validate({"table": named or table.name, **job}),
        workflow_id="job-a",
        started_at=START,
        run=run,
    )
    return make_plan(
        request, client=client if client is not None else table.client, ledger=ledger, heartbeat_timeout=10.0
    )


class Altered:
    """A client that refuses some operations, and whose DescribeTable answers hold other values too."""

    def __init__(
        self, client: Any, *denied: str, code: str = "AccessDeniedException", **description: Any
    ) -> None:
        self._client, self._denied, self._code, self._description = client, denied, code, description

    def __getattr__(self, name: str) -> Any:
        if name in self._denied:
            response: Any = {
                "Error": {"Code": self._code, "Message": "no"},
                "ResponseMetadata": {"HTTPStatusCode": 400},
            }

            def refuse(**_: Any) -> Any:
                raise ClientError(response, name)

            return refuse
        if name == "describe_table" and self._description:
            return lambda **how: {"Table": {**self._client.describe_table(**how)["Table"], **self._description}}
        return getattr(self._client, name)


# ── The table ──────────────────────────────────────────────────────────────────────────────────────────────


def test_a_name_and_its_arn_mean_one_table(table: Table, ledger: Ledger) -> None:
    by_name, by_arn = plan(table, ledger), plan(table, ledger, named=table.arn)
    assert by_name == by_arn
    assert by_name.target.table_arn == table.arn
    assert by_name.target.table_id == table.id
    assert by_name.target.version == 1795262400000  # START in milliseconds
    assert (by_name.target.stamp, by_name.run) == ("r1", "r1")


def test_a_table_out_of_reach_is_named(table: Table, ledger: Ledger) -> None:
    with pytest.raises(BadInput, match=f"did you mean {table.name}") as bad:
        plan(table, ledger, named=table.name + "s")
    assert bad.value.field == "table"
    with pytest.raises(BadInput, match="own Region and account"):
        plan(table, ledger, named=f"arn:aws:dynamodb:eu-west-1:111122223333:table/{table.name}")
    for wrong in ("arn:aws:s3:::bucket", "two words", f"{table.arn}/index/by-name"):
        with pytest.raises(BadInput, match="neither a table's name"):
            plan(table, ledger, named=wrong)
    with pytest.raises(BadInput, match=r"there is no table nope in us-east-1$"):
        plan(table, ledger, Altered(table.client, "list_tables"), named="nope")


def test_a_table_that_is_not_active_is_refused(table: Table, ledger: Ledger) -> None:
    with pytest.raises(Refused, match="is DELETING"):
        plan(table, ledger, Altered(table.client, TableStatus="DELETING"))


def test_a_global_table_needs_consent_unless_strongly_consistent(table: Table, ledger: Ledger) -> None:
    replicas = [{"RegionName": "eu-west-1"}, {"RegionName": "us-east-1"}]
    described = Altered(table.client, Replicas=replicas)
    with pytest.raises(Refused, match=r"eu-west-1.*allow_multi_region") as refused:
        plan(table, ledger, described)
    assert refused.value.kind == "MultiRegion"
    assert any("eu-west-1" in text for text in plan(table, ledger, described, allow_multi_region=True).warnings)
    plan(table, ledger, Altered(table.client, Replicas=replicas, MultiRegionConsistency="STRONG"))
    plan(table, ledger, described, operation={"kind": "verify", "version": 5})


def test_the_two_attributes_must_not_be_keys(table: Table, ledger: Ledger) -> None:
    key = table.key[0].name
    with pytest.raises(BadInput, match="key attribute") as bad:
        plan(table, ledger, attributes={"version": "v", "run": key})
    assert bad.value.field == "attributes.run"
    index = {
        "IndexName": "by-version",
        "KeySchema": [{"AttributeName": "reindexVersion", "KeyType": "HASH"}],
    }
    warnings = plan(table, ledger, Altered(table.client, GlobalSecondaryIndexes=[index])).warnings
    assert any("index by-version" in text for text in warnings)


@pytest.mark.parametrize(
    ("name", "kind", "field"),
    [
        ("reindexVersion", "S", "version"),
        ("reindexVersion", "B", "version"),
        ("reindexRun", "N", "run"),
        ("reindexRun", "B", "run"),
        ("reindexVersion", "N", ""),
        ("reindexRun", "S", ""),
    ],
)
@pytest.mark.parametrize("indexes", ["GlobalSecondaryIndexes", "LocalSecondaryIndexes"])
def test_an_index_on_the_two_attributes_has_their_types(
    table: Table, ledger: Ledger, name: str, kind: str, field: str, indexes: str
) -> None:
    index: Any = {"IndexName": "by-it", "KeySchema": [{"AttributeName": name, "KeyType": "HASH"}]}
    defined = table.client.describe_table(TableName=table.name)["Table"]["AttributeDefinitions"]
    types = [*defined, {"AttributeName": name, "AttributeType": kind}]
    described: Any = {"AttributeDefinitions": types, indexes: [index]}
    client = Altered(table.client, **described)
    if field:
        with pytest.raises(BadInput, match=f"key of index by-it of type {kind}") as bad:
            plan(table, ledger, client)
        assert bad.value.field == f"attributes.{field}"
        plan(table, ledger, client, operation={"kind": "verify", "version": 5})  # it writes nothing
    else:
        assert any("index by-it" in text for text in plan(table, ledger, client).warnings)


def test_a_query_that_finds_none_of_the_sample_is_warned_about(
    table: Table, ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dot in a name means a path: the attribute `example.txt` is never found by it."""
    text = """
        def query(params):
            return Attr(params.name).exists()

        class P(Params):
            name: str

        def transform(item, params):
            return Skip("no")
    """
    offer(monkeypatch, write_job(tmp_path, text))
    table.put({"id": {"S": "dotted"}, "example.txt": {"S": "old"}})

    def warned(name: str, **scope: Any) -> list[str]:
        operation = {"kind": "transform", "job": "job", "params": {"name": name}}
        return [w for w in plan(table, ledger, operation=operation, **scope).warnings if "the query finds" in w]

    [warning] = warned("example.txt")
    hint = "; Attr('example.txt') leads into a map, Name('example.txt') is the attribute itself"
    missing = "none of them has an attribute 'example'"
    assert warning == f"the query finds none of the table's 31 records; {missing}{hint}"
    assert warned("id") == []
    scope = {"kind": "keys", "values": ["dotted", "gone"]}
    assert warned("example.txt", scope=scope) == [
        f"the query finds none of the scope's 1 record; {missing}{hint}"
    ]
    assert warned("id", scope=scope) == []
    assert warned("id", scope={"kind": "keys", "values": ["gone"]}) == []


@pytest.mark.parametrize("name", ["aws:rep:deleting", "aws:rep:updatetime", "aws:rep:updateregion"])
def test_items_of_an_old_global_table_need_consent(table: Table, ledger: Ledger, name: str) -> None:
    table.put({"id": {"S": "replicated"}, name: {"S": "us-west-2"}})
    with pytest.raises(Refused, match="1 carry attributes named aws:rep:") as refused:
        plan(table, ledger)
    assert refused.value.kind == "MultiRegion"
    assert any("aws:rep:" in text for text in plan(table, ledger, allow_multi_region=True).warnings)
    plan(table, ledger, operation={"kind": "verify", "version": 5})


def test_a_touch_that_nothing_follows_is_warned_about(table: Table, ledger: Ledger) -> None:
    assert any("nothing follows a touch" in text for text in plan(table, ledger).warnings)
    stream = {"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"}
    streamed = plan(table, ledger, Altered(table.client, StreamSpecification=stream))
    assert streamed.facts.stream == "KEYS_ONLY"
    assert streamed.warnings == []
    unknown = plan(table, ledger, Altered(table.client, "describe_kinesis_streaming_destination"))
    assert any("is denied): perhaps nothing follows" in text for text in unknown.warnings)


# ── Versions ───────────────────────────────────────────────────────────────────────────────────────────────


def test_next_is_above_the_ledger_and_the_sample(table: Table, ledger: Ledger) -> None:
    following = {"kind": "touch", "version": "next"}
    assert plan(table, ledger, operation=following).target.version == 6
    ledger.versions.record(table.arn, "reindexVersion", 9)
    chosen = plan(table, ledger, operation=following).target
    assert chosen.version == 10
    assert chosen.operation.version == 10
    assert plan(table, ledger, operation=following, attributes={"version": "other"}).target.version == 1


def test_a_target_below_what_is_stored_is_refused(table: Table, ledger: Ledger) -> None:
    with pytest.raises(Refused, match="below version 5") as refused:
        plan(table, ledger, operation={"kind": "touch", "version": 4})
    assert refused.value.kind == "LowerVersion"
    assert plan(table, ledger, operation={"kind": "touch", "version": 5}).target.version == 5
    assert plan(table, ledger, operation={"kind": "touch", "version": 4}, allow_lower=True).target.version == 4
    ledger.versions.record(table.arn, "reindexVersion", 8)
    assert any(
        "version 8" in w for w in plan(table, ledger, operation={"kind": "touch", "version": 6}).warnings
    )


def test_a_larger_table_is_sampled_in_several_places(make_table: MakeTable, ledger: Ledger) -> None:
    table = make_table()
    table.fill(400, reindexVersion={"N": "7.5"})
    table.put(*({**key, "reindexVersion": {"S": "7"}} for key in table.fill(50)))
    with pytest.raises(Refused, match="below version 8"):
        plan(table, ledger, operation={"kind": "touch", "version": 7})


def test_verify_reads_only(table: Table, ledger: Ledger) -> None:
    writing = ("batch_execute_statement", "update_item")
    chosen = plan(table, ledger, Altered(table.client, *writing), operation={"kind": "verify", "version": 3})
    assert (chosen.target.writer, chosen.target.version) == ("none", 3)


# ── Permissions and the way of writing ─────────────────────────────────────────────────────────────────────


def test_the_writer_is_one_that_honours_conditions(
    make_table: MakeTable, each_dynamodb: Any, each_engine: Any
) -> None:
    ledger = Ledger("reindexer-ledger")
    ledger.store.create()
    table = make_table()
    keys = table.fill(3)
    chosen = plan(table, ledger)
    if each_engine.name == "moto":
        assert chosen.target.writer == "update_item"
        assert any("ignores conditions" in text for text in chosen.warnings)
    elif each_engine.name in ("dynoxide", "local"):
        assert chosen.target.writer == "partiql"
    assert sorted(map(str, table.items())) == sorted(map(str, keys)), "probing left nothing behind"


@pytest.mark.parametrize("code", ["AccessDeniedException", "UnknownOperationException"])
def test_without_partiql_records_are_written_one_by_one(table: Table, ledger: Ledger, code: str) -> None:
    chosen = plan(table, ledger, Altered(table.client, "batch_execute_statement", code=code))
    assert chosen.target.writer == "update_item"
    assert any("UpdateItem" in text for text in chosen.warnings)


def test_a_busy_table_does_not_decide_how_records_are_written(
    table: Table, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reindexer.planning.asking.backoff", lambda _: 0.0)
    with pytest.raises(Unavailable) as busy:
        plan(table, ledger, Altered(table.client, "batch_execute_statement", code="ThrottlingException"))
    assert busy.value.retryable


def test_every_missing_permission_is_named_at_once(table: Table, ledger: Ledger) -> None:
    denied = ("scan", "batch_get_item", "batch_execute_statement", "update_item")
    with pytest.raises(Refused) as refused:
        plan(table, ledger, Altered(table.client, *denied))
    for action in ("Scan", "BatchGetItem", "PartiQLUpdate", "UpdateItem"):
        assert f"dynamodb:{action}" in str(refused.value)
    with pytest.raises(Refused, match=r"dynamodb:BatchGetItem$"):
        plan(table, ledger, Altered(table.client, "batch_get_item"))
    with pytest.raises(Refused, match="dynamodb:DescribeTable"):
        plan(table, ledger, Altered(table.client, "describe_table"))
    with pytest.raises(EnvironmentFault) as fault:
        plan(table, ledger, Altered(table.client, "describe_table", code="ExpiredTokenException"))
    assert fault.value.code == "ExpiredTokenException"


def test_without_a_ledger_a_job_is_refused(table: Table) -> None:
    with pytest.raises(Refused, match="reindexer setup"):
        plan(table, Ledger("no-such-ledger"))


# ── Scopes ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_scopes_and_isolation(make_table: MakeTable, ledger: Ledger) -> None:
    table = make_table()
    some = plan(table, ledger, scope={"kind": "keys", "keys": [{"id": "a"}, {"id": "b"}, {"id": "a"}]})
    assert some.sources == [KeyList(keys=[{"id": {"S": "a"}}, {"id": {"S": "b"}}])]
    assert some.isolation == "record"
    many = plan(table, ledger, scope={"kind": "keys", "keys": [{"id": str(n)} for n in range(101)]})
    assert many.isolation == "batch"
    sample = plan(table, ledger, scope={"kind": "sample", "limit": 10}, isolation="record")
    assert sample.sources == [Segment(segment=0, total=1, limit=10)]
    assert sample.isolation == "record"


# ── Redrive ────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_redrive_keeps_target_and_stamp_of_the_run(make_table: MakeTable, ledger: Ledger) -> None:
    table = make_table()
    for number in range(5):
        ledger.failures.add(
            QuarantineEntry(
                job="job-a",
                run="old",
                table_arn=table.arn,
                version=3,
                stamp="older",
                key={"id": {"S": str(number)}},
                error="Odd" if number % 2 else "Even",
                message="",
                attempts=1,
                applied="unknown",
                at=START,
            )
        )
    scope = {"kind": "quarantined", "job": "job-a", "run": "old"}
    redecide = plan(table, ledger, run="new", scope=scope)
    assert (redecide.target.version, redecide.target.stamp, redecide.run) == (3, "older", "new")
    assert redecide.isolation == "record"
    assert _keys(redecide) == {"0", "1", "2", "3", "4"}
    assert _keys(plan(table, ledger, scope={**scope, "error": "Odd"})) == {"1", "3"}
    assert _keys(plan(table, ledger, scope={**scope, "keys": [{"id": "2"}, {"id": "2"}]})) == {"2"}
    with pytest.raises(BadInput, match=r"scope\.keys\[1\]: .*not among"):
        plan(table, ledger, scope={**scope, "keys": [{"id": "2"}, {"id": "9"}]})
    with pytest.raises(BadInput, match="nothing to redrive"):
        plan(table, ledger, scope={**scope, "run": "other"})
    other = make_table()
    with pytest.raises(BadInput, match="are records of"):
        plan(other, ledger, scope=scope)


def test_a_redrive_of_the_longest_keys_takes_as_many_as_travel(make_table: MakeTable, ledger: Ledger) -> None:
    """Each may have been changed, and is in its list twice; the others are left for another redrive."""
    table = make_table(range_type="S")
    draw = random.Random(1)  # any seed
    for _ in range(300):
        key = {"id": {"S": draw.randbytes(1020).hex()}, "sort": {"S": draw.randbytes(512).hex()}}
        entry = QuarantineEntry(
            job="job-a", run="old", table_arn=table.arn, version=3, stamp="older", key=key, error="E",
            message="m" * 300, attempts=1, applied="unknown", at=START,
        )  # fmt: skip
        ledger.failures.add(entry)
    made = plan(table, ledger, scope={"kind": "quarantined", "job": "job-a", "run": "old"})
    lists = [source for source in made.sources if isinstance(source, KeyList)]
    taken = sum(len(source.keys) for source in lists)
    assert 100 < taken < 300
    assert all([one.key for one in source.unconfirmed] == source.keys for source in lists)
    assert f"300 records are open, {taken} fit one job: redrive again for the rest" in made.warnings


def _keys(made: Plan) -> set[str]:
    return {key["id"]["S"] for source in made.sources if isinstance(source, KeyList) for key in source.keys}
