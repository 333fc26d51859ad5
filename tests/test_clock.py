"""A worker whose clock is wrong, by the answers of AWS: it stops, and its job goes on elsewhere."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import time
from collections.abc import Callable, Iterator
from email.utils import formatdate
from socket import gethostname
from typing import Any
from unittest.mock import Mock

import botocore.exceptions as boto
import pytest
from temporalio.common import RetryPolicy
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.guard import Guard
from activities.lock_held import LockHeld
from activities.record import RecordActivities
from reindexer.answers import Action
from reindexer.connect import DATA_CONVERTER
from reindexer.dynamo.clock import CLOCK_WRONG, found_wrong
from reindexer.dynamo.table import TableClient
from reindexer.dynamo.taxonomy import of_call
from reindexer.models import Fault, Isolated, Progress, RecordInput, RoundResult, Stop, VerifyResult
from reindexer.tally import Tally
from testbed.faults import Fault as Injected
from testbed.faults import FaultKind, FaultPlan
from testbed.stack import Stack
from testbed.workers import Workers
from tests.cli import command
from tests.driving import shard, target
from tests.model_table import Plan
from tests.skewed import PROGRAM, signatures_checked
from tests.tables import Table
from tests.test_control import has_begun
from tests.test_crashes import exact
from tests.test_round import table as table_of
from workflows.options import MAX_LOST_ROUNDS
from workflows.shard.records import Records
from workflows.shard.rounds import Rounds
from workflows.shard.steps import Changing, Verifying

Make = Callable[..., Table]
RECORDS = 1000
#: 20 seconds' work in two shards: the job is to last until workers have come up.
SLOW = FaultPlan(faults=(Injected(kind=FaultKind.SLOW, seconds=1.0, operations="writes"),))

EXPIRED = (
    "Signature expired: 20261126T175847Z is now earlier than 20261126T180347Z (20261126T181847Z - 15 min.)"
)
EARLY = "Signature not yet current: 20261126T183347Z is still later than 20261126T182347Z"
MISMATCH = "The request signature we calculated does not match the signature you provided."


def refused(code: str, message: str, ahead: float | None, operation: str = "UpdateItem") -> boto.ClientError:
    """An answer of a server whose clock is `ahead` seconds behind ours; None: without a date."""
    headers = {} if ahead is None else {"Date": formatdate(time.time() - ahead, usegmt=True)}
    response: Any = {
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": 400, "HTTPHeaders": headers},
    }
    return boto.ClientError(response, operation)


@pytest.mark.parametrize("operation", ["UpdateItem", "AssumeRole", "GetCallerIdentity"])
@pytest.mark.parametrize("statements", [1, 25])
@pytest.mark.parametrize(
    ("code", "message", "ahead"),
    [
        ("RequestTimeTooSkewed", "The difference is too large", 1000),
        ("RequestTimeTooSkewed", "The difference is too large", None),
        ("RequestExpired", "Request has expired", -1000),
        ("InvalidSignatureException", EXPIRED, -1200),
        ("InvalidSignatureException", EXPIRED, None),
        ("InvalidSignatureException", EARLY, 600),
        ("InvalidSignatureException", MISMATCH, 600),
        ("SignatureDoesNotMatch", EXPIRED, -600),
        ("SignatureDoesNotMatch", MISMATCH, -86_400),
    ],
)
def test_a_wrong_clock_is_left_to_another_worker_and_blames_no_record(
    code: str, message: str, ahead: float | None, statements: int, operation: str
) -> None:
    failure = of_call(refused(code, message, ahead, operation), statements)
    assert (failure.code, failure.action, failure.applied, failure.counter) == (
        CLOCK_WRONG, Action.LEAVE, False, None,
    )  # fmt: skip
    assert failure.message.startswith(f"the clock of {gethostname()} is ")
    assert found_wrong().startswith("the clock of "), "the process learns of it"
    assert found_wrong() == ""


def test_the_sentence_says_by_how_much_and_to_which_side() -> None:
    assert "17 minutes ahead of AWS's" in of_call(refused("RequestExpired", "", 1020)).message
    assert "20 minutes behind AWS's" in of_call(refused("SignatureDoesNotMatch", EXPIRED, -1200)).message
    found_wrong()


@pytest.mark.parametrize("code", ["InvalidSignatureException", "SignatureDoesNotMatch"])
def test_with_a_clock_that_is_right_a_signature_that_does_not_match_parks(code: str) -> None:
    for ahead in (0, 100, None):
        assert of_call(refused(code, MISMATCH, ahead), 25).action is Action.PARK
    assert found_wrong() == ""


def test_with_a_clock_that_is_right_a_late_request_is_sent_again() -> None:
    """As of a process that was frozen after it had signed."""
    for code, message in (("InvalidSignatureException", EXPIRED), ("RequestExpired", "")):
        failure = of_call(refused(code, message, 2), 25)
        assert (failure.action, failure.applied, failure.known) == (Action.RETRY, False, False)
    assert found_wrong() == ""


def test_a_date_that_cannot_be_read_is_none() -> None:
    error = refused("InvalidSignatureException", EXPIRED, None)
    error.response["ResponseMetadata"]["HTTPHeaders"] = {"date": "yesterday"}
    assert of_call(error).code == CLOCK_WRONG
    found_wrong()


def test_an_isolated_record_is_left_to_another_worker_and_parks_after_its_last_attempt() -> None:
    model = table_of(1)
    model.plan = lambda _: Plan(call="RequestTimeTooSkewed")
    clients, identities = Mock(table=lambda _: TableClient(model, "t")), Mock(trouble_before=lambda *_: None)  # type: ignore[arg-type]
    record = RecordActivities(clients, identities, LockHeld(clients), Guard()).reindex_record
    request = RecordInput(target=target(), record=Isolated(key={"id": {"S": "row-00000"}}, attempts=5))
    environment = ActivityEnvironment()
    environment.payload_converter = DATA_CONVERTER.payload_converter
    policy = RetryPolicy(maximum_attempts=12)
    environment.info = dataclasses.replace(environment.info, attempt=11, retry_policy=policy)
    with pytest.raises(ApplicationError, match="the clock of") as raised:
        environment.run(record, request)
    assert (raised.value.type, raised.value.non_retryable) == (CLOCK_WRONG, False)
    [known] = raised.value.details
    assert (known.record.attempts, known.record.given_up, known.fault) == (5, False, None)

    environment.info = dataclasses.replace(environment.info, attempt=12)
    result = environment.run(record, request)
    assert result.fault
    assert (result.fault.code, result.outcome, result.record.given_up) == (CLOCK_WRONG, None, False)
    found_wrong()


def key(number: int) -> dict[str, Any]:
    return {"id": {"S": f"row-{number:05}"}}


CLOCK = Fault(code=CLOCK_WRONG, message="the clock of worker-7 is 20 minutes ahead of AWS's")


@pytest.mark.parametrize(
    ("step", "lost", "moved"),
    [
        (
            Changing(),
            RoundResult(progress=Progress(), stop=Stop.FAULT, fault=CLOCK),
            RoundResult(progress=Progress(tally=Tally(scanned=5, updated=5)), stop=Stop.SLICE),
        ),
        (Verifying(), VerifyResult(cursor=key(4), fault=CLOCK), VerifyResult(scanned=5, cursor=key(9))),
    ],
    ids=["changing", "verifying"],
)
def test_a_shard_parks_after_rounds_in_a_row_that_were_lost_to_a_clock(
    step: Any, lost: Any, moved: Any
) -> None:
    running = shard(table_of(0)).running
    rounds = Rounds(running, Records(running), step)
    for results in ([lost] * (MAX_LOST_ROUNDS - 1), [moved], [lost] * (MAX_LOST_ROUNDS - 1)):
        for result in results:
            rounds._ended(step.end(result))
            assert running.may_work, "another worker takes the next one"
    rounds._ended(step.end(lost))
    assert running.parked
    assert "the clock of worker-7 is 20 minutes ahead of AWS's (ClockWrong)" in running.situation.reason


@pytest.fixture
def skewed(quiet: Stack) -> Iterator[Workers]:
    """Workers of the stack's queues on a machine whose clock is wrong, to be started by a test."""
    with signatures_checked(quiet.proxy.endpoint_url) as url:
        reaches = {"AWS_ENDPOINT_URL_DYNAMODB": url}
        workers = quiet.beside(settings=reaches, command=PROGRAM, log="skewed.log").workers
        yield workers
        workers.close()


async def begun(stack: Stack, table: Table) -> Any:
    table.fill(RECORDS)
    stack.proxy.set_plan(SLOW)
    handle = await stack.start({"table": table.name, "total_segments": 2})
    await has_begun(handle, table)
    return handle


async def test_one_worker_of_several_stops_and_the_job_does_not(
    quiet: Stack, skewed: Workers, make_table: Make
) -> None:
    skewed.start()
    await asyncio.to_thread(skewed.come_up)
    handle = await begun(quiet, table := make_table())
    deadline = time.monotonic() + 60
    while "until then this machine does no work" not in skewed.log.read_text():
        assert time.monotonic() < deadline, skewed.log.read_text()
        await asyncio.sleep(0.5)
    assert f"the clock of {gethostname()} is 20 minutes ahead of AWS's" in skewed.log.read_text()
    quiet.proxy.set_plan(FaultPlan())
    report = await exact(quiet, table, handle, RECORDS)
    assert report["attempts"]["server_errors"] == report["attempts"]["timeouts"] == 0


@pytest.mark.nightly  # two minutes: each shard waits for a worker with another clock before it parks
async def test_where_all_workers_are_wrong_the_job_parks_and_names_the_clock(
    quiet: Stack, skewed: Workers, make_table: Make
) -> None:
    handle = await begun(quiet, table := make_table())
    quiet.workers.stop()
    try:
        skewed.start()
        seen = await _parked(quiet, handle.id, 240)
        assert "is 20 minutes ahead of AWS's" in seen["reason"]
        assert seen["tally"]["quarantined"] == 0
        skewed.close()
    finally:
        quiet.workers.start()
    quiet.proxy.set_plan(FaultPlan())
    await handle.signal("resume")
    await exact(quiet, table, handle, RECORDS)


async def _parked(stack: Stack, job: str, seconds: float) -> dict[str, Any]:
    """What `status` shows once the job is parked; workers come and go, and answer no query in between."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        _, out, err = await asyncio.to_thread(command, stack.environment, "status", job, "--json")
        seen: dict[str, Any] = json.loads(out or "{}")
        if seen.get("state") == "parked" and "clock" in seen["reason"]:
            return seen
        await asyncio.sleep(1)
    raise AssertionError(f"not parked within {seconds} s: {out} {err}")
