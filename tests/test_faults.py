"""The fault proxy before a real engine, fault by fault: what boto3 sees, and what the engine really did."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from botocore.exceptions import ChecksumError, ClientError

from reindexer.dynamo.client import make_client
from testbed.faults import Fault, FaultKind, FaultPlan, FaultProxy
from testbed.faults.plan import CODES
from tests.faulty import CALL_ERRORS, RUN, K, assert_fails, changed, codes, inject, key, touches, update
from tests.tables import Table

pytest_plugins = ["tests.proxied"]
SOON = 0.3  # seconds until a late write; long enough to look at the table before


@pytest.mark.parametrize(
    "kind", [k for k in (*CALL_ERRORS, K.CUT, K.TIMEOUT) if not k.endswith(("_applied", "_late"))]
)
def test_a_call_fails_and_the_engine_never_sees_it(
    kind: FaultKind, proxy: FaultProxy, through: Any, impatient: Any, table: Table
) -> None:
    client = impatient if "timeout" in kind else through
    inject(proxy, Fault(kind=kind, max_bytes=10 if kind is K.TOO_LARGE else None))
    assert_fails(kind, lambda: client.update_item(**update(table, 0)))
    assert_fails(kind, lambda: client.batch_execute_statement(**touches(table, 1, 2)))
    truth = proxy.truth()
    assert truth.injected == {kind: 2}
    assert truth.tables == {}
    assert changed(table) == set()


@pytest.mark.parametrize(
    "kind", [K.SERVER_ERROR_APPLIED, K.UNAVAILABLE_APPLIED, K.CUT_APPLIED, K.TIMEOUT_APPLIED]
)
def test_a_call_fails_after_it_was_applied(
    kind: FaultKind, proxy: FaultProxy, through: Any, impatient: Any, table: Table
) -> None:
    client = impatient if "timeout" in kind else through
    inject(proxy, Fault(kind=kind, limit=2))
    assert_fails(kind, lambda: client.update_item(**update(table, 0)))
    assert_fails(kind, lambda: client.batch_execute_statement(**touches(table, 1, 2)))
    assert changed(table) == {0, 1, 2}
    assert codes(through.batch_execute_statement(**touches(table, 2))) == ["ConditionalCheckFailed"]
    truth = proxy.truth()
    assert truth.injected == {kind: 2}
    assert (truth.applied(table.name), truth.changed(table.name, RUN)) == (3, 3)
    row = truth.key(table.name, key(2))
    assert (row.forwarded, row.applied, row.refused, row.runs) == (2, 1, 1, {RUN: 1})
    assert truth.changed_twice(RUN) == []


@pytest.mark.alone  # a fifth of a second lies between the answer and the write
@pytest.mark.parametrize("kind", [K.SERVER_ERROR_LATE, K.CUT_LATE, K.TIMEOUT_LATE])
def test_a_call_fails_and_is_applied_later(
    kind: FaultKind, proxy: FaultProxy, through: Any, impatient: Any, table: Table
) -> None:
    late = 1.2 if kind is K.TIMEOUT_LATE else SOON  # seconds; the client waits one before it gives up
    client = impatient if "timeout" in kind else through
    inject(proxy, Fault(kind=kind, seconds=late))
    assert_fails(kind, lambda: client.update_item(**update(table, 3)))
    assert proxy.truth().pending == 1
    assert changed(table) == set()
    truth = proxy.truth(wait=5)
    assert (truth.pending, truth.key(table.name, key(3)).applied) == (0, 1)
    assert changed(table) == {3}


@pytest.mark.alone
def test_a_reset_drops_late_writes_and_counts(proxy: FaultProxy, through: Any, table: Table) -> None:
    inject(proxy, Fault(kind=K.SERVER_ERROR_LATE, seconds=SOON))
    assert_fails(K.SERVER_ERROR_LATE, lambda: through.update_item(**update(table, 3)))
    proxy.reset()
    time.sleep(2 * SOON)
    truth = proxy.truth()
    assert (truth.injected, truth.tables, truth.pending) == ({}, {}, 0)
    assert changed(table) == set()


@pytest.mark.parametrize("kind", [K.TRUNCATED, K.BROKEN_JSON, K.WRONG_CRC32])
def test_a_damaged_answer_looks_like_success_unless_the_checksum_is_checked(
    kind: FaultKind, proxy: FaultProxy, through: Any, table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    inject(proxy, Fault(kind=kind))
    answer = through.batch_execute_statement(**touches(table, 0, 1))
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert ("Responses" in answer) is (kind is K.WRONG_CRC32)
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", proxy.endpoint_url)
    checking = make_client()
    for call in (
        lambda: checking.batch_execute_statement(**touches(table, 2)),
        lambda: checking.scan(TableName=table.name),
    ):
        with pytest.raises(ChecksumError):
            call()
    assert changed(table) == {0, 1, 2}
    assert proxy.truth().changed(table.name, RUN) == 3


def test_slow(proxy: FaultProxy, through: Any, table: Table) -> None:
    inject(proxy, Fault(kind=K.SLOW, seconds=SOON, operations=frozenset({"UpdateItem"})))
    started = time.monotonic()
    through.update_item(**update(table, 0))
    assert time.monotonic() - started >= SOON
    assert proxy.truth().injected == {"slow": 1}


@pytest.mark.parametrize("code", CODES[K.THROTTLE])
def test_a_throttle_says_why(code: str, proxy: FaultProxy, through: Any, table: Table) -> None:
    expected = {
        "ProvisionedThroughputExceededException": "TableWriteProvisionedThroughputExceeded",
        "ThrottlingException": "TableWriteMaxOnDemandThroughputExceeded",
        "RequestLimitExceeded": "TableWriteAccountLimitExceeded",
    }
    inject(proxy, Fault(kind=K.THROTTLE, code=code))
    with pytest.raises(getattr(through.exceptions, code)) as caught:  # a modelled error of its own
        through.batch_execute_statement(**touches(table, 0))
    name = "throttlingReasons" if code == "ThrottlingException" else "ThrottlingReasons"
    answer: Any = caught.value.response
    assert answer[name] == [{"reason": expected[code], "resource": table.arn}]
    inject(proxy, Fault(kind=K.THROTTLE, code=code, keys=(key(1),)))
    with pytest.raises(ClientError) as caught:
        through.update_item(**update(table, 1))
    answer = caught.value.response
    assert answer[name][0]["reason"] == "TableWriteKeyRangeThroughputExceeded"
    through.update_item(**update(table, 0))


def test_throttling_by_rate(proxy: FaultProxy, through: Any, make_table: Callable[..., Table]) -> None:
    table, rate = make_table(rows=100), 100.0  # units per second
    inject(proxy, Fault(kind=K.STATEMENT_THROTTLE, units_per_second=rate, burst=20))
    left, started = list(range(100)), time.monotonic()
    while left:
        answer = codes(through.batch_execute_statement(**touches(table, *left[:25])))
        assert set(answer) <= {"ok", "ProvisionedThroughputExceeded"}
        left = [number for number, code in zip(left, answer, strict=False) if code != "ok"] + left[25:]
    assert time.monotonic() - started >= (100 - 20 - 1) / rate  # the burst is free, and one unit of debt
    assert proxy.truth().applied(table.name) == 100

    inject(proxy, Fault(kind=K.THROTTLE, operations="writes", units_per_second=1, burst=20))
    through.batch_execute_statement(**touches(table, *range(25), version=8))  # 25 units of 20: in debt for 5 s
    assert_fails(K.THROTTLE, lambda: through.batch_execute_statement(**touches(table, 30, version=8)))


@pytest.mark.alone
def test_a_read_is_charged_what_it_consumed(
    proxy: FaultProxy, through: Any, make_table: Callable[..., Table]
) -> None:
    table = make_table(rows=60)
    table.put(*({**key(number), "blob": {"S": "x" * 4000}} for number in range(60)))  # 240 kB: 30 units
    inject(proxy, Fault(kind=K.THROTTLE, operations="reads", units_per_second=2, burst=1))
    consumed = through.scan(TableName=table.name, ReturnConsumedCapacity="TOTAL")["ConsumedCapacity"]
    if consumed["CapacityUnits"] < 5:  # units; some 30 on AWS
        pytest.skip("this engine does not measure reads")
    time.sleep(1)  # seconds; 2 units of some 29 owed, more than if the scan had cost one
    with pytest.raises(ClientError) as caught:
        through.scan(TableName=table.name, ReturnConsumedCapacity="TOTAL")
    answer: Any = caught.value.response
    assert answer["ThrottlingReasons"][0]["reason"].startswith("TableRead")


def test_a_hot_range_is_the_same_partitions_every_time(proxy: FaultProxy, through: Any, table: Table) -> None:
    found = []
    for hot in ((0.0, 0.5), (0.5, 1.0)):
        inject(proxy, Fault(kind=K.STATEMENT_THROTTLE, hot=hot))
        answers = [codes(through.batch_execute_statement(**touches(table, *range(6)))) for _ in range(2)]
        struck = [[code == "ProvisionedThroughputExceeded" for code in answer] for answer in answers]
        assert struck[0] == struck[1]
        found.append(struck[0])
    assert all(cold != hot for cold, hot in zip(*found, strict=True))


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (k, code)
        for k in (K.STATEMENT_THROTTLE, K.STATEMENT_ERROR, K.STATEMENT_ERROR_APPLIED)
        for code in CODES[k]
    ],
)
def test_one_statement_fails_inside_a_200(
    kind: FaultKind, code: str, proxy: FaultProxy, through: Any, table: Table
) -> None:
    inject(proxy, Fault(kind=kind, code=code, keys=({"id": "row-000001"},)))
    answer = through.batch_execute_statement(**touches(table, 0, 1, 99, 2))
    assert codes(answer) == ["ok", code, "ConditionalCheckFailed", "ok"]
    assert answer["Responses"][1]["Error"]["Message"]
    assert answer["Responses"][1]["TableName"] == table.name
    applied = kind is K.STATEMENT_ERROR_APPLIED
    truth = proxy.truth()
    assert truth.key(table.name, key(1)).forwarded == truth.key(table.name, key(1)).applied == int(applied)
    assert truth.key(table.name, key(99)).refused == 1
    assert changed(table) == ({0, 1, 2} if applied else {0, 2})
    assert truth.injected == {kind: 1}
    answer = through.batch_execute_statement(**touches(table, 1))  # nothing else in the batch
    assert codes(answer) == [code]


def test_a_poisoned_record_fails_every_call_it_is_in(proxy: FaultProxy, through: Any, table: Table) -> None:
    inject(proxy, Fault(kind=K.SERVER_ERROR, keys=({"id": "row-000001"},)))
    for numbers in ([0, 1], [1], [1, 2, 3]):
        call = partial(through.batch_execute_statement, **touches(table, *numbers))
        assert_fails(K.SERVER_ERROR, call)
    assert_fails(K.SERVER_ERROR, lambda: through.get_item(TableName=table.name, Key=key(1)))
    through.batch_execute_statement(**touches(table, 0, 2, 3))
    through.get_item(TableName=table.name, Key=key(2))
    assert changed(table) == {0, 2, 3}


def test_failed_conditions_without_their_item(proxy: FaultProxy, through: Any, table: Table) -> None:
    def failures() -> list[Any]:
        batch = through.batch_execute_statement(**touches(table, 0, 99))["Responses"]
        with pytest.raises(through.exceptions.ConditionalCheckFailedException) as single:
            through.update_item(**update(table, 0))
        with pytest.raises(through.exceptions.TransactionCanceledException) as several:
            through.transact_write_items(TransactItems=[{"Update": update(table, 0)}])
        [reason] = several.value.response["CancellationReasons"]
        assert codes({"Responses": batch}) == ["ConditionalCheckFailed"] * 2
        return [place.get("Item") for place in (batch[0]["Error"], single.value.response, reason)]

    through.update_item(**update(table, 0))
    assert all(item["reindexRun"] == {"S": RUN} for item in failures())
    inject(proxy, Fault(kind=K.STRIP_ITEM))
    assert failures() == [None] * 3
    truth = proxy.truth()
    assert truth.injected == {"strip_item": 3}
    assert truth.key(table.name, key(0)).refused == 6


def test_access_is_denied_from_a_moment_on(proxy: FaultProxy, through: Any, table: Table) -> None:
    inject(proxy, Fault(kind=K.ACCESS_DENIED, after=2))
    through.scan(TableName=table.name)
    through.update_item(**update(table, 0))
    for call in (
        lambda: through.update_item(**update(table, 1)),
        lambda: through.scan(TableName=table.name),
        lambda: through.describe_table(TableName=table.name),
    ):
        assert_fails(K.ACCESS_DENIED, call)
    proxy.set_plan(FaultPlan())
    through.update_item(**update(table, 1))
    assert changed(table) == {0, 1}


def test_partiql_denied_leaves_update_item(proxy: FaultProxy, through: Any, table: Table) -> None:
    inject(proxy, Fault(kind=K.PARTIQL_DENIED))
    with pytest.raises(ClientError, match="PartiQLUpdate") as caught:
        through.batch_execute_statement(**touches(table, 0))
    assert caught.value.response["Error"]["Code"] == "AccessDeniedException"
    with pytest.raises(ClientError, match="PartiQLUpdate"):
        through.execute_statement(**touches(table, 0)["Statements"][0])
    through.update_item(**update(table, 1))
    assert changed(table) == {1}


def test_scope_by_operation_and_table(
    proxy: FaultProxy, through: Any, table: Table, make_table: Callable[..., Table]
) -> None:
    other = make_table(rows=1)
    inject(proxy, Fault(kind=K.SERVER_ERROR, operations="reads", tables=frozenset({table.name})))
    through.update_item(**update(table, 0))
    through.scan(TableName=other.name)
    through.describe_table(TableName=table.name)
    assert_fails(K.SERVER_ERROR, lambda: through.scan(TableName=table.name))
    assert_fails(K.SERVER_ERROR, lambda: through.get_item(TableName=table.arn, Key=key(0)))
    select = f'SELECT * FROM "{table.name}" WHERE "id"=?'
    assert_fails(K.SERVER_ERROR, lambda: through.execute_statement(Statement=select, Parameters=[key(0)["id"]]))
    inject(proxy, Fault(kind=K.SERVER_ERROR, operations=frozenset({"DescribeTable"}), limit=1))
    through.scan(TableName=table.name)
    assert_fails(K.SERVER_ERROR, lambda: through.describe_table(TableName=table.name))
    through.describe_table(TableName=table.name)


def test_unprocessed(proxy: FaultProxy, through: Any, table: Table) -> None:
    inject(proxy, Fault(kind=K.UNPROCESSED, keys=({"id": "row-000001"}, {"id": "row-000002"})))
    wanted = {table.name: {"Keys": [key(0), key(1), key(2)], "ConsistentRead": True}}
    answer = through.batch_get_item(RequestItems=wanted)
    assert answer["Responses"][table.name] == [key(0)]
    assert answer["UnprocessedKeys"] == {table.name: {"Keys": [key(1), key(2)], "ConsistentRead": True}}
    assert_fails(K.THROTTLE, lambda: through.batch_get_item(RequestItems=answer["UnprocessedKeys"]))
    puts = [{"PutRequest": {"Item": {**key(number), "reindexVersion": {"N": "1"}}}} for number in (0, 1)]
    answer = through.batch_write_item(RequestItems={table.name: puts})
    assert answer["UnprocessedItems"] == {table.name: puts[1:]}
    assert changed(table) == {0}
    truth = proxy.truth()
    assert (truth.injected, truth.applied(table.name)) == ({"unprocessed": 5}, 1)
