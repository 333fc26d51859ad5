"""Permissions: only what the scope needs is asked for, and only of records in the scope."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from reindexer.dynamo.table import TableClient
from reindexer.errors import Refused
from reindexer.ledger import Ledger
from reindexer.models import Plan
from reindexer.sinks.evidence import stamp_of
from reindexer.sinks.table import make_sink
from tests.tables import BY_TENANT, Table
from tests.test_planning import plan
from tests.written_jobs import offer, write_job

MakeTable = Callable[..., Table]
TENANT = {"kind": "partitions", "values": ["acme"]}


class Role:
    """A client of someone who may call some operations, on records of some partition keys (`leading`) only."""

    def __init__(self, table: Table, *allowed: str, leading: tuple[str, ...] = ()) -> None:
        self._client, self._key = table.client, table.key[0].name
        self._allowed, self._leading = allowed, leading
        self.asked: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("describe_") or name == "meta":
            return getattr(self._client, name)
        return lambda **how: self._call(name, how)

    def _call(self, name: str, how: dict[str, Any]) -> Any:
        self.asked.add(name)
        statements = how.get("Statements", [])
        if name not in self._allowed or (not statements and not self._within(self._partitions(how))):
            raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, name)
        if not all(self._within([self._of(statement)]) for statement in statements):
            return {"Responses": [{"Error": {"Code": "AccessDenied", "Message": "no"}} for _ in statements]}
        return getattr(self._client, name)(**how)

    def _within(self, partitions: list[Any] | None) -> bool:
        if not self._leading:
            return True
        return partitions is not None and all(value["S"] in self._leading for value in partitions)

    def _partitions(self, how: dict[str, Any]) -> list[Any] | None:
        """The partition keys a call names; None: it names none, as a scan."""
        if "KeyConditionExpression" in how:
            name = re.search(r"(\S+) = (:\w+)", how["KeyConditionExpression"])
            assert name is not None
            return [how["ExpressionAttributeValues"][name[2]]]
        if "RequestItems" in how:
            return [key[self._key] for some in how["RequestItems"].values() for key in some["Keys"]]
        return [how["Key"][self._key]] if "Key" in how else None

    def _of(self, statement: dict[str, Any]) -> Any:
        before = statement["Statement"].split(f'"{self._key}"=?')[0].count("?")
        return statement["Parameters"][before]


@pytest.fixture(params=[None, "S"], ids=["partition key", "and sort key"])
def table(request: pytest.FixtureRequest, make_table: MakeTable) -> Table:
    table = make_table(range_type=request.param)
    sort = {"sort": {"S": "1"}} if request.param else {}
    table.put(*({"id": {"S": name}, **sort, "name": {"S": "x"}} for name in ("acme", "globex", "other")))
    return table


def keys(table: Table) -> dict[str, Any]:
    sort = {"sort": "1"} if len(table.key) > 1 else {}
    return {"kind": "keys", "keys": [{"id": name, **sort} for name in ("acme", "globex")]}


def rows(table: Table) -> list[str]:
    return sorted(str(sorted(item.items())) for item in table.items())


PARTIQL, SINGLE = "batch_execute_statement", "update_item"
OPERATIONS = {
    "Query": "query",
    "BatchGetItem": "batch_get_item",
    "PartiQLUpdate": PARTIQL,
    "UpdateItem": SINGLE,
}


def test_the_policy_for_one_tenant_suffices(table: Table, ledger: Ledger) -> None:
    file = Path(__file__).resolve().parent.parent / "deploy/iam/tenant.json"
    [limited] = [part for part in json.loads(file.read_text())["Statement"] if "Condition" in part]
    allowed = [OPERATIONS[action.removeprefix("dynamodb:")] for action in limited["Action"]]
    assert limited["Condition"] == {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": ["TENANT"]}}
    role = Role(table, *allowed, leading=("acme",))
    assert plan(table, ledger, role, scope=TENANT).target.writer == "partiql"


@pytest.mark.parametrize("writer", [PARTIQL, SINGLE])
def test_a_role_limited_to_a_tenant_suffices_for_its_partition(
    table: Table, ledger: Ledger, writer: str
) -> None:
    before = rows(table)
    role = Role(table, "query", "batch_get_item", writer, leading=("acme",))
    made = plan(table, ledger, role, scope=TENANT)
    assert made.target.writer == {PARTIQL: "partiql", SINGLE: "update_item"}[writer]
    assert "scan" not in role.asked
    assert rows(table) == before, "probing changed nothing, nor left anything behind"
    with pytest.raises(Refused, match=r"missing: dynamodb:Query$"):  # which partition is not known before
        plan(table, ledger, role, scope={**TENANT, "values": ["acme", "globex"]})


@pytest.mark.parametrize("writer", [PARTIQL, SINGLE])
def test_a_role_limited_to_some_records_suffices_for_their_keys(
    table: Table, ledger: Ledger, writer: str
) -> None:
    before = rows(table)
    role = Role(table, "batch_get_item", writer, leading=("acme", "globex"))
    assert plan(table, ledger, role, scope=keys(table)).target.writer != "none"
    assert role.asked <= {"batch_get_item", PARTIQL, SINGLE}
    assert rows(table) == before
    with pytest.raises(Refused, match="missing: dynamodb:BatchGetItem"):
        plan(table, ledger, Role(table, "batch_get_item", writer, leading=("other",)), scope=keys(table))


def test_each_scope_asks_for_what_it_needs_and_no_more(table: Table, ledger: Ledger) -> None:
    """What is missing is named, all of it at once, and nothing beside it."""
    write = ["dynamodb:PartiQLUpdate", "dynamodb:UpdateItem"]
    get, verify = "dynamodb:BatchGetItem", {"kind": "verify", "version": 5}
    needed: list[tuple[dict[str, Any], list[str]]] = [
        ({}, ["dynamodb:Scan", get, *write]),
        ({"scope": {"kind": "sample"}}, ["dynamodb:Scan", get, *write]),
        ({"scope": keys(table)}, [get, *write]),
        ({"scope": TENANT}, [get, "dynamodb:Query", *write]),
        ({"operation": verify}, ["dynamodb:Scan"]),
        ({"operation": verify, "scope": keys(table)}, [get]),
        ({"operation": verify, "scope": TENANT}, ["dynamodb:Query"]),
    ]
    for job, actions in needed:
        with pytest.raises(Refused) as refused:
            plan(table, ledger, Role(table), **job)
        assert str(refused.value).split("missing: ")[1].split(", ") == actions, job


def test_an_index_needs_query_on_it_and_reads_by_key(make_table: MakeTable, ledger: Ledger) -> None:
    table = make_table(indexes=BY_TENANT)
    table.put({"id": {"S": "1"}, "tenant": {"S": "acme"}, "at": {"N": "1"}, "reindexVersion": {"N": "8"}})
    scope = {**TENANT, "index": "by-tenant"}
    with pytest.raises(Refused, match=f"BatchGetItem, dynamodb:Query on {table.name}/index/by-tenant$"):
        plan(table, ledger, Role(table), scope=scope, operation={"kind": "verify", "version": 5})
    role = Role(table, "query", "batch_get_item", PARTIQL)
    with pytest.raises(Refused, match="below version 8"):
        plan(table, ledger, role, scope=scope, operation={"kind": "touch", "version": 7})
    assert plan(table, ledger, role, scope=scope).target.writer == "partiql"


def test_versions_are_sampled_in_the_scope(table: Table, ledger: Ledger) -> None:
    sort = {"sort": {"S": "1"}} if len(table.key) > 1 else {}
    table.put({"id": {"S": "globex"}, **sort, "reindexVersion": {"N": "9"}})
    touch = {"kind": "touch", "version": 7}
    role = Role(table, "query", "batch_get_item", PARTIQL)
    assert plan(table, ledger, role, operation=touch, scope=TENANT).target.version == 7
    for scope in (keys(table), {**TENANT, "values": ["acme", "globex"]}):
        with pytest.raises(Refused, match="below version 9"):
            plan(table, ledger, role, operation=touch, scope=scope)


@pytest.mark.parametrize(("writer", "how"), [(PARTIQL, "partiql"), (SINGLE, "update_item")])
def test_a_service_that_denies_is_there(table: Table, writer: str, how: str) -> None:
    """Else a record that keeps failing would be tried for ever under a role limited to a tenant."""
    target = table.target(writer=how)
    role: Any = Role(table, writer, leading=("acme",))
    assert make_sink(TableClient(role, table.name), target, stamp_of(target)).healthy()


@pytest.mark.parametrize("writer", [PARTIQL, SINGLE])
def test_a_job_with_a_query_that_deletes_stays_in_its_scope(
    table: Table, ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, writer: str
) -> None:
    text = """
        class P(Params):
            name: str = "x"

        def query(params):
            return Attr("name").eq(params.name)

        def transform(item, params):
            return Delete()
    """
    offer(monkeypatch, write_job(tmp_path, text))
    before = rows(table)

    def made(role: Role, scope: dict[str, Any], **params: str) -> Plan:
        operation = {"kind": "transform", "job": "job", "params": params}
        return plan(table, ledger, role, operation=operation, scope=scope, allow_no_recovery=True)

    deletes = () if writer == PARTIQL else ("delete_item",)
    role = Role(table, "query", "batch_get_item", writer, *deletes, leading=("acme", "globex"))
    for scope in (TENANT, keys(table)):
        assert not [warning for warning in made(role, scope).warnings if "the query finds" in warning]
        [warning] = [w for w in made(role, scope, name="y").warnings if "the query finds" in w]
        number = "1 record" if scope is TENANT else "2 records"
        assert warning == f"the query finds none of the scope's {number}"
    assert "scan" not in role.asked
    assert rows(table) == before
    if writer == SINGLE:
        with pytest.raises(Refused, match="missing: dynamodb:DeleteItem"):
            made(Role(table, "query", "batch_get_item", SINGLE, leading=("acme",)), TENANT)
