"""The search fault proxy before a real OpenSearch, fault by fault: what a client sees, what really happened."""

from __future__ import annotations

import gzip
import http.client
import time
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from testbed.faults.search import (
    SearchFault,
    SearchFaultKind,
    SearchFaultPlan,
    SearchFaultProxy,
    search_fault_proxy,
    source_digest,
)
from tests.searching import ask, bulk, delete_action, index_action, own_index, statuses

pytest_plugins = ["tests.search_proxied"]

K = SearchFaultKind
SOON = 0.3  # seconds until a late write; long enough to look at the index before
STATUSES = {
    K.THROTTLE: 429,
    K.UNAVAILABLE: 503,
    K.SERVER_ERROR: 500,
    K.UNAUTHORIZED: 401,
    K.ACCESS_DENIED: 403,
    K.TOO_LARGE: 413,
    K.SERVER_ERROR_APPLIED: 500,
    K.UNAVAILABLE_APPLIED: 503,
    K.SERVER_ERROR_LATE: 500,
}


#: By day one of each sort, all at night: each makes an index, which costs OpenSearch more than the test.
DAILY = {K.THROTTLE, K.SERVER_ERROR, K.CUT, K.TIMEOUT, K.SERVER_ERROR_APPLIED, K.TIMEOUT_APPLIED}


def each(*kinds: SearchFaultKind) -> list[Any]:
    return [pytest.param(kind, marks=() if kind in DAILY else pytest.mark.nightly) for kind in kinds]


@pytest.fixture
def index(search: str) -> Iterator[str]:
    name = own_index()
    settings = {"number_of_shards": 1, "number_of_replicas": 0}
    assert ask(search, "PUT", f"/{name}", {"settings": settings})[0] == 200
    yield name
    ask(search, "DELETE", f"/{name}")


def inject(search_proxy: SearchFaultProxy, *faults: SearchFault, seed: int = 1) -> None:
    search_proxy.set_plan(SearchFaultPlan(seed=seed, faults=faults))


def stored(search: str, index: str, *names: str) -> dict[str, int]:
    """The versions of the documents that are there, read at once and not from the last refresh."""
    _, answer = ask(search, "POST", f"/{index}/_mget", {"ids": names})
    return {found["_id"]: found["_version"] for found in answer["docs"] if found.get("found")}


def assert_fails(kind: SearchFaultKind, call: Callable[[float], tuple[int, Mapping[str, Any]]]) -> None:
    """The call, given the seconds that it may wait, fails just as the kind says."""
    if kind in STATUSES:
        status, answer = call(30)
        assert status == STATUSES[kind]
        assert kind is K.TOO_LARGE or answer["error"]["reason"]
    elif kind.startswith("timeout"):
        with pytest.raises(TimeoutError):
            call(1)
    else:
        with pytest.raises((ConnectionError, http.client.HTTPException)):
            call(30)


def two(index: str) -> list[bytes]:
    return [index_action(index, "a", 5, {"x": 1}), index_action(index, "b", 5, {"x": 2})]


@pytest.mark.parametrize(
    "kind", each(*(k for k in (*STATUSES, K.CUT, K.TIMEOUT) if not k.endswith(("_applied", "_late"))))
)
def test_a_request_fails_and_opensearch_never_sees_it(
    kind: SearchFaultKind, search_proxy: SearchFaultProxy, search: str, index: str
) -> None:
    inject(search_proxy, SearchFault(kind=kind, max_bytes=10 if kind is K.TOO_LARGE else None))
    assert_fails(kind, lambda seconds: bulk(search_proxy.endpoint_url, two(index), seconds))
    truth = search_proxy.truth()
    assert (truth.injected, truth.indexes, truth.pending) == ({kind: 1}, {}, 0)
    assert stored(search, index, "a", "b") == {}


@pytest.mark.parametrize(
    "kind", each(K.SERVER_ERROR_APPLIED, K.UNAVAILABLE_APPLIED, K.CUT_APPLIED, K.TIMEOUT_APPLIED)
)
def test_a_request_fails_after_it_was_applied(
    kind: SearchFaultKind, search_proxy: SearchFaultProxy, search: str, index: str
) -> None:
    inject(search_proxy, SearchFault(kind=kind, limit=1))
    assert_fails(kind, lambda seconds: bulk(search_proxy.endpoint_url, two(index), seconds))
    assert stored(search, index, "a", "b") == {"a": 5, "b": 5}
    assert statuses(bulk(search_proxy.endpoint_url, two(index))[1]) == [409, 409]
    truth = search_proxy.truth()
    assert truth.injected == {kind: 1}
    document = truth.document(index, "a")
    assert (document.forwarded, len(document.accepted), document.refused) == (2, 1, 1)
    write = document.accepted[0]
    assert (write.kind, write.version, write.status) == ("index", 5, 201)
    assert write.source == source_digest(b'{"x": 1}')


@pytest.mark.alone  # a fifth of a second lies between the answer and the write
@pytest.mark.parametrize("kind", [K.SERVER_ERROR_LATE, K.CUT_LATE, K.TIMEOUT_LATE])
@pytest.mark.nightly
def test_a_request_fails_and_lands_later_behind_a_newer_one(
    kind: SearchFaultKind, search_proxy: SearchFaultProxy, search: str, index: str
) -> None:
    late = 2.0 if kind is K.TIMEOUT_LATE else 1.0  # seconds; the client waits one before it gives up
    inject(search_proxy, SearchFault(kind=kind, seconds=late, limit=1))
    assert_fails(kind, lambda seconds: bulk(search_proxy.endpoint_url, two(index), seconds))
    assert search_proxy.truth().pending == 1
    assert stored(search, index, "a", "b") == {}
    newer = [index_action(index, "a", 6, {"x": 3}), delete_action(index, "b", 4)]
    assert statuses(bulk(search_proxy.endpoint_url, newer)[1]) == [201, 404]
    truth = search_proxy.truth(wait=10)
    assert truth.pending == 0
    assert stored(search, index, "a", "b") == {"a": 6, "b": 5}
    assert [write.version for write in truth.document(index, "a").accepted] == [6]
    assert truth.document(index, "a").refused == 1
    assert [(w.kind, w.version) for w in truth.document(index, "b").accepted] == [("delete", 4), ("index", 5)]
    assert truth.went_back(index) == []


def test_a_reset_drops_late_writes_and_the_truth(
    search_proxy: SearchFaultProxy, search: str, index: str
) -> None:
    inject(search_proxy, SearchFault(kind=K.SERVER_ERROR_LATE, seconds=1))
    assert_fails(K.SERVER_ERROR_LATE, lambda seconds: bulk(search_proxy.endpoint_url, two(index), seconds))
    search_proxy.reset()
    time.sleep(1 + SOON)
    truth = search_proxy.truth()
    assert (truth.injected, truth.indexes, truth.pending) == ({}, {}, 0)
    assert stored(search, index, "a", "b") == {}


@pytest.mark.parametrize(
    ("kind", "status", "there"),
    [
        (K.ITEM_THROTTLE, 429, {"a": 5, "c": 5}),
        (K.ITEM_UNAVAILABLE, 503, {"a": 5, "c": 5}),
        (K.ITEM_UNAVAILABLE_APPLIED, 503, {"a": 5, "b": 5, "c": 5}),
    ],
)
def test_an_item_of_a_bulk_fails_in_its_place(
    kind: SearchFaultKind,
    status: int,
    there: dict[str, int],
    search_proxy: SearchFaultProxy,
    search: str,
    index: str,
) -> None:
    inject(search_proxy, SearchFault(kind=kind, ids=frozenset("b")))
    code, answer = bulk(search_proxy.endpoint_url, [*two(index), index_action(index, "c", 5, {})])
    assert (code, answer["errors"], statuses(answer)) == (200, True, [201, status, 201])
    failed = answer["items"][1]["index"]
    assert (failed["_index"], failed["_id"]) == (index, "b")
    assert failed["error"]["type"].endswith("_exception")
    assert stored(search, index, "a", "b", "c") == there
    truth = search_proxy.truth()
    assert truth.injected == {kind: 1}
    assert truth.last(index).keys() == there.keys()


def test_all_items_of_a_bulk_can_fail(search_proxy: SearchFaultProxy, search: str, index: str) -> None:
    inject(search_proxy, SearchFault(kind=K.ITEM_THROTTLE))
    code, answer = bulk(search_proxy.endpoint_url, [*two(index), delete_action(index, "c", 1)])
    assert (code, statuses(answer)) == (200, [429, 429, 429])
    assert search_proxy.truth().indexes == {}


def test_only_bodies_above_the_limit_are_too_large(search_proxy: SearchFaultProxy, index: str) -> None:
    most = len(b"".join(two(index)))
    inject(search_proxy, SearchFault(kind=K.TOO_LARGE, max_bytes=most))
    assert statuses(bulk(search_proxy.endpoint_url, two(index))[1]) == [201, 201]
    assert bulk(search_proxy.endpoint_url, [*two(index), delete_action(index, "c", 1)])[0] == 413


def test_slow(search_proxy: SearchFaultProxy, index: str) -> None:
    inject(search_proxy, SearchFault(kind=K.SLOW, seconds=SOON))
    started = time.monotonic()
    assert statuses(bulk(search_proxy.endpoint_url, two(index))[1]) == [201, 201]
    assert time.monotonic() - started >= SOON
    assert search_proxy.truth().injected == {"slow": 1}


def test_faults_strike_the_same_documents_again(search_proxy: SearchFaultProxy, index: str) -> None:
    def struck(version: int) -> list[int]:
        inject(search_proxy, SearchFault(kind=K.ITEM_THROTTLE, probability=0.3), seed=7)
        actions = [index_action(index, f"d{number}", version, {}) for number in range(100)]
        answer = bulk(search_proxy.endpoint_url, actions)[1]
        return [at for at, status in enumerate(statuses(answer)) if status == 429]

    first = struck(1)
    assert 15 < len(first) < 45
    assert struck(2) == first


def test_what_is_not_a_write_passes_unless_the_plan_says_otherwise(
    search_proxy: SearchFaultProxy, search: str, index: str
) -> None:
    url = search_proxy.endpoint_url
    inject(search_proxy, SearchFault(kind=K.UNAVAILABLE))
    assert bulk(url, two(index))[0] == 503
    bulk(search, two(index))
    assert ask(url, "POST", f"/{index}/_refresh")[0] == 200
    asked = [
        ("PUT", f"/{index}/_mapping", {"properties": {"y": {"type": "long"}}}),
        ("POST", "/_aliases", {"actions": [{"add": {"index": index, "alias": f"{index}-readers"}}]}),
        ("POST", f"/{index}-readers/_search", {"query": {"match_all": {}}}),
        ("POST", f"/{index}/_mget", {"ids": ["a"]}),
        ("GET", f"/{index}/_count", None),
        ("GET", f"/{index}", None),
    ]
    assert [ask(url, method, path, body)[0] for method, path, body in asked] == [200] * 6
    assert ask(url, "GET", f"/{index}/_count")[1]["count"] == 2
    assert ask(url, "HEAD", f"/{index}-none")[0] == 404
    inject(search_proxy, SearchFault(kind=K.UNAVAILABLE, operations=frozenset({"alias", "mget", "count"})))
    got = [ask(url, method, path, body)[0] for method, path, body in asked]
    assert got == [200, 503, 200, 503, 503, 200]
    inject(search_proxy, SearchFault(kind=K.UNAVAILABLE, operations="admin", indexes=frozenset({index})))
    got = [ask(url, method, path, body)[0] for method, path, body in asked]
    assert got == [503, 200, 200, 200, 200, 503]


def test_the_truth_names_the_concrete_index_behind_an_alias(
    search_proxy: SearchFaultProxy, search: str, index: str
) -> None:
    ask(search, "POST", "/_aliases", {"actions": [{"add": {"index": index, "alias": f"{index}-write"}}]})
    action = index_action(f"{index}-write", "a", 5, {"x": 1})
    assert statuses(bulk(search_proxy.endpoint_url, [action])[1]) == [201]
    assert search_proxy.truth().indexes.keys() == {index}
    assert ask(search_proxy.endpoint_url, "DELETE", f"/{index}")[0] == 200
    assert search_proxy.truth().indexes == {}


def test_the_truth_tells_what_was_refused_and_what_was_rejected(
    search_proxy: SearchFaultProxy, search: str, index: str
) -> None:
    ask(search, "PUT", f"/{index}/_mapping", {"properties": {"x": {"type": "long"}}})
    actions = [*two(index), index_action(index, "a", 4, {}), index_action(index, "c", 1, {"x": "no number"})]
    assert statuses(bulk(search_proxy.endpoint_url, actions)[1]) == [201, 201, 409, 400]
    assert bulk(search_proxy.endpoint_url, [index_action(index, "b", -1, {})])[0] == 400
    truth = search_proxy.truth()
    assert truth.document(index, "a").refused == 1
    assert (truth.document(index, "c").rejected, truth.document(index, "b").rejected) == (1, 1)
    assert (truth.accepted(index), truth.unread) == (2, 0)


def test_single_documents_are_written_down_too(search_proxy: SearchFaultProxy, index: str) -> None:
    path = f"/{index}/_doc/a%2Fb"
    query = "?version_type=external&version="
    assert ask(search_proxy.endpoint_url, "PUT", f"{path}{query}3", {"x": 1})[0] == 201
    assert ask(search_proxy.endpoint_url, "PUT", f"{path}{query}3", {"x": 1})[0] == 409
    assert ask(search_proxy.endpoint_url, "DELETE", f"{path}{query}4")[0] == 200
    document = search_proxy.truth().document(index, "a/b")
    assert [(write.kind, write.version) for write in document.accepted] == [("index", 3), ("delete", 4)]
    assert document.refused == 1
    assert (
        ask(search_proxy.endpoint_url, "POST", f"/{index}/_delete_by_query", {"query": {"match_all": {}}})[0]
        == 200
    )
    assert search_proxy.truth().unread == 1


def test_a_packed_body_is_read(search_proxy: SearchFaultProxy, index: str) -> None:
    at = urllib.parse.urlsplit(search_proxy.endpoint_url)
    assert at.hostname is not None
    connection = http.client.HTTPConnection(at.hostname, at.port, timeout=30)
    headers = {"content-type": "application/x-ndjson", "content-encoding": "gzip", "accept-encoding": "gzip"}
    connection.request("POST", "/_bulk", gzip.compress(b"".join(two(index))), headers)
    with connection.getresponse() as answer:
        assert answer.status == 200
        assert answer.read().startswith(b"{")
    connection.close()
    assert search_proxy.truth().accepted(index) == 2


def test_a_server_that_is_down_is_a_cut_connection(search_proxy: SearchFaultProxy, index: str) -> None:
    with (
        search_fault_proxy(
            "http://127.0.0.1:9", SearchFaultPlan()
        ) as alone,  # the discard port: no one answers
        pytest.raises((ConnectionError, http.client.HTTPException)),
    ):
        bulk(alone.endpoint_url, two(index))
