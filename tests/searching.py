"""What tests ask of OpenSearch, over plain HTTP."""

from __future__ import annotations

import http.client
import json
import urllib.parse
import uuid
from collections.abc import Iterable, Mapping
from typing import Any


def own_index() -> str:
    """An index name that no other test has."""
    return f"test-{uuid.uuid4().hex[:12]}"


def ask(
    url: str, method: str, path: str, body: object = None, seconds: float = 60.0
) -> tuple[int, dict[str, Any]]:
    """One request: its status, and the answer as JSON. `body`: bytes as they are, all else as JSON.

    Raises http.client's errors and `TimeoutError` where no answer comes within `seconds`.
    """
    at = urllib.parse.urlsplit(url)
    assert at.hostname is not None
    content = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
    connection = http.client.HTTPConnection(at.hostname, at.port, timeout=seconds)
    try:
        connection.request(method, path, content, {"content-type": "application/json"})
        answer = connection.getresponse()
        text = answer.read()
    finally:
        connection.close()
    return answer.status, json.loads(text) if text else {}


def index_action(index: str, name: str, version: int, document: Mapping[str, Any]) -> bytes:
    """Two lines of a bulk: index a document at an external version."""
    meta = {"_index": index, "_id": name, "version": version, "version_type": "external"}
    return _line({"index": meta}) + _line(document)


def delete_action(index: str, name: str, version: int) -> bytes:
    """A line of a bulk: delete a document at an external version."""
    return _line({"delete": {"_index": index, "_id": name, "version": version, "version_type": "external"}})


def bulk(url: str, actions: Iterable[bytes], seconds: float = 60.0) -> tuple[int, dict[str, Any]]:
    """One bulk request."""
    return ask(url, "POST", "/_bulk", b"".join(actions), seconds)


def statuses(answer: Mapping[str, Any]) -> list[int]:
    """The status of each item of a bulk, in order."""
    return [entry["status"] for item in answer["items"] for entry in item.values()]


def _line(value: object) -> bytes:
    return json.dumps(value).encode() + b"\n"
