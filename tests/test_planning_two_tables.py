"""The plan of a job on two tables: what of the second one is refused before anything is read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from reindexer.errors import BadInput, Refused
from reindexer.ledger import Ledger
from reindexer.models import JobInput, Plan, PlanInput
from reindexer.planning.plan import make_plan
from tests.tables import Table
from tests.test_planning import START, Altered

HERE = "arn:aws:dynamodb:us-east-1:111122223333:table/cities"
THERE = "arn:aws:dynamodb:eu-west-1:111122223333:table/cities"
BOTH = [{"RegionName": "us-east-1"}, {"RegionName": "eu-west-1"}]


@pytest.fixture
def tables(make_table: Callable[..., Table]) -> tuple[Table, Table]:
    first, second = make_table(), make_table()
    first.fill(3)
    return first, second


def planned(tables: tuple[Table, Table], ledger: Ledger, *seen: Any, kind: str = "repair", **job: Any) -> Plan:
    """`seen`: what DescribeTable says of either table besides."""
    first, second = (Altered(table.client, **more) for table, more in zip(tables, seen, strict=True))
    operation = {"kind": kind, "with": {"table": tables[1].name}}
    asked = {"table": tables[0].name, "operation": operation, **job}
    request = PlanInput(job=JobInput.model_validate(asked), workflow_id="j", started_at=START, run="r1")
    return make_plan(
        request,
        client=first,  # type: ignore[arg-type]
        ledger=ledger,
        heartbeat_timeout=10.0,
        connect=lambda _other: second,  # type: ignore[arg-type,return-value]
    )


@pytest.mark.parametrize(
    ("of_first", "of_second"),
    [
        (BOTH, BOTH),
        (BOTH, []),  # one that may not see all of them
        ([], [{"ReplicaArn": HERE}]),
    ],
)
def test_replicas_of_one_global_table_are_compared_and_not_repaired(
    tables: tuple[Table, Table], ledger: Ledger, of_first: Any, of_second: Any
) -> None:
    seen = ({"TableArn": HERE, "Replicas": of_first}, {"TableArn": THERE, "Replicas": of_second})
    job: dict[str, Any] = {"allow_no_recovery": True, "allow_multi_region": True}
    with pytest.raises(Refused, match=f"{HERE} and {THERE} are replicas of one global table") as refused:
        planned(tables, ledger, *seen, **job)
    assert refused.value.kind == "OneGlobalTable"
    assert planned(tables, ledger, *seen, **job, dry_run=True).target.writer == "none"
    assert planned(tables, ledger, *seen, kind="compare").target.writer == "none"


@pytest.mark.parametrize(
    ("replicas", "there"),
    [
        ([{"RegionName": "us-east-1"}, {"RegionName": "ap-south-1"}], THERE),
        (BOTH, THERE + "-copy"),
        (BOTH, THERE.replace("111122223333", "444455556666")),
    ],
)
def test_another_table_beside_a_global_one_is_repaired(
    tables: tuple[Table, Table], ledger: Ledger, replicas: Any, there: str
) -> None:
    seen = ({"TableArn": HERE, "Replicas": replicas}, {"TableArn": there})
    made = planned(tables, ledger, *seen, allow_no_recovery=True)
    assert made.target.writer == "partiql"
    assert made.target.other is not None
    assert made.target.other.table_arn == there


@pytest.mark.parametrize("kind", ["compare", "repair"])
def test_a_table_is_not_held_against_itself_by_whichever_name(
    tables: tuple[Table, Table], ledger: Ledger, kind: str
) -> None:
    first, _ = tables
    for name in (first.name, first.arn):
        with pytest.raises(BadInput, match="is the table itself") as bad:
            planned((first, first), ledger, {}, {}, kind=kind, table=name)
        assert bad.value.field == "operation.with.table"
