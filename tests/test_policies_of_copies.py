"""The policies for a replica and for its follow suffice, and each permission in them is needed."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from reindexer.dynamo.table import TableClient
from reindexer.errors import ReindexerError
from reindexer.ledger import Ledger
from reindexer.models import JobInput, Lineages, OlderSegment, Plan, PlanInput, RoundInput, Source, Stop
from reindexer.planning.create_replica import expire
from reindexer.planning.plan import make_plan
from reindexer.streams.client import StreamCalls, make_streams_client
from reindexer.streams.lineages import opening
from reindexer.streams.listing import describe
from reindexer.table_rounds import Second, make_round
from tests.driving import PATIENCE
from tests.model_stream import Waiting
from tests.planted import Make, content
from tests.stack import CHECKOUT
from tests.tables import Table, made_up_key
from tests.test_repair_end_to_end import contents

_STATEMENTS = {"INSERT": "PartiQLInsert", "UPDATE": "PartiQLUpdate", "DELETE": "PartiQLDelete"}
#: What only a plan's words depend on.
_TOLD = {"DescribeKinesisStreamingDestination", "DescribeContinuousBackups", "DescribeTimeToLive"}
PARTITION = {"kind": "partitions", "values": ["row-000001"]}


def policy(file: str) -> dict[str, list[str]]:
    """Actions by the statement's name, without their service."""
    statements = json.loads((CHECKOUT / "deploy/iam" / file).read_text())["Statement"]
    return {part["Sid"]: [action.split(":")[1] for action in part["Action"]] for part in statements}


SOURCE, REPLICA, FOLLOW = policy("replicate.json"), policy("replica.json"), policy("follow.json")
ON_SOURCE = {
    action
    for name in SOURCE
    if name not in ("KeepTheLedger", "AssumeTheRoleOfTheReplica")
    for action in SOURCE[name]
}
ON_REPLICA = {action for actions in REPLICA.values() for action in actions}


class Role:
    """A client of someone who may do some actions only."""

    def __init__(self, client: Any, allowed: set[str]) -> None:
        self._client, self._allowed, self.meta = client, allowed, client.meta
        self.used: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        return lambda **how: self._call(name, how)

    def _call(self, name: str, how: dict[str, Any]) -> Any:
        statements = how.get("Statements") or how.get("TransactStatements") or []
        named = "".join(part.capitalize() for part in name.split("_"))
        actions = {_STATEMENTS[one["Statement"].split()[0]] for one in statements} or {named}
        self.used |= actions
        if actions <= self._allowed:
            return getattr(self._client, name)(**how)
        if name == "batch_execute_statement":
            return {"Responses": [{"Error": {"Code": "AccessDenied", "Message": "no"}} for _ in statements]}
        raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, name)


class Copied:
    """A table and its replica, each seen by a role."""

    def __init__(self, make_table: Make, ledger: Ledger, source: set[str], replica: set[str]) -> None:
        self.table: Table = make_table(stream="NEW_AND_OLD_IMAGES", range_type="N")
        self.replica: Table = make_table(range_type="N")
        self.table.put(*({**made_up_key(self.table.key, n), **content(n)} for n in range(5)))
        self.here, self.there = Role(self.table.client, source), Role(self.replica.client, replica)
        self._ledger = ledger

    def plan(self, kind: str = "replicate", **more: Any) -> Plan:
        operation = {"kind": kind, "to": {"table": self.replica.name}, **more.pop("operation", {})}
        job = JobInput.model_validate({"table": self.table.name, "operation": operation, **more})
        request = PlanInput(job=job, workflow_id="job-a", started_at=datetime.now(UTC), run="r1")
        here: Any = self.here
        return make_plan(
            request,
            client=here,
            ledger=self._ledger,
            heartbeat_timeout=10.0,
            connect=lambda _: self.there,  # type: ignore[arg-type,return-value]
        )

    def create(self) -> None:
        """The plan, and what follows under the lock."""
        self.plan(operation={"create": True})
        there: Any = self.there
        expire(TableClient(there, self.replica.name))

    def run(self, plan: Plan, source: Source, stream: StreamCalls | None = None) -> None:
        """A round, to its end."""
        clients: list[Any] = [self.here, self.there]
        here, there = map(TableClient, clients, (self.table.name, self.replica.name))
        request = RoundInput(target=plan.target, source=source)
        made = make_round(request, here, Waiting(3.0), PATIENCE, second=Second(there, stream=stream)).run()
        assert (made.fault, made.progress.isolated) == (None, [])
        assert made.stop is (Stop.ASKED if stream else Stop.DONE)

    @property
    def equal(self) -> bool:
        return contents(self.replica, marked=False) == contents(self.table)


def test_the_policies_suffice_and_hold_nothing_that_is_not_used(
    make_table: Make, ledger: Ledger, engine: Any
) -> None:
    copied = Copied(make_table, ledger, ON_SOURCE, ON_REPLICA - set(REPLICA["CreateTheReplica"]))
    copied.replica.put({**made_up_key(copied.replica.key, 900), "reindexOrder": {"N": "5"}})
    plan = copied.plan()
    assert plan.target.writer == "partiql"
    assert not any("denied" in warning for warning in plan.warnings)
    arn = copied.table.client.describe_table(TableName=copied.table.name)["Table"]["LatestStreamArn"]
    streams = Role(make_streams_client(endpoint=engine.endpoint_url), set(FOLLOW["ReadTheStream"]))
    stream = StreamCalls(streams, arn)
    before = datetime.now(UTC) - timedelta(minutes=1)
    changes = Lineages(stream_arn=arn, opened_at=before, reading=opening(describe(stream).listing).reading)
    for source in plan.sources:
        copied.run(plan, source)
    copied.run(plan, OlderSegment(segment=0, total=1))
    copied.table.client.delete_item(TableName=copied.table.name, Key=made_up_key(copied.table.key, 1))
    copied.run(plan, changes, stream)
    assert copied.equal
    ledger.epochs.take(plan.target.destination, plan.target.version, "r1", plan.target.table_arn)
    again = copied.plan("refresh", scope=PARTITION)
    for source in again.sources:
        copied.run(again, source)
    assert copied.equal
    assert copied.here.used == ON_SOURCE
    assert copied.there.used == ON_REPLICA - set(REPLICA["CreateTheReplica"])
    assert streams.used == set(FOLLOW["ReadTheStream"])


@pytest.mark.parametrize("action", sorted(ON_SOURCE - _TOLD - {"Query"}))
def test_without_one_on_the_table_the_plan_says_which(make_table: Make, ledger: Ledger, action: str) -> None:
    with pytest.raises(ReindexerError, match=f"dynamodb:{action}"):
        Copied(make_table, ledger, ON_SOURCE - {action}, ON_REPLICA).plan()


@pytest.mark.parametrize("action", sorted(set(REPLICA["ReadAndWriteTheReplica"])))
def test_without_one_on_the_replica_the_plan_says_which_or_that_it_is_slower(
    make_table: Make, ledger: Ledger, action: str
) -> None:
    copied = Copied(make_table, ledger, ON_SOURCE, ON_REPLICA - {action})
    if action.startswith("PartiQL"):
        assert any("one by one" in warning for warning in copied.plan().warnings)
    else:
        with pytest.raises(ReindexerError, match=f"dynamodb:{action}"):
            copied.plan()
    assert contents(copied.replica) == {}


@pytest.mark.parametrize("side", ["table", "replica"])
def test_a_refresh_of_partitions_needs_a_query_of_both_and_no_scan(
    make_table: Make, ledger: Ledger, side: str
) -> None:
    less = {"Query"}
    copied = Copied(
        make_table, ledger,
        ON_SOURCE - (less if side == "table" else set()) - {"Scan"},
        ON_REPLICA - (less if side == "replica" else set()) - {"Scan"},
    )  # fmt: skip
    place = f"table:{copied.replica.arn}/{copied.replica.id}"
    ledger.epochs.take(place, 7, "r1")
    with pytest.raises(ReindexerError, match="dynamodb:Query"):
        copied.plan("refresh", scope=PARTITION)


def test_creating_a_replica_takes_two_more(make_table: Make, ledger: Ledger) -> None:
    for action in REPLICA["CreateTheReplica"]:
        copied = Copied(make_table, ledger, ON_SOURCE, ON_REPLICA - {action})
        copied.replica.drop()
        with pytest.raises(ReindexerError, match=f"dynamodb:{action}"):
            copied.create()
