"""What is known of an isolated record whose activity ended without a result."""

from __future__ import annotations

from typing import Any

from temporalio.exceptions import ActivityError, ApplicationError, CancelledError, RetryState, TimeoutType
from temporalio.exceptions import TimeoutError as ActivityTimeout

from reindexer.models import Isolated, RecordResult
from workflows.shard.records import _after_last_try, _interrupted

RECORD = Isolated(key={"id": {"S": "a"}}, attempts=3)


def ended(cause: BaseException) -> ActivityError:
    error = ActivityError(
        "failed", scheduled_event_id=1, started_event_id=2, identity="", activity_id="1",
        activity_type="reindex_record", retry_state=RetryState.TIMEOUT,
    )  # fmt: skip
    error.__cause__ = cause
    return error


def timed_out(*details: Any) -> ActivityError:
    kind = TimeoutType.HEARTBEAT
    return ended(ActivityTimeout("heartbeat timeout", type=kind, last_heartbeat_details=list(details)))


KNOWN = RecordResult(outcome=None, record=RECORD.model_copy(update={"attempts": 4, "error": "Throttled"}))


def test_a_worker_that_died_while_it_was_asked_to_stop_gives_no_record_up() -> None:
    for error in (timed_out(), ended(CancelledError("cancelled")), ended(RuntimeError("?"))):
        result = _interrupted(error, RECORD)
        assert (result.outcome, result.record.given_up) == (None, False)
        assert (result.record.unknown, result.died) == (True, True), "its write may have landed"
    for error in (timed_out(KNOWN.model_dump(mode="json")), ended(ApplicationError("no", KNOWN))):
        assert _interrupted(error, RECORD) == KNOWN


def test_the_last_try_of_a_record_gives_it_up() -> None:
    lost = _after_last_try(timed_out(), RECORD)
    assert (lost.record.error, lost.record.given_up, lost.record.unknown, lost.died) == (
        "Lost",
        True,
        True,
        True,
    )
    known = _after_last_try(ended(ApplicationError("no", KNOWN)), RECORD)
    assert known == KNOWN.model_copy(update={"record": KNOWN.record.model_copy(update={"given_up": True})})
    assert not _after_last_try(ended(CancelledError("cancelled")), RECORD).record.given_up
