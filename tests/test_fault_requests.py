"""What the fault proxy reads out of requests and plans, without any server."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from testbed.faults.draws import Bucket, Call, Draws
from testbed.faults.partiql import statement_shape
from testbed.faults.plan import APPLIED, Fault, FaultKind, FaultPlan
from testbed.faults.requests import Schema, Touched, key_text, tables_of, touched_by
from testbed.faults.truth import Verdict, verdicts

SCHEMAS = {"cities": Schema("id", None, ""), 'odd"name': Schema("a.b", "it's", "")}


@pytest.mark.parametrize(
    ("text", "table", "equals", "assigned"),
    [
        (
            'UPDATE "cities" SET "v"=?, "r"=? WHERE "id"=? AND NOT "v" >= ?',
            *("cities", {"id": 2}, {"v": 0, "r": 1}),
        ),
        (
            'UPDATE "a""b" SET x = \'it\'\'s\' SET "y"=? REMOVE z WHERE ? = "id" AND "s" = -1.5E3',
            *('a"b', {"id": 1, "s": {"N": "-1.5E3"}}, {"x": {"S": "it's"}, "y": 0}),
        ),
        (
            'update t set n = n + ? where not "id" = ? and ("id" = ?) and "m"."id" = ? returning all old *',
            *("t", {"id": 2}, {}),
        ),
        ("DELETE FROM cities WHERE id='a?' AND \"r\"=?", "cities", {"id": {"S": "a?"}, "r": 0}, {}),
        (
            "INSERT INTO \"t\" VALUE {'id': ?, 'm': {'id': 'no', 'z': ?}, 'l': [?, 3], \"n\": 5}",
            *("t", {}, {"id": 0, "n": {"N": "5"}}),
        ),
        ('SELECT "FROM" FROM "t"."index" WHERE "id" = ?', "t", {"id": 0}, {}),
    ],
)
def test_statements(text: str, table: str, equals: Any, assigned: Any) -> None:
    shape = statement_shape(text)
    assert shape is not None
    assert (shape.table, shape.equals, shape.assigned) == (table, equals, assigned)


@pytest.mark.parametrize("text", ["", "nonsense", "UPDATE", "CREATE TABLE x", "?"])
def test_what_is_no_statement_is_listed_as_unread(text: str) -> None:
    assert statement_shape(text) is None
    request = {"Statements": [{"Statement": text}]}
    assert touched_by("BatchExecuteStatement", request, SCHEMAS, None) == [Touched("", None, "", None, 0)]


@pytest.mark.parametrize(
    "same", [["1", "1.0", "1E0", "01", "100e-2"], ["0", "-0", "0.00"], ["-2500", "-2.5E3"]]
)
def test_equal_numbers_are_one_key(same: list[str]) -> None:
    assert len({key_text({"n": {"N": number}}) for number in same}) == 1


def test_long_numbers_are_not_rounded() -> None:
    digits = "9" * 37  # DynamoDB keeps 38
    texts = {key_text({"n": {"N": digits + last}}) for last in ("1", "2", "2.0")}
    assert texts == {f'{{"n":{{"N":"{digits}{last}"}}}}' for last in "12"}


def test_composite_keys_and_odd_names() -> None:
    text = 'DELETE FROM "odd""name" WHERE "it\'s"=? AND "a.b"=? AND "other"=?'
    parameters = [{"N": "1.0"}, {"B": "AA=="}, {"S": "x"}]
    request = {"Statements": [{"Statement": text, "Parameters": parameters}]}
    [item] = touched_by("BatchExecuteStatement", request, SCHEMAS, None)
    assert item == Touched('odd"name', '{"a.b":{"B":"AA=="},"it\'s":{"N":"1"}}', "AA==", None, 0)


@pytest.mark.parametrize(
    ("operation", "request_", "tables"),
    [
        ("Scan", {"TableName": "arn:aws:dynamodb:us-east-1:000000000000:table/cities"}, ["cities"]),
        ("BatchGetItem", {"RequestItems": {"a": {}, "b": {}}}, ["a", "b"]),
        ("TransactWriteItems", {"TransactItems": [{"ConditionCheck": {"TableName": "a"}}]}, ["a"]),
        ("ListTables", {}, []),
    ],
)
def test_tables(operation: str, request_: dict[str, Any], tables: list[str]) -> None:
    assert tables_of(operation, request_) == tables


def test_the_stamp_of_an_update_is_what_it_sets_not_what_it_compares() -> None:
    request = {
        "TableName": "cities",
        "Key": {"id": {"S": "a"}},
        "UpdateExpression": "SET #v = :v, #r=:r REMOVE x",
        "ConditionExpression": "#r = :old",
        "ExpressionAttributeNames": {"#r": "reindexRun", "#v": "v"},
        "ExpressionAttributeValues": {":v": {"N": "1"}, ":r": {"S": "new"}, ":old": {"S": "old"}},
    }
    [item] = touched_by("UpdateItem", request, SCHEMAS, "reindexRun")
    assert item.run == "new"
    del request["UpdateExpression"]
    [item] = touched_by("DeleteItem", request, SCHEMAS, "reindexRun")
    assert item.run is None


def test_an_engine_that_answers_too_few_leaves_the_rest_unknown() -> None:
    items = [Touched("t", str(number), "", None, number) for number in range(3)]
    body = b'{"Responses":[{},{"Error":{"Code":"DuplicateItem"}}]}'
    found = verdicts("BatchExecuteStatement", items, 200, body, {})
    assert found == [Verdict.APPLIED, Verdict.REJECTED, Verdict.UNKNOWN]


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "cut", "unknown": 1},
        {"kind": "nothing"},
        {"kind": "cut", "probability": 1.1},
        {"kind": "cut", "seconds": 1},
        {"kind": "cut", "units_per_second": 1},
        {"kind": "throttle", "burst": 1},
        {"kind": "throttle", "code": "ThrottlingError"},
        {"kind": "statement_throttle", "code": "ThrottlingException"},
        {"kind": "too_large"},
        {"kind": "cut", "hot": [0.5, 0.5]},
        {"kind": "cut", "after": -1},
        {"kind": "cut", "operations": "everything"},
    ],
)
def test_a_plan_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        FaultPlan.model_validate({"faults": [wrong]})


def test_a_plan_survives_json() -> None:
    fault = Fault(
        kind=FaultKind.THROTTLE,
        operations=frozenset({"Scan"}),
        keys=({"id": "a"}, {"id": 1}),
        hot=(0.25, 0.5),
        units_per_second=10,
        tables=frozenset({"cities"}),
    )
    plan = FaultPlan(seed=3, faults=(fault,), stamp=None)
    assert FaultPlan.model_validate_json(plan.model_dump_json()) == plan
    assert fault.key_texts == frozenset({'{"id":{"S":"a"}}', '{"id":{"N":"1"}}'})


@pytest.mark.parametrize("rate", [0.0, 0.1, 1 / 3, 1.0])
def test_mixed_fails_its_rate_and_half_of_it_after_being_applied(rate: float) -> None:
    draws, calls = Draws(FaultPlan.mixed(rate)), 20_000
    found = [
        draws.whole(Call("Scan", {}, str(number).encode(), {}, (), (), writes=False, arn=""))
        for number in range(calls)
    ]
    struck = [fault.kind for fault in found if fault is not None]
    assert len(struck) / calls == pytest.approx(rate, abs=0.01)  # three standard deviations
    if struck:
        assert sum(kind in APPLIED for kind in struck) / len(struck) == pytest.approx(0.5, abs=0.04)


def test_a_call_again_is_another_draw() -> None:
    draws = Draws(FaultPlan(faults=(Fault(kind=FaultKind.CUT, probability=0.5),)))
    found = [draws.whole(Call("Scan", {}, b"same", {}, (), (), writes=False, arn="")) for _ in range(200)]
    assert 60 < sum(fault is not None for fault in found) < 140  # not always, not never


def test_a_bucket_starts_full_and_pays_its_debts() -> None:
    bucket = Bucket(units_per_second=0.001, burst=10)  # nothing worth mentioning flows in while we test
    assert bucket.take(25)
    assert not bucket.take(1)
