"""Whether records of a second table may be created and removed: tried in planning, without doing it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from reindexer.dynamo.table import TableClient
from reindexer.errors import Refused
from reindexer.items import to_json_key
from reindexer.models import Attributes, Segment
from reindexer.operations.repair import BACKFILL, REPAIR
from reindexer.planning.probes import Writer, probe_access, probe_copying, probe_replica
from reindexer.planning.reach import Reach, reach_of
from tests.tables import Table, made_up_key
from tests.test_reach import rows

_VERBS = {"INSERT": "PartiQLInsert", "UPDATE": "PartiQLUpdate", "DELETE": "PartiQLDelete"}
_CALLS = {"put_item": "PutItem", "update_item": "UpdateItem", "delete_item": "DeleteItem"}


class Without:
    """A client of a role that lacks some IAM actions."""

    def __init__(self, client: Any, *denied: str) -> None:
        self._client, self._denied = client, denied

    def __getattr__(self, name: str) -> Any:
        return lambda **how: self._call(name, how)

    def _call(self, name: str, how: dict[str, Any]) -> Any:
        statements = how.get("Statements") or how.get("TransactStatements") or []
        actions = [_VERBS[one["Statement"].split()[0]] for one in statements] or [_CALLS.get(name, name)]
        if not set(actions) & set(self._denied):
            return getattr(self._client, name)(**how)
        if name == "batch_execute_statement":
            return {"Responses": [{"Error": {"Code": "AccessDenied", "Message": "no"}} for _ in statements]}
        raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, name)


def probed(
    table: Table, *denied: str, reach: Reach | None = None, backfill: bool = False
) -> tuple[Writer, str]:
    """How a second table is going to be written, and why, under a role without these actions."""
    client: Any = Without(table.client, *denied)
    its, attributes = TableClient(client, table.name), Attributes()
    reach = reach or reach_of(table.key, None, [], [Segment(segment=0, total=1)])
    writer, _ = probe_access(its, reach, attributes, writes=True)
    outcomes = (BACKFILL if backfill else REPAIR).outcomes
    writer, warnings = probe_copying(its, reach, attributes, writer, outcomes)
    return writer, " ".join(warnings)


@pytest.fixture(params=[("S", None), ("N", "B"), ("B", "S")], ids=lambda types: "-".join(filter(None, types)))
def table(request: pytest.FixtureRequest, make_table: Callable[..., Table]) -> Table:
    hash_type, range_type = request.param
    made = make_table(hash_type=hash_type, range_type=range_type)
    made.fill(3)
    return made


@pytest.mark.usefixtures("each_engine")
def test_probes_leave_nothing_behind_and_allow_what_is_allowed(table: Table) -> None:
    before = rows(table)
    writer, why = probed(table)
    assert (writer, why) in (("partiql", ""), ("update_item", ""))  # an engine may take no PartiQL at all
    assert rows(table) == before


@pytest.mark.parametrize("action", ["PartiQLInsert", "PartiQLDelete"])
def test_without_a_statement_of_its_own_records_are_written_one_by_one(table: Table, action: str) -> None:
    before = rows(table)
    writer, why = probed(table, action)
    assert (writer, f"dynamodb:{action} denied" in why) == ("update_item", True)
    assert rows(table) == before


def test_a_backfill_removes_nothing_and_needs_no_permission_to(table: Table) -> None:
    assert probed(table, "PartiQLDelete", "DeleteItem", backfill=True) == ("partiql", "")


@pytest.mark.parametrize(
    ("denied", "missing"),
    [
        (("PartiQLInsert", "PutItem"), ["PartiQLInsert", "PutItem"]),
        (("PartiQLDelete", "DeleteItem"), ["PartiQLDelete", "DeleteItem"]),
        (("PartiQLDelete", "UpdateItem"), ["PartiQLDelete", "UpdateItem"]),
        (("PartiQLUpdate", "PutItem"), ["PutItem"]),
        (
            ("PartiQLInsert", "PartiQLDelete", "PutItem", "DeleteItem"),
            ["PartiQLInsert", "PartiQLDelete", "PutItem", "DeleteItem"],
        ),
    ],
)
def test_what_is_missing_is_named_all_at_once(
    table: Table, denied: tuple[str, ...], missing: list[str]
) -> None:
    before = rows(table)
    with pytest.raises(Refused) as refused:
        probed(table, *denied)
    assert str(refused.value).split("missing: ")[1] == ", ".join(f"dynamodb:{action}" for action in missing)
    assert rows(table) == before


class Careless(Without):
    """A client of a service that takes a statement for done, whatever its condition."""

    def _call(self, name: str, how: dict[str, Any]) -> Any:
        if name == "batch_execute_statement":
            return {"Responses": [{} for _ in how["Statements"]]}
        return super()._call(name, how)


def test_a_replica_is_written_in_batches_only_where_both_statements_keep_their_promise(table: Table) -> None:
    before, reach = rows(table), reach_of(table.key, None, [], [Segment(segment=0, total=1)])
    ways: dict[str, Any] = {
        "": Without(table.client),
        "dynamodb:PartiQLInsert is denied": Without(table.client, "PartiQLInsert"),
        "dynamodb:PartiQLUpdate is denied": Without(table.client, "PartiQLUpdate"),
        "the service ignores conditions in PartiQL": Careless(table.client),
    }
    for why, client in ways.items():
        writer, warnings = probe_replica(TableClient(client, table.name), reach, Attributes())
        said = [f"records are put one by one, which is much slower: {why}"] if why else []
        assert (writer, warnings) == ("update_item" if why else "partiql", said)
    assert rows(table) == before


@pytest.mark.parametrize("range_type", [None, "S"])
def test_named_keys_that_exist_are_not_changed(
    make_table: Callable[..., Table], range_type: str | None
) -> None:
    made = make_table(range_type=range_type)
    made.fill(3, name={"S": "x"})
    before = rows(made)
    key = to_json_key(made_up_key(made.key, 1))
    reach = Reach(made.key, keys=[key])
    assert probed(made, reach=reach) == ("partiql", "")
    assert probed(made, "PartiQLUpdate", reach=reach) == ("update_item", "")
    with pytest.raises(Refused, match=r"missing: dynamodb:PartiQLDelete, dynamodb:DeleteItem$"):
        probed(made, "PartiQLDelete", "DeleteItem", reach=reach)
    assert rows(made) == before
