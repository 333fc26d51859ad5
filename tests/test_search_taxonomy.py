"""What OpenSearch's errors mean: written or not, and what is to be done."""

from __future__ import annotations

from typing import Any

import pytest
from opensearchpy.exceptions import ConnectionError as NotConnected
from opensearchpy.exceptions import ConnectionTimeout, TransportError
from urllib3.connection import HTTPConnection
from urllib3.exceptions import NewConnectionError, ProtocolError

from reindexer.answers import Action
from reindexer.search.taxonomy import of_call, of_item, stored_order

pytestmark = pytest.mark.unit

NOT_SENT = NewConnectionError(HTTPConnection("127.0.0.1"), "refused")


@pytest.mark.parametrize(
    ("status", "kind", "action", "applied"),
    [
        (400, "mapper_parsing_exception", Action.GIVE_UP, False),
        (404, "index_not_found_exception", Action.PARK, False),
        (409, "version_conflict_engine_exception", Action.SETTLE, False),
        (429, "rejected_execution_exception", Action.WAIT, False),
        (429, "cluster_block_exception", Action.PARK, False),  # read-only: no room on the disk
        (403, "cluster_block_exception", Action.PARK, False),
        (503, "cluster_block_exception", Action.RETRY, None),  # the cluster starts
        (503, "unavailable_shards_exception", Action.RETRY, None),
        (500, "exception", Action.RETRY, None),
    ],
)
def test_a_documents_answer(status: int, kind: str, action: Action, applied: bool | None) -> None:
    failure = of_item({"status": status, "error": {"type": kind, "reason": "why"}})
    assert failure is not None
    assert (failure.action, failure.applied, failure.code) == (action, applied, kind)


def test_what_is_written_is_no_failure() -> None:
    assert [of_item({"status": status}) for status in (200, 201)] == [None, None]


@pytest.mark.parametrize(
    ("error", "action", "applied", "reached"),
    [
        (ConnectionTimeout("TIMEOUT", "", None), Action.RETRY, None, True),
        (NotConnected("N/A", "", ProtocolError("reset")), Action.RETRY, None, True),
        (
            NotConnected("N/A", "", NewConnectionError(HTTPConnection("127.0.0.1"), "refused")),
            Action.RETRY,
            False,
            False,
        ),
        (TransportError(413, "", ""), Action.SPLIT, False, True),
        (TransportError(429, "", {"error": {"type": "x", "reason": "y"}}), Action.WAIT, False, True),
        (TransportError(401, "", "no"), Action.PARK, False, True),
        (TransportError(502, "", "<html>"), Action.RETRY, None, True),
    ],
)
def test_a_whole_requests_answer(error: Any, action: Action, applied: bool | None, reached: bool) -> None:
    failure = of_call(error, 5)
    assert (failure.action, failure.applied, failure.reached) == (action, applied, reached)


def test_no_document_is_blamed_for_a_refused_request() -> None:
    refused = TransportError(
        400, "illegal_argument_exception", {"error": {"type": "illegal_argument_exception"}}
    )
    assert of_call(refused, 5).action is Action.SPLIT
    assert of_call(refused, 1).action is Action.GIVE_UP


def test_a_conflict_names_the_stored_order_and_the_cause_of_a_refusal_is_said() -> None:
    reason = "[a]: version conflict, current version [3765093056513081344] is higher or equal"
    failure = of_item({"status": 409, "error": {"type": "x", "reason": reason}})
    assert failure is not None
    assert stored_order(failure) == 3765093056513081344
    error = {
        "type": "mapper_parsing_exception",
        "reason": "failed to parse",
        "caused_by": {"reason": "For input: x"},
    }
    parsed = of_item({"status": 400, "error": error})
    assert parsed is not None
    assert parsed.message == "failed to parse: For input: x"
    assert stored_order(parsed) is None
