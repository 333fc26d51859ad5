"""The lock of a table: who holds it over all runs of a chain, and what may go wrong while it is taken."""

from __future__ import annotations

import asyncio
import dataclasses
import uuid
from types import SimpleNamespace
from typing import Any, cast

import pytest
from temporalio.api.enums.v1 import WorkflowExecutionStatus
from temporalio.api.workflow.v1 import WorkflowExecutionInfo
from temporalio.client import Client, WorkflowHandle
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode
from temporalio.testing import ActivityEnvironment

from activities.clients import Clients
from activities.lock import LockActivities
from reindexer.errors import Refused
from reindexer.ledger import Ledger
from reindexer.models import ORDERER, Holder, LockInput, destination_of_table
from reindexer.models.search_index import destination_of
from testbed.embedded import TemporalServer
from tests.stand_in import ARN, working


def lock(workflow_id: str, run_id: str, **more: Any) -> LockInput:
    fields: dict[str, Any] = {
        "table_arn": ARN,
        "version_attribute": "reindexVersion",
        "workflow_id": workflow_id,
        "run_id": run_id,
        "namespace": "default",
        "run": f"stamp-{workflow_id}",
        "wait_seconds": 1,
        **more,
    }
    return LockInput(**fields)


def holder(ledger: Ledger) -> Holder | None:
    return ledger.locks.holder(ARN, "reindexVersion")


# ── With a real server ─────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
async def client(temporal: TemporalServer) -> Client:
    return await temporal.connect()


def activities(ledger: Ledger, client: Any) -> LockActivities:
    return LockActivities(cast(Clients, SimpleNamespace(ledger=ledger)), client)


async def take(locks: LockActivities, request: LockInput) -> None:
    await ActivityEnvironment().run(locks.take_lock, request)


async def first_run_of(handle: WorkflowHandle[Any, Any]) -> str:
    described = await handle.describe()
    return described.raw_description.workflow_execution_info.first_run_id


async def test_a_root_that_continued_as_new_holds_its_lock_until_its_chain_ends(
    ledger: Ledger, client: Client
) -> None:
    queue, name = f"stand-in-{uuid.uuid4().hex[:8]}", f"job-{uuid.uuid4().hex[:8]}"
    locks = activities(ledger, client)
    async with working(client, queue):
        await client.start_workflow("ReindexTable", {}, id=name, task_queue=queue)
        handle = client.get_workflow_handle(name)
        first = await first_run_of(handle)
        await take(locks, lock(name, first))
        await take(locks, lock(name, first))  # a retry after a success
        await handle.signal("cycle")
        while (await handle.describe()).run_id == first:
            await asyncio.sleep(0.05)
        assert await first_run_of(handle) == first

        with pytest.raises(ApplicationError, match=f"being worked on by job {name}") as refused:
            await take(locks, lock("job-b", "id-b"))
        assert (refused.value.type, refused.value.non_retryable) == ("Locked", True)

        await handle.terminate()
        await take(locks, lock("job-b", "id-b"))
        now = holder(ledger)
        assert now
        assert now.workflow_id == "job-b"
        await locks.release_lock(lock(name, first))
        assert holder(ledger) == now, "only its holder releases it"
        await locks.release_lock(lock("job-b", "id-b"))
        assert holder(ledger) is None


async def test_a_later_job_of_the_same_name_is_not_the_holder(ledger: Ledger, client: Client) -> None:
    queue, name = f"stand-in-{uuid.uuid4().hex[:8]}", f"job-{uuid.uuid4().hex[:8]}"
    locks = activities(ledger, client)
    async with working(client, queue):
        await client.start_workflow("ReindexTable", {}, id=name, task_queue=queue)
        handle = client.get_workflow_handle(name)
        await take(locks, lock(name, await first_run_of(handle)))
        await handle.terminate()
        await client.start_workflow("ReindexTable", {}, id=name, task_queue=queue)
        second = await first_run_of(handle)
        await take(locks, lock(name, second))
        now = holder(ledger)
        assert now
        assert now.run_id == second
        await handle.terminate()


async def test_a_holder_that_temporal_has_forgotten_is_closed(ledger: Ledger, client: Client) -> None:
    locks = activities(ledger, client)
    await take(locks, lock(f"never-was-{uuid.uuid4().hex[:8]}", "id-a"))
    await take(locks, lock("job-b", "id-b"))
    now = holder(ledger)
    assert now
    assert now.workflow_id == "job-b"


# ── With a server that answers as it is set ─────────────────────────────────────────────────────────────────


class Server:
    """Describes one workflow. `failing`: by the name of a call, what the next ones raise instead."""

    namespace = "default"

    def __init__(self, first_run_id: str, status: str = "RUNNING") -> None:
        self.first_run_id, self.status = first_run_id, status
        self.failing: dict[str, list[RPCStatusCode]] = {}

    @property
    def workflow_service(self) -> Server:
        return self

    async def get_cluster_info(self, _: Any) -> Any:
        self._fail("get_cluster_info")
        return SimpleNamespace(cluster_id="cluster-1")

    async def describe_workflow_execution(self, request: Any) -> Any:
        assert not request.execution.run_id, "a run of the chain says nothing of the chain"
        self._fail("describe_workflow_execution")
        status = WorkflowExecutionStatus.Value(f"WORKFLOW_EXECUTION_STATUS_{self.status}")
        info = WorkflowExecutionInfo(first_run_id=self.first_run_id, status=status)
        return SimpleNamespace(workflow_execution_info=info)

    def _fail(self, call: str) -> None:
        if self.failing.get(call):
            raise RPCError("not now", self.failing[call].pop(0), b"")


@pytest.mark.parametrize("status", ["RUNNING", "PAUSED", "CONTINUED_AS_NEW", "UNSPECIFIED"])
async def test_only_a_closed_chain_loses_its_lock(ledger: Ledger, status: str) -> None:
    locks = activities(ledger, Server("id-a", status))
    await take(locks, lock("job-a", "id-a"))
    with pytest.raises(ApplicationError, match="being worked on by job job-a"):
        await take(locks, lock("job-b", "id-b"))
    held = holder(ledger)
    assert held
    assert held.workflow_id == "job-a"


@pytest.mark.parametrize("status", ["COMPLETED", "FAILED", "CANCELED", "TERMINATED", "TIMED_OUT"])
async def test_a_closed_chain_loses_its_lock(ledger: Ledger, status: str) -> None:
    locks = activities(ledger, Server("id-a", status))
    await take(locks, lock("job-a", "id-a"))
    await take(locks, lock("job-b", "id-b"))
    held = holder(ledger)
    assert held
    assert held.workflow_id == "job-b"


@pytest.mark.parametrize("call", ["get_cluster_info", "describe_workflow_execution"])
async def test_a_server_that_does_not_answer_for_a_moment_is_asked_again(ledger: Ledger, call: str) -> None:
    server = Server("id-a")
    locks = activities(ledger, server)
    await take(locks, lock("job-a", "id-a"))
    server.failing[call] = [RPCStatusCode.UNAVAILABLE]
    with pytest.raises(RPCError):  # which the activity's retry policy tries again
        await take(locks, lock("job-b", "id-b"))
    with pytest.raises(ApplicationError, match="being worked on by job job-a"):
        await take(locks, lock("job-b", "id-b"))
    held = holder(ledger)
    assert held
    assert held.workflow_id == "job-a"


async def test_the_holder_has_one_name_and_releases_whatever_it_was_called(ledger: Ledger) -> None:
    server = Server("id-a")
    locks = activities(ledger, server)
    server.failing["get_cluster_info"] = [RPCStatusCode.PERMISSION_DENIED]
    await take(locks, lock("job-a", "id-a"))  # its cluster is not known: the namespace alone is its name
    await take(locks, lock("job-a", "id-a"))  # known now, to a retry
    held = holder(ledger)
    assert held
    assert held.namespace == "default"
    await locks.release_lock(lock("job-a", "id-a"))
    assert holder(ledger) is None


async def test_a_holder_elsewhere_is_refused_and_taken_by_force(ledger: Ledger) -> None:
    ledger.locks.take(lock("job-a", "id-a", namespace="default@elsewhere"))
    locks = activities(ledger, Server("id-a", "COMPLETED"))
    with pytest.raises(ApplicationError, match="which cannot be asked"):
        await take(locks, lock("job-b", "id-b"))
    await take(locks, lock("job-b", "id-b", take=True))
    held = holder(ledger)
    assert held
    assert (held.workflow_id, held.namespace) == ("job-b", "default@cluster-1")


async def test_force_is_for_the_holder_of_before_not_for_who_came_meanwhile(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger.locks.take(lock("job-a", "id-a", namespace="default@elsewhere"))
    before = holder(ledger)
    assert before
    replace = ledger.locks.replace

    def too_late(mine: LockInput, found: Holder) -> bool:
        monkeypatch.undo()
        assert replace(lock("job-c", "id-c", namespace="default@cluster-1"), before)
        return ledger.locks.replace(mine, found)

    monkeypatch.setattr(ledger.locks, "replace", too_late)
    locks = activities(ledger, Server("id-c"))
    with pytest.raises(ApplicationError, match="being worked on by job job-c"):
        await take(locks, lock("job-b", "id-b", take=True))
    held = holder(ledger)
    assert held
    assert held.workflow_id == "job-c"


async def test_a_retry_forces_no_other_holder_than_its_first_attempt_found(ledger: Ledger) -> None:
    ledger.locks.take(lock("job-c", "id-c", namespace="default@cluster-1"))
    locks = activities(ledger, Server("id-c"))
    retry = ActivityEnvironment()
    retry.info = dataclasses.replace(retry.info, heartbeat_details=["id-a"], attempt=2)
    with pytest.raises(ApplicationError, match="being worked on by job job-c"):
        await retry.run(locks.take_lock, lock("job-b", "id-b", take=True))


async def test_a_lock_that_was_given_back_during_the_wait_is_taken(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    locks = activities(ledger, Server("id-a", "COMPLETED"))
    await take(locks, lock("job-a", "id-a"))
    replace = ledger.locks.replace

    def gone(mine: LockInput, found: Holder) -> bool:
        ledger.locks.release(lock("job-a", "id-a"))
        return replace(mine, found)

    monkeypatch.setattr(ledger.locks, "replace", gone)
    await take(locks, lock("job-b", "id-b"))
    held = holder(ledger)
    assert held
    assert held.workflow_id == "job-b"


class Runs(Server):
    """Describes every workflow as running but for job-a, which has ended."""

    async def describe_workflow_execution(self, request: Any) -> Any:
        name = request.execution.workflow_id
        self.first_run_id = name.replace("job", "id")
        self.status = "COMPLETED" if name == "job-a" else "RUNNING"
        return await super().describe_workflow_execution(request)


async def test_two_that_wait_for_one_lock_do_not_both_get_it(ledger: Ledger) -> None:
    locks = activities(ledger, Runs(""))
    await take(locks, lock("job-a", "id-a"))
    one = take(locks, lock("job-b", "id-b"))
    other = take(locks, lock("job-c", "id-c", wait_seconds=2))
    first, second = await asyncio.gather(one, other, return_exceptions=True)
    assert first is None
    assert isinstance(second, ApplicationError)
    assert "being worked on by job job-b" in second.message


@pytest.mark.parametrize(
    ("destination", "said"),
    [
        (destination_of_table(ARN, "0-1"), f"the replica {ARN} is being worked on by job job-b "),
        (destination_of("cluster", "cities"), "the alias cities is being worked on by job job-b "),
    ],
)
async def test_a_destination_is_named_as_people_know_it(ledger: Ledger, destination: str, said: str) -> None:
    """Not by the ledger's key, and without the advice to choose other attributes: it has none."""
    locks, asked = activities(ledger, Runs("")), {"table_arn": destination, "version_attribute": ORDERER}
    asked["run_attribute"] = ORDERER
    await take(locks, lock("job-b", "id-b", **asked))
    with pytest.raises(ApplicationError) as refused:
        await take(locks, lock("job-c", "id-c", **asked))
    assert refused.value.message.startswith(said)
    assert refused.value.message.endswith(": wait for it, or cancel it")
    place = said.partition(" is being")[0]
    lost = ledger.locks.lost(lock("job-c", "id-c", **asked))
    assert lost.startswith(f"the lock of {place} is held by job job-b ")


async def test_each_part_of_a_lock_may_have_another_holder(ledger: Ledger) -> None:
    """One has closed, one runs: nothing is left of what was taken over. Then both have closed."""
    locks = activities(ledger, Runs(""))
    await take(locks, lock("job-a", "id-a", version_attribute="aaa", run_attribute="aaaRun"))
    await take(locks, lock("job-c", "id-c", version_attribute="ccc", run_attribute="cccRun"))
    mine = lock("job-b", "id-b", version_attribute="aaa", run_attribute="cccRun")
    with pytest.raises(ApplicationError, match=r"worked on by job job-c .* which writes cccRun too"):
        await take(locks, mine)
    assert ledger.locks.holder(ARN, "aaa") is None
    held = ledger.locks.holder(ARN, "cccRun")
    assert held
    assert held.workflow_id == "job-c"
    await take(activities(ledger, Server("id-c", "COMPLETED")), mine)
    for name in ("aaa", "cccRun"):
        held = ledger.locks.holder(ARN, name)
        assert held
        assert held.workflow_id == "job-b"


async def test_force_is_for_the_holder_that_was_named_not_for_that_of_the_other_part(ledger: Ledger) -> None:
    elsewhere = {"namespace": "default@elsewhere"}
    ledger.locks.take(lock("job-a", "id-a", version_attribute="aaa", run_attribute="aaaRun", **elsewhere))
    ledger.locks.take(lock("job-c", "id-c", version_attribute="ccc", run_attribute="cccRun", **elsewhere))
    locks = activities(ledger, Server("id-a"))
    mine = lock("job-b", "id-b", version_attribute="aaa", run_attribute="cccRun", take=True)
    with pytest.raises(ApplicationError, match="held by job job-c"):
        await take(locks, mine)
    await take(locks, mine)
    held = ledger.locks.holder(ARN, "cccRun")
    assert held
    assert held.workflow_id == "job-b"


async def test_an_item_that_is_no_lock_is_refused_and_left_alone(ledger: Ledger, dynamodb: Any) -> None:
    odd = {"pk": {"S": f"table#{ARN}#reindexVersion"}, "sk": {"S": "lock"}, "owner": {"S": "a person"}}
    dynamodb.put_item(TableName=ledger.table, Item=odd)
    for request in (lock("job-b", "id-b"), lock("job-b", "id-b", take=True)):
        with pytest.raises(ApplicationError, match="cannot be read") as refused:
            await take(activities(ledger, Server("id-b")), request)
        assert refused.value.non_retryable
    with pytest.raises(Refused, match="sk='lock'"):
        holder(ledger)
    await activities(ledger, Server("id-b")).release_lock(lock("job-b", "id-b"))
    key = {"pk": odd["pk"], "sk": odd["sk"]}
    assert dynamodb.get_item(TableName=ledger.table, Key=key)["Item"] == odd
