"""Answers as OpenSearch gives them: whole errors, and failed items of a bulk."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import orjson

from testbed.faults.search.plan import SearchFault, SearchFaultKind
from testbed.faults.search.requests import Action

K = SearchFaultKind

#: Kind → (status, type, reason), in the words of OpenSearch.
_ERRORS: Mapping[SearchFaultKind, tuple[int, str, str]] = {
    K.THROTTLE: (
        *(429, "rejected_execution_exception"),
        "rejected execution of coordinating operation [coordinating_and_primary_bytes=0, replica_bytes=0, "
        "all_bytes=0, coordinating_operation_bytes=272614, max_coordinating_and_primary_bytes=204800]",
    ),
    K.UNAVAILABLE: (
        *(503, "cluster_block_exception"),
        "blocked by: [SERVICE_UNAVAILABLE/1/state not recovered / initialized];",
    ),
    K.SERVER_ERROR: (500, "exception", "Internal server error"),
    K.UNAUTHORIZED: (401, "security_exception", "missing authentication credentials for REST request"),
    K.ACCESS_DENIED: (403, "security_exception", "no permissions for [indices:data/write/bulk]"),
}
_AS: Mapping[SearchFaultKind, SearchFaultKind] = {
    K.UNAVAILABLE_APPLIED: K.UNAVAILABLE,
    K.SERVER_ERROR_APPLIED: K.SERVER_ERROR,
    K.SERVER_ERROR_LATE: K.SERVER_ERROR,
}
_THROTTLED_ITEM = (
    *(429, "rejected_execution_exception"),
    "rejected execution of org.opensearch.action.support.replication.TransportWriteAction$1@58c3d8e2 on "
    "OpenSearchThreadPoolExecutor[name = node/write, queue capacity = 1]",
)
_UNAVAILABLE_ITEM = (503, "unavailable_shards_exception", "[0] primary shard is not active Timeout: [1m]")


class Answer(NamedTuple):
    """Status, headers and body, as OpenSearch gave them or as it would."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def failed_request(fault: SearchFault) -> Answer:
    """What a fault of a whole request answers. Not for the kinds that give no answer."""
    if fault.kind is K.TOO_LARGE:
        return Answer(413, {}, b"")  # the HTTP layer's: no JSON
    status, kind, reason = _ERRORS[_AS.get(fault.kind, fault.kind)]
    error = {"type": kind, "reason": reason}
    return json_answer(status, {"error": {"root_cause": [error], **error}, "status": status})


def failed_item(fault: SearchFault, action: Action) -> dict[str, Any]:
    """One of the `items` of a bulk's answer."""
    status, kind, reason = _THROTTLED_ITEM if fault.kind is K.ITEM_THROTTLE else _UNAVAILABLE_ITEM
    about = {"_index": action.index, "_id": action.id, "status": status}
    return {action.kind: {**about, "error": {"type": kind, "reason": reason}}}


def json_answer(status: int, content: Mapping[str, Any]) -> Answer:
    """An answer in OpenSearch's content type."""
    return Answer(status, {"content-type": "application/json; charset=UTF-8"}, orjson.dumps(content))
