"""What the search fault proxy reads in requests and answers, and what its plans refuse."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from testbed.faults.search import SearchFault, SearchFaultKind, SearchFaultPlan, SearchTruth
from testbed.faults.search.requests import Request
from testbed.faults.search.truth import SearchTracker, results
from tests.searching import delete_action, index_action

K = SearchFaultKind


@pytest.mark.parametrize(
    ("method", "path", "operation", "index"),
    [
        ("POST", "/_bulk?refresh=true", "bulk", ""),
        ("POST", "/cities/_bulk", "bulk", "cities"),
        ("PUT", "/cities/_doc/a", "index", "cities"),
        ("POST", "/cities/_doc", "index", "cities"),
        ("PUT", "/cities/_create/a", "create", "cities"),
        ("POST", "/cities/_update/a", "update", "cities"),
        ("DELETE", "/cities/_doc/a", "delete", "cities"),
        ("GET", "/cities/_doc/a", "get", "cities"),
        ("POST", "/cities/_mget", "mget", "cities"),
        ("POST", "/cities/_search", "search", "cities"),
        ("POST", "/_search/scroll", "scroll", ""),
        ("POST", "/cities/_search/point_in_time?keep_alive=1m", "point_in_time", "cities"),
        ("GET", "/cities/_count", "count", "cities"),
        ("POST", "/_aliases", "alias", ""),
        ("PUT", "/cities/_mapping", "mapping", "cities"),
        ("GET", "/cities/_settings", "settings", "cities"),
        ("PUT", "/cities", "create_index", "cities"),
        ("DELETE", "/cities", "delete_index", "cities"),
        ("HEAD", "/cities", "get_index", "cities"),
        ("GET", "/", "admin", ""),
        ("GET", "/_cluster/health", "cluster", ""),
    ],
)
def test_a_path_names_operation_and_index(method: str, path: str, operation: str, index: str) -> None:
    request = Request(method, path, {}, b"")
    assert (request.operation, request.index) == (operation, index)


def test_a_bulk_names_its_documents() -> None:
    lines = [
        index_action("one", "a", 5, {"x": "\u2028 and \r"}),
        b'{"create":{"_id":"b"}}\n{}\n',
        delete_action("one", "c", 7),
    ]
    request = Request("POST", "/two/_bulk", {}, b"".join(lines))
    named = [(a.kind, a.index, a.id, a.version, a.entry) for a in request.actions]
    assert named == [("index", "one", "a", 5, 0), ("create", "two", "b", None, 1), ("delete", "one", "c", 7, 2)]
    assert [action.raw for action in request.actions] == lines
    assert [action.source is None for action in request.actions] == [False, False, True]
    assert request.indexes == {"one", "two"}


@pytest.mark.parametrize("body", [b"no json\n", b'{"index":{"_id":"a"}}', b"[]\n", b'{"index":7}\n{}\n'])
def test_a_bulk_that_cannot_be_read_has_no_documents(body: bytes) -> None:
    request = Request("POST", "/cities/_bulk", {}, body)
    assert request.actions == ()
    assert request.unreadable


def test_the_truth_is_in_the_order_of_sequence_numbers_not_of_answers() -> None:
    tracker = SearchTracker()
    for version, place in ((9, 1), (7, 0), (8, 2)):
        request = Request("POST", "/_bulk", {}, index_action("i", "a", version, {}))
        done = {"_index": "i", "_id": "a", "_version": version, "_seq_no": place, "_primary_term": 1}
        body = json.dumps({"items": [{"index": {**done, "status": 201}}]}).encode()
        tracker.record(request.actions, results(request.actions, 200, body))
    truth = SearchTruth.model_validate_json(tracker.as_json())
    assert [write.version for write in truth.document("i", "a").accepted] == [7, 9, 8]
    assert truth.went_back("i") == ["a"]


def test_without_an_answer_it_is_unknown_what_became_of_a_document() -> None:
    tracker = SearchTracker()
    request = Request("POST", "/_bulk", {}, index_action("i", "a", 1, {}))
    tracker.record(request.actions, results(request.actions, 503, b"no server"))
    truth = SearchTruth.model_validate_json(tracker.as_json())
    assert (truth.document("i", "a").forwarded, truth.document("i", "a").unknown) == (1, 1)


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "cut", "seconds": 1},
        {"kind": "too_large"},
        {"kind": "cut", "max_bytes": 1},
        {"kind": "cut", "probability": 1.1},
        {"kind": "cut", "no_such_field": 1},
        {"kind": "no_such_kind"},
    ],
)
def test_a_plan_that_would_be_ignored_is_refused(fault: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        SearchFault.model_validate(fault)


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.9, 1.0])
def test_a_mixed_plan_fails_the_share_that_it_says(rate: float) -> None:
    whole = [fault for fault in SearchFaultPlan.mixed(rate).faults if not fault.kind.startswith("item")]
    spared = 1.0
    for fault in whole:
        spared *= 1 - fault.probability
    assert 1 - spared == pytest.approx(rate)
